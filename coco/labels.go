package coco

// Labels returns the number of each instance, the same in every format that numbers them:
// LabeledInstance.Label if all instances have one and no two the same, as those of a label
// map do, otherwise their places in p.Instances, from 1.
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
