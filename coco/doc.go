// Package coco reads, checks, writes and evaluates instance segmentation data in
// the formats of COCO (Lin et al., arXiv 1405.0312) and LVIS (Gupta et al.,
// arXiv 1908.03195). It is pure Go.
//
// # Data
//
// Load reads a data set file as a stream: COCO train2017's 450 MB are never held
// as text. What the package does not know is kept and written back. Dataset.Index
// finds images, categories and annotations by id, Dataset.Validate lists every
// problem of a file, Dataset.Stats counts what is in it. LoadResults and
// WriteResults do the same for detections, as Detectron2 writes them.
//
// # Evaluation
//
// Evaluate compares detections with a data set and returns a Report: the numbers
// of the COCO API or of the LVIS API, for masks, boxes or mask boundaries (Cheng
// et al., arXiv 2103.16562), in all and by class, with precision-recall curves.
// Analyze breaks the errors down by kind as TIDE does (Bolya et al., arXiv
// 2008.08115). MatchInstances counts what is found at a fixed score, for the figures of
// StarDist, panoptic quality and the Data Science Bowl, and ChooseScore chooses that score.
//
// # Labeled images
//
// A LabeledImage is an image with its instances: what all formats that other tools read
// have in common. They are results files and data sets (LabeledImage.Results, Builder), LabelMe
// (WriteLabelMe), 16-bit label maps with a legend (WriteLabelMap), mask files
// (WriteMasks) and drawings (LabeledImage.OverlayItems, for mask.Overlay). All but drawings can be read back,
// with the same pixels.
//
// # Conventions
//
// Ids are the file's own (COCO's category ids have gaps; see COCOClasses). Boxes
// are x, y, width, height in pixels; pixel (0, 0) covers the square from (0, 0)
// to (1, 1). Sizes inside segmentations are height, width, as in the files.
package coco
