// Package train trains what package diffusioninst runs.
//
// A Trainer holds a network whose parameters learn. A step takes a batch of Samples,
// pictures with their objects in the form in which the network sees them, and
//
//  1. turns the ground-truth boxes into noisy proposals at a random diffusion time,
//  2. lets the decoder refine them in stages,
//  3. matches every stage's predictions with the ground truths (SimOTA),
//  4. adds up the losses of all stages and moves the parameters along the gradient.
//
// What is random comes from Draws, so that a step can be repeated exactly. A Run makes
// steps with the batches of a data.Loader, writes a journal, evaluates, and keeps
// checkpoints from which it goes on after whatever stopped it.
//
// Of your own can be the data (data.Dataset, or an iter.Seq2), what happens to them
// (data.Augmentation), terms of the objective (StageLoss), the optimiser, the schedule of
// its rate, and, through diffusioninst.Config, every part of the network. LoadRecipe reads
// all of it from a Detectron2 YAML file of the official project.
package train
