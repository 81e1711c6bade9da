// Package annotation reads the annotations of a data set in the forms of many tools, from
// a file or a folder, and writes some of them. It is pure Go.
//
// Open recognises the form and returns the whole as a data set of COCO; Each gives the
// pictures one by one. What is wrong is a problem of a single record and named with its file:
// see Options.Skip.
//
// The forms are
//
//	coco      a data set file of COCO or LVIS
//	labelme   LabelMe's files, one beside each picture
//	labelmap  16-bit PNG label maps with JSON legends (coco.WriteLabelMap)
//	masks     black and white PNG masks with JSON legends (coco.WriteMasks)
//	yolo      segmentation text of YOLO: data.yaml, or a folder of label files
//	labels    label maps without a legend, also as NAME_masks beside the picture
//	dsb       a folder for each picture with its binary masks: ID/images, ID/masks
//	cellpose  NAME_seg.npy of Cellpose
//	imagej    regions of interest of ImageJ: ZIP files of the ROI manager, or single ones
//	geojson   GeoJSON of QuPath, a file per picture
//	labeltiff label maps in TIFF
package annotation
