package checkpoint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Average says whether averaged weights of a file are wanted.
type Average int8

// Values of Average.
const (
	AverageAuto Average = 0  // as the caller prefers, or what there is
	AverageOn   Average = 1  // they must be there
	AverageOff  Average = -1 // the others must be there
)

const maxSets = 64

// A Set is a set of weights in a file.
type Set struct {
	Name     string // place in the file, such as "model" or "state_dict.module"; "" for the whole file
	Averaged bool   // moving averages of the weights, which other weights were trained for
	Tensors  int
	// Filled is the number of tensors that averages lack, such as statistics of norms, and
	// that are taken from the weights they are the averages of.
	Filled int
	// Unnamed is true for averages in a list without names, as torch_ema saves them. They are
	// never taken: which is which only Python knows.
	Unnamed bool

	group  *group
	prefix string // of the names in the group
	mark   *Tensor
	undot  func(name string) string // what names have lost their dots by, nil if they have not
}

// landmarks are tensors of a DiffusionInst or, failing that, of its backbone. A set of
// weights begins where one stands, whatever is before its name.
var landmarks = []string{
	"head.head_series.0.class_logits.weight", "backbone.bottom_up.res2.0.conv1.weight", "backbone.bottom_up.patch_embed.proj.weight",
}

// Weights returns one set of the weights in f under the names that its model has, and the
// sets in f beginning with that one. The result can be read until f is closed.
//
// A set is recognised by the name of a tensor that every DiffusionInst has: what is before
// it, such as "model.", "state_dict.model.module." or "_orig_mod.", is the place of a
// set. Wrappers of parts of a model are dropped inside of names, too. A file without such a
// tensor is returned as it is, for Match and For. Averages are sets whose place
// says so ("ema_state", "model_ema", "teacher", …), also under names without dots, and the
// averages of a training state of this module. MMEngine saves averages as state_dict and what
// they are averages of as ema_state_dict; Lightning's WeightAveraging saves the latter as
// current_model_state.
//
// AverageAuto takes the averages if they are preferred, or if f is the state of a training
// run, MMEngine's or Lightning's, whose users take them.
// It is an error if the weights that o wants are not in f, or are there in several places
// none of which is the usual one (ErrAmbiguous).
func (f *File) Weights(o Average, prefer bool) (*File, error) {
	sets := f.stateSets()
	if len(sets) == 0 {
		f, sets = f.unwrapped(f.find(landmarks...))
		sets = f.findUnnamed(f.findDotless(sets))
	} else {
		prefer = true
	}
	if err := f.scattered(sets); err != nil {
		return nil, err
	}
	prefer = prefer || f.swapped
	if len(sets) > 0 || o == AverageOn && !f.mentionsAverages() {
		return f.choose(sets, o, prefer)
	}
	out := *f // of another model: Match and For know its names
	out.want, out.prefer = o, prefer
	return &out, nil
}

// Sets returns the sets of weights in the file that Weights was called of, beginning with
// the one that f is. It is empty for a file that is taken as it is.
func (f *File) Sets() []Set { return f.sets }

// stateSets returns the sets of the state of a training run.
func (f *File) stateSets() []Set {
	if _, ok := f.Metadata[StateKey]; !ok {
		return nil
	}
	var out []Set
	for _, prefix := range []string{AveragePart, ModelPart} {
		if i := slices.IndexFunc(f.Tensors, func(t *Tensor) bool { return strings.HasPrefix(t.Name, prefix) }); i >= 0 {
			out = append(out, Set{
				Name: strings.TrimSuffix(prefix, "."), Averaged: prefix == AveragePart,
				group: f.groups[0], prefix: prefix, mark: f.Tensors[i],
			})
		}
	}
	return out
}

