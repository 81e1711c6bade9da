package checkpoint

import (
	"slices"
	"strings"
)

// backboneMarks are tensors of ImageNet backbones by the names that Match knows.
var backboneMarks = []string{"layer1.0.conv1.weight", "layers.0.blocks.0.attn.qkv.weight", "conv1_w", "res2.0.conv1.weight"}

// mentionsAverages reports whether the name of any tensor is one of averages.
func (f *File) mentionsAverages() bool {
	for _, g := range f.groups {
		for _, t := range g.tensors {
			if slices.ContainsFunc(wordsOf(g.path+"."+t.Name), func(w string) bool { return averageWords[w] }) {
				return true
			}
		}
	}
	return false
}

// For returns the set of weights that has a tensor of a name, in a file that Weights found
// no set in: f itself if it has the name, and otherwise what is left of all names
// without something before them that they share.
func (f *File) For(name string) *File {
	if _, ok := f.Tensor(name); ok || len(f.sets) > 0 {
		return f
	}
	out, err := f.choose(f.find(name), f.want, f.prefer)
	if err != nil || len(out.sets) == 0 || out.sets[0].Tensors < len(out.sets[0].group.tensors) {
		return f
	}
	return out
}

// fitting returns the set of weights that fits parameters best, in a file that Weights
// found no set in.
func (f *File) fitting(params []Param) (*File, error) {
	if len(f.sets) > 0 {
		return f, nil
	}
	known := make(map[string]bool, len(params))
	for _, p := range params {
		known[p.Name] = true
	}
	type place struct {
		group  *group
		prefix string
	}
	count, first, most := map[place]int{}, map[place]*Tensor{}, 0
	var places []place
	for _, g := range f.groups {
		for _, t := range g.tensors {
			for at, n := 0, 0; at >= 0 && n <= maxDepth; n++ {
				if known[t.Name[at:]] {
					p := place{g, t.Name[:at]}
					if count[p]++; count[p] == 1 {
						first[p], places = t, append(places, p)
					}
					most = max(most, count[p])
				}
				next := strings.IndexByte(t.Name[at:], '.')
				if next < 0 {
					break
				}
				at += next + 1
			}
		}
	}
	var sets []Set
	for _, p := range places {
		if 2*count[p] > most && len(sets) <= maxSets {
			sets = f.addSet(sets, p.group, p.prefix, first[p])
		}
	}
	if len(sets) == 0 {
		sets = f.find(backboneMarks...)
	}
	return f.choose(sets, f.want, f.prefer)
}
