// Package nuclei contains a small trained model that segments cell nuclei in microscope
// pictures: fluorescence (bright on dark) and stained tissue (purple on pink or white).
// The weights are embedded in the package, and so in every program that imports it, and
// in no other.
//
//	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
//
// # Pictures
//
// Pictures are processed at their own size, in which nuclei should be 8 to 80 pixels
// wide, as they are in the training data. For others, Scale resizes them for the network;
// masks come back in the picture's own size:
//
//	result, err := model.Segment(ctx, img, diffusioninst.Options{Scale: 0.5})
//
// Small nuclei are found better in the enlarged picture, and what several sizes agree on is surer. The
// model's own setting is four sizes, 1, 1.5, 1.75 and 2: on held-out pictures a mask AP of 0.651. One
// size is nine times as fast, with an AP of 0.609:
//
//	o := diffusioninst.Options{Scales: &diffusioninst.Scales{Factors: []float64{1}}}
//
// Scores are geometric means of what the network thinks of an object and of its mask
// (Config.MaskScore), which ranks instances better. Class scores alone, as in the paper, are
//
//	o := diffusioninst.Options{MaskScore: -1}
//
// # Data
//
// The model was trained on stage1_train of the 2018 Data Science Bowl, image set BBBC038v1
// of the Broad Bioimage Benchmark Collection (Caicedo et al., Nature Methods 2019), which
// is in the public domain (CC0 1.0), with annotations corrected by Konstantin Lopuhin and
// others (CC0 1.0). The pictures are not in this module.
//
// # Training
//
// train.yaml beside this file is the configuration; losses.png and evaluation.png are the
// plots of the run, the latter with the 240 proposals of training. train_masks.yaml is that of the second
// part, in which the masks became finer; losses_masks.png shows a run of it. The metadata of the
// weights holds the command and the accuracy:
//
//	diffusioninst info builtin:nuclei
//
// train_cpu.yaml is a smaller model, for training without a GPU.
//
// # Terms
//
// The weights are licensed under the Apache License 2.0, like the module; see
// LICENSE-weights.md. The model is not a medical device, and it was evaluated on held-out
// pictures of the same data set only.
package nuclei
