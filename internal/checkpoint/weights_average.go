package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// undots are how names lose their dots where averages are registered as buffers: LitEma's
// names have none, and names of MMCV's EMAHook have underscores behind "ema_".
var undots = []struct {
	name   func(string) string
	before []string // what may be before the names
}{
	{func(name string) string { return strings.ReplaceAll(name, ".", "") }, []string{"."}},
	{func(name string) string { return strings.ReplaceAll(name, ".", "_") }, []string{".", "ema_"}},
}

// findDotless adds the averages whose names are a found set's without dots.
func (f *File) findDotless(sets []Set) []Set {
	if len(sets) == 0 {
		return nil
	}
	named := strings.TrimPrefix(sets[0].mark.Name, sets[0].prefix)
	for _, undot := range undots {
		mark := undot.name(named)
		for _, g := range f.groups {
			for _, t := range g.tensors {
				prefix, ok := strings.CutSuffix(t.Name, mark)
				before := func(end string) bool { return strings.HasSuffix(prefix, end) }
				if !ok || prefix != "" && !slices.ContainsFunc(undot.before, before) || len(sets) > maxSets {
					continue
				}
				n := len(sets)
				if sets = f.addSet(sets, g, prefix, t); len(sets) > n && sets[n].Averaged {
					sets[n].undot = undot.name
				} else {
					sets = sets[:n]
				}
			}
		}
	}
	return sets
}

// findUnnamed adds the lists of averages beside the sets that were found.
func (f *File) findUnnamed(sets []Set) []Set {
	if len(sets) == 0 {
		return nil
	}
	found := map[string]bool{}
	for _, g := range f.groups {
		for _, t := range g.tensors {
			list, number, ok := cutLast(t.Name)
			if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
				continue
			}
			s := Set{Name: strings.TrimPrefix(g.path+"."+list, "."), Averaged: true, Unnamed: true, group: g, prefix: list + ".", mark: t}
			words := wordsOf(s.Name)
			switch is := func(w string) bool { return averageWords[w] }; {
			case found[s.Name] || len(sets) > maxSets || !slices.ContainsFunc(words, is):
			case slices.Contains(words, "collected") || slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "optim") }):
			case slices.ContainsFunc(sets, func(o Set) bool { return o.prefix != "" && o.group == g && strings.HasPrefix(t.Name, o.prefix) }):
			default:
				found[s.Name] = true
				sets = append(sets, s)
			}
		}
	}
	return sets
}

func cutLast(name string) (before, last string, found bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// listed says that there are averages without names.
func listed(unnamed []Set) string {
	if len(unnamed) == 0 {
		return ""
	}
	return fmt.Sprintf(" that can be read: those in %s are a list without names, as torch_ema saves them; in Python, copy them to the model (ema.copy_to()) and save model.state_dict()", namesOf(unnamed))
}

// restoreDots gives the tensors of f the names of those they are averages of. It drops
// what is none, such as the number of updates.
func (f *File) restoreDots(others []*Tensor, prefix string, undot func(string) string) {
	names := map[string]string{}
	for _, t := range others {
		name := strings.TrimPrefix(t.Name, prefix)
		names[undot(name)] = name
	}
	kept := f.Tensors[:0]
	for _, t := range f.Tensors {
		if name, ok := names[t.Name]; ok {
			t.Name = name
			kept = append(kept, t)
		}
	}
	f.Tensors = kept
	f.groups[0].tensors = kept
	f.index()
}