// find returns the sets that have a tensor with one of the names, the first that any has.
func (f *File) find(names ...string) []Set {
	var out []Set
	for _, name := range names {
		for _, g := range f.groups {
			for _, t := range g.tensors {
				prefix, ok := strings.CutSuffix(t.Name, name)
				if ok && len(out) <= maxSets && (prefix == "" || strings.HasSuffix(prefix, ".")) {
					out = f.addSet(out, g, prefix, t)
				}
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

// addSet adds a set, unless its tensors are another's under a second name.
func (f *File) addSet(sets []Set, g *group, prefix string, mark *Tensor) []Set {
	name := strings.TrimSuffix(prefix, ".")
	if g.path != "" {
		name = strings.TrimSuffix(g.path+"."+prefix, ".")
	}
	words := wordsOf(name)
	if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "optim") }) {
		return sets
	}
	s := Set{Name: name, group: g, prefix: prefix, mark: mark}
	s.Averaged = slices.ContainsFunc(words, func(w string) bool { return averageWords[w] }) && !slices.Contains(words, "online")
	if part, _, _ := strings.Cut(name, "."); f.swapped && (part == "state_dict" || part == "ema_state_dict") {
		s.Averaged = !s.Averaged
	}
	for i, other := range sets {
		if other.mark.view.store == mark.view.store && other.mark.view.offset == mark.view.offset && other.Averaged == s.Averaged {
			if s.oddity() < other.oddity() {
				sets[i] = s
			}
			return sets
		}
	}
	return append(sets, s)
}

// averageWords are words in the names of places where averages are kept.
var averageWords = map[string]bool{
	"ema": true, "average": true, "averaged": true, "averages": true, "avg": true, "swa": true, "shadow": true, "teacher": true,
	"polyak": true, "momentum": true, "emamodel": true,
}

// usualPlaces are the names of places where weights are kept as they were trained.
var usualPlaces = map[string]bool{
	"model": true, "module": true, "_orig_mod": true, "state_dict": true, "model_state": true, "model_state_dict": true,
	"net": true, "network": true, "weights": true, "params": true, "blobs": true, "student": true, "online": true, "detector": true,
	"_forward_module": true, "_fsdp_wrapped_module": true, "_checkpoint_wrapped_module": true, "model_weights": true, "0": true,
}

// oddity is the number of names in the place of a set that are not usual.
func (s *Set) oddity() int {
	n := 0
	for part := range strings.SplitSeq(s.Name, ".") {
		if part != "" && !usualPlaces[part] && !slices.ContainsFunc(wordsOf(part), func(w string) bool { return averageWords[w] }) {
			n++
		}
	}
	return n
}

// wordsOf splits a name into words in lower case: at what is not a letter, and before an
// upper-case letter that begins a word, as in model_ema, EMACallback and modelEMA.
func wordsOf(name string) []string {
	r := []rune(name)
	var words []string
	start := 0
	end := func(i int) {
		if i > start {
			words = append(words, strings.ToLower(string(r[start:i])))
		}
		start = i
	}
	for i, c := range r {
		switch {
		case !unicode.IsLetter(c):
			end(i)
			start = i + 1
		case i > start && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])):
			end(i)
		}
	}
	end(len(r))
	return words
}

// choose returns the set that o wants.
func (f *File) choose(sets []Set, o Average, prefer bool) (*File, error) {
	if len(sets) > maxSets {
		return nil, annotate(unsupported("it has more than %d sets of weights", maxSets), f.path, f.Format, "")
	}
	var plain, averaged, unnamed []Set
	for _, s := range sets {
		if s.Unnamed {
			unnamed = append(unnamed, s)
		} else if s.Averaged {
			averaged = append(averaged, s)
		} else {
			plain = append(plain, s)
		}
	}
	from, other := plain, averaged
	switch {
	case o == AverageOn && len(averaged) == 0:
		return nil, &FormatError{Path: f.path, Format: f.Format, Reason: "it has no averaged weights (EMA)" + listed(unnamed) + only(plain), Err: ErrNoAverage}
	case o == AverageOff && len(plain) == 0 && len(averaged) > 0:
		return nil, &FormatError{Path: f.path, Format: f.Format, Reason: "it has averaged weights (EMA) only" + only(averaged), Err: ErrNoAverage}
	case o == AverageOn, o == AverageAuto && len(averaged) > 0 && (prefer || len(plain) == 0):
		from, other = averaged, plain
	}
	if len(from) == 0 {
		return f, nil
	}
	best, err := f.usual(from)
	if err != nil {
		return nil, annotate(err, f.path, f.Format, "")
	}
	sets = append([]Set{best}, slices.DeleteFunc(slices.Concat(from, other, unnamed), func(s Set) bool { return s.at(best) })...)
	var source Set
	if best.Averaged && len(plain) > 0 {
		source, err = f.usual(plain)
	}
	return f.take(sets, source, err == nil && best.Averaged && len(plain) > 0), nil
}

