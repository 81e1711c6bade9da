package coco

import (
	"fmt"
	"math"
	"slices"
)

// Labels returns the number of each instance, the same in every format that numbers them:
// LabeledInstance.Label if all instances have one and no two the same, as the instances of a
// label map do, otherwise their places in p.Instances, from 1.
func (p *LabeledImage) Labels() []uint32 {
	out, known := make([]uint32, len(p.Instances)), make(map[uint32]bool, len(p.Instances))
	for i := range p.Instances {
		out[i] = p.Instances[i].Label
		known[out[i]] = true
	}
	if len(known) == len(out) && !known[0] {
		return out
	}
	for i := range out {
		out[i] = uint32(i + 1)
	}
	return out
}

// Labels16 returns Labels for formats that have 16 bits for them: the places of the instances
// if a label is larger. More than 65535 instances are an error.
func (p *LabeledImage) Labels16() ([]uint16, error) {
	if p == nil {
		return nil, errNoPicture
	}
	if len(p.Instances) > math.MaxUint16 {
		return nil, fmt.Errorf("coco: %s: a label map of 16 bits is too small for %d instances", p.FileName, len(p.Instances))
	}
	labels, out := p.Labels(), make([]uint16, len(p.Instances))
	large := len(labels) > 0 && slices.Max(labels) > math.MaxUint16
	for i, v := range labels {
		if out[i] = uint16(v); large {
			out[i] = uint16(i + 1)
		}
	}
	return out, nil
}
