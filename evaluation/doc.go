// Package evaluation runs models over data sets of COCO or LVIS form, for package coco to
// compare what they find with what there is.
package evaluation
