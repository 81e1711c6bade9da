package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxText = 1 << 20 // bytes of a text beside the model

// modelKeys are the names under which training programs keep the model. Weights under
// other names are found by the names of their tensors; see Weights.
var modelKeys = []string{"model", "model_state", "model_state_dict", "state_dict", "blobs", "module", "net"}

// resave is what to do about weights that only Python can make out.
const resave = `where the file was made, save the weights alone: torch.save({"model": model.state_dict()}, "weights.pth")`

// A group is the tensors of a part of a file.
type group struct {
	path    string // key of the part, "" for the whole file
	tensors []*Tensor
	unread  map[string]error // by the names of what is not readable as a tensor
}

// weighty reports whether a group has tensors, readable or not.
func (g *group) weighty() bool {
	for _, err := range g.unread {
		if errors.Is(err, ErrUnsupported) {
			return true
		}
	}
	return len(g.tensors) > 0
}

// collect fills f with the tensors of the model in the value of a pickle, and with
// the plain values and other tensors beside it.
func collect(f *File, m *machine, root any) error {
	f.Metadata = map[string]string{}
	f.ReadOver = slices.Sorted(maps.Keys(m.unknown))
	top := entries(root)
	if err := f.collectMetadata(m, top); err != nil {
		return err
	}
	for _, key := range modelKeys {
		inner := valueOf(top, key)
		if !mayHold(inner) {
			continue
		}
		g, err := gather(m, key, false, inner)
		if err != nil {
			return err
		}
		if g.weighty() {
			f.Tensors, f.groups = g.tensors, []*group{g}
			if err := f.collectParts(m, top, key); err != nil {
				return err
			}
			return f.checkWeights(root)
		}
	}
	g := &group{}
	if mayHold(root) {
		var err error
		if g, err = gather(m, "", false, root); err != nil {
			return err
		}
	}
	f.Tensors, f.groups = g.tensors, []*group{g}
	return f.checkWeights(root)
}

// collectMetadata keeps the plain values of a file.
func (f *File) collectMetadata(m *machine, top []pair) error {
	for _, p := range top {
		key, ok := asText(p.key)
		value, plain := plainText(p.value)
		if long, is := p.value.(span); ok && is {
			var err error
			if value, plain, err = m.longText(long); err != nil {
				return err
			}
		}
		if ok && plain && len(value) <= maxText {
			if err := m.charge(64); err != nil {
				return err
			}
			f.Metadata[key] = value
		}
	}
	ofMMEngine := valueOf(top, "message_hub") != nil || valueOf(entries(valueOf(top, "meta")), "mmengine_version") != nil
	ofLightning := valueOf(top, "averaging_state") != nil && valueOf(top, "current_model_state") != nil
	f.swapped = ofMMEngine && valueOf(top, "ema_state_dict") != nil || ofLightning
	return nil
}

// collectParts keeps the tensors that are beside the model.
func (f *File) collectParts(m *machine, top []pair, model string) error {
	for _, p := range top {
		key, ok := asText(p.key)
		if _, single := p.value.(*array); !ok || single || key == model {
			continue
		}
		g, err := gather(m, key, true, p.value)
		if err != nil {
			return err
		}
		if len(g.tensors) > 0 {
			f.groups = append(f.groups, g)
		}
	}
	return nil
}

// checkWeights returns an error if f has no tensors at all.
func (f *File) checkWeights(root any) error {
	objects := false
	for _, g := range f.groups {
		if len(g.tensors) > 0 {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(g.unread)) {
			if err := g.unread[name]; errors.Is(err, ErrUnsupported) {
				return annotate(err, "", 0, name)
			}
			objects = true
		}
	}
	o, whole := root.(*object)
	switch {
	case whole:
		return forbidden("not a checkpoint: it holds %s without any tensor that is readable here; %s", kind(o), resave)
	case objects && len(f.ReadOver) > 0:
		return forbidden("it has no tensors, only objects of classes that are code (%s), which is never run; %s", someOf(f.ReadOver), resave)
	case !isDict(root):
		return &FormatError{Reason: "not a checkpoint: it holds " + kind(root) + ", not a dictionary of tensors", Err: ErrNotCheckpoint}
	}
	return &FormatError{Reason: "not a checkpoint: it is a pickle without any tensor", Err: ErrNotCheckpoint}
}

func isDict(v any) bool {
	_, ok := v.(*dict)
	return ok
}

// someOf lists the first names.
func someOf(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// mayHold reports whether a value may contain tensors under names.
func mayHold(v any) bool {
	switch v.(type) {
	case *dict, *object, *list, tuple:
		return true
	}
	return false
}

// entries returns the keys and values of a dictionary or of an object that is one.
func entries(v any) []pair {
	switch v := v.(type) {
	case *dict:
		return v.items
	case *object:
		return v.items
	}
	return nil
}

// valueOf returns the value of a text key, nil if it is absent.
func valueOf(items []pair, key string) any {
	for _, p := range items {
		if s, ok := asText(p.key); ok && s == key {
			return p.value
		}
	}
	return nil
}

// longText reads a str that was left in the file, unless it is too long to be metadata.
func (m *machine) longText(s span) (string, bool, error) {
	if !s.utf8 || s.n > maxText {
		return "", false, nil
	}
	if err := m.charge(int(s.n)); err != nil {
		return "", false, err
	}
	b := make([]byte, s.n)
	if n, err := m.in.r.ReadAt(b, s.off); n < len(b) {
		return "", false, readError("a text", err)
	}
	return string(b), utf8.Valid(b), nil
}

// plainText returns numbers, truth values and short strings as text.
func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case *big.Int:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return asText(v)
}
