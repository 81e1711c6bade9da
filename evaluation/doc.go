// Package evaluation runs models on data sets in the COCO or LVIS format and returns their
// detections in the form that coco.Evaluate compares with the annotations.
package evaluation