func (s *Set) at(other Set) bool { return s.group == other.group && s.prefix == other.prefix }

// only says where the weights are.
func only(sets []Set) string {
	if len(sets) == 0 || sets[0].Name == "" {
		return ""
	}
	return "; its sets of weights: " + namesOf(sets)
}

func namesOf(sets []Set) string {
	var names []string
	for _, s := range sets {
		names = append(names, s.Name)
	}
	return someOf(names)
}

// usual returns the set in the most usual place.
func (f *File) usual(sets []Set) (Set, error) {
	best, ties := sets[0], 1
	for _, s := range sets[1:] {
		switch a, b := s.oddity(), best.oddity(); {
		case a < b:
			best, ties = s, 1
		case a == b && (s.group == best.group || best.group != f.groups[0]):
			ties++
		}
	}
	if ties > 1 {
		return best, &FormatError{Reason: fmt.Sprintf("it has weights in several places (%s) and none is the usual one: save one set alone",
			namesOf(sets)), Err: ErrAmbiguous}
	}
	return best, nil
}

// take returns the first of sets, with what it lacks of source if fill is true.
func (f *File) take(sets []Set, source Set, fill bool) *File {
	if len(sets) == 1 && sets[0].prefix == "" && sets[0].group == f.groups[0] {
		sets[0].Tensors = len(f.Tensors)
		out := *f // the usual file
		out.sets = sets
		return &out
	}
	for i := range sets {
		sets[i].Tensors = 0
	}
	owner := func(g *group, name string) int {
		found := -1
		for i, s := range sets {
			if s.group == g && strings.HasPrefix(name, s.prefix) && (found < 0 || len(s.prefix) > len(sets[found].prefix)) {
				found = i
			}
		}
		return found
	}
	var tensors, others []*Tensor
	for _, g := range f.groups {
		for _, t := range g.tensors {
			i := owner(g, t.Name)
			if i < 0 {
				continue
			}
			sets[i].Tensors++
			switch {
			case i == 0:
				tensors = append(tensors, t)
			case fill && sets[i].at(source):
				others = append(others, t)
			}
		}
	}
	best := &sets[0]
	out := f.view(sets, tensors, best.prefix, best.group.unread)
	if best.undot != nil {
		out.restoreDots(others, source.prefix, best.undot)
	}
	for _, t := range others {
		name := strings.TrimPrefix(t.Name, source.prefix)
		if _, ok := out.byName[name]; !ok && out.unread[name] == nil {
			c := *t
			c.Name = name
			out.Tensors = append(out.Tensors, &c)
			best.Filled++
		}
	}
	out.index()
	return out
}

// view returns tensors of f without a prefix of their names.
func (f *File) view(sets []Set, tensors []*Tensor, prefix string, unread map[string]error) *File {
	out := &File{Format: f.Format, Metadata: f.Metadata, ReadOver: f.ReadOver, path: f.path, sets: sets}
	if _, state := f.Metadata[StateKey]; state {
		out.Metadata = maps.Clone(f.Metadata)
		delete(out.Metadata, StateKey)
	}
	g := &group{}
	for _, t := range tensors {
		c := *t
		c.Name = strings.TrimPrefix(t.Name, prefix)
		g.tensors = append(g.tensors, &c)
	}
	for name, err := range unread {
		if name, ok := strings.CutPrefix(name, prefix); ok {
			if g.unread == nil {
				g.unread = map[string]error{}
			}
			g.unread[name] = err
		}
	}
	out.Tensors, out.groups = g.tensors, []*group{g}
	out.index()
	return out
}
