// Package data brings pictures with their objects to a training run.
//
// A [Dataset] has pictures by number: [OpenCOCO] reads COCO and LVIS files, [OpenLabelMe]
// a folder of LabelMe files, and [Collect] takes what the caller has. A [Loader] draws
// batches of them, decodes and augments in the background, and can continue at any batch
// as if it had never stopped.
//
// # Augmentation
//
// An [Augmentation] makes a changed sample of a sample. The augmentations of this package are structs
// that say what is random; [Chain], [Sometimes] and [OneOf] combine them:
//
//	data.Chain{
//		data.Flip{Horizontal: 0.5, Vertical: 0.5},
//		data.Scale{Factor: data.Range{0.6, 1.7}, Width: 192, Height: 192},
//	}
//
// Pictures are resized as everywhere in this module, as PIL does it (bilinear, with
// antialiasing), and masks to the nearest pixel: a pixel of the result takes the mask's
// pixel that its centre falls on.
//
// Boxes change with the picture and are cut to it. An object whose box was cut gets the
// box of what is left of its mask: an object of which a crop leaves a corner is not larger
// than what is seen of it. (Detectron2 does so where it crops; the reference implementation
// of DiffusionInst keeps the cut box.) Objects without area in the box or pixels in the
// mask are left out.
//
// # Randomness
//
// All that is random in sample n of a run follows from the seed and n, and the order
// of an epoch from the seed and the epoch's number. So batches do not depend on the number
// of workers, and the number of batches that were handed out is all that there is to
// save of a Loader.
package data
