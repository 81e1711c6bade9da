// Package nuclei is a small trained model that finds cell nuclei in microscope pictures:
// fluorescence (bright on dark) and stained tissue (purple on pink or white). The weights
// are in the package, and so in every program that imports it, and in no other.
//
//	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
//
// # Pictures
//
// They are taken at their own size, in which nuclei should be 8 to 80 pixels wide, as they
// are in the data. Others want another Input.Scale: 0.5 halves a picture's sides before the
// network sees it, masks come back at its full size.
//
//	config := model.Config()
//	config.Input.Scale = 0.5
//	model, err = nuclei.Load(ctx, diffusioninst.LoadOptions{Config: &config})
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
// course of it, the latter with the 240 proposals of the training. The exact command and
// the accuracy stand in the weights, where they cannot get lost:
//
//	diffusioninst info builtin:nuclei
//
// train_cpu.yaml is a smaller model, for those who train without a GPU.
//
// It is no medical device: nobody has tried it on anything but these data.
package nuclei
