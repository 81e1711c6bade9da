package coco

import (
	"errors"
	"fmt"
)

// ErrAllCrowds is wrapped by the error of Dataset.CheckCrowds.
var ErrAllCrowds = errors.New("crowds (iscrowd 1, as CVAT writes every mask of its brush)")

// CrowdsToObjects makes ordinary objects of all crowds and returns how many there were.
func (d *Dataset) CrowdsToObjects() int {
	n := 0
	for i := range d.Annotations {
		if d.Annotations[i].Crowd {
			d.Annotations[i].Crowd = false
			n++
		}
	}
	return n
}

// CheckCrowds returns an error, which wraps ErrAllCrowds, if all annotations are crowds:
// nothing would be left to train on or to find.
func (d *Dataset) CheckCrowds() error {
	if d == nil {
		return errNoData
	}
	n := len(d.Annotations)
	for i := range d.Annotations {
		if !d.Annotations[i].Crowd {
			n = 0
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("coco: all %d annotations are %w and would be left out: Dataset.CrowdsToObjects takes them as objects", n, ErrAllCrowds)
}
