package checkpoint

import (
	"slices"
	"strings"
)

// wrappers are parts of names that wrapped modules add: of the whole model, where they are
// before all names, or of parts of it, as torch.compile, FSDP, activation checkpoints and DDP
// of a backbone alone do.
var wrappers = []string{"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "module"}

// wrapped reports whether a name has a wrapper in it.
func wrapped(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if slices.Contains(wrappers, part) {
			return true
		}
	}
	return false
}

// unwrap returns a name without the wrappers in it.
func unwrap(name string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(name, "."), func(part string) bool { return slices.Contains(wrappers, part) }), ".")
}

// unwrapped returns f and the sets in it, if parts of the models there are wrapped: f with
// names that have no wrappers, wherever these were.
func (f *File) unwrapped(sets []Set) (*File, []Set) {
	inside := len(sets) == 0
	for _, s := range sets {
		inside = inside || slices.ContainsFunc(s.group.tensors, func(t *Tensor) bool {
			rest, ok := strings.CutPrefix(t.Name, s.prefix)
			return ok && wrapped(rest) && (s.prefix != "" || f.single(s, sets))
		})
	}
	if !inside {
		return f, sets
	}
	out := *f
	out.groups, out.Tensors = nil, nil
	for _, g := range f.groups {
		u := &group{path: g.path, unread: map[string]error{}}
		known := map[string]bool{}
		for _, t := range g.tensors {
			c := *t
			c.Name = unwrap(t.Name)
			if known[c.Name] {
				return f, sets // they stood for different things
			}
			known[c.Name] = true
			u.tensors = append(u.tensors, &c)
		}
		for name, err := range g.unread {
			u.unread[unwrap(name)] = err
		}
		out.groups = append(out.groups, u)
	}
	if len(out.groups) > 0 {
		out.Tensors = out.groups[0].tensors
	}
	out.index()
	if found := out.find(landmarks...); len(found) > 0 {
		return &out, found
	}
	return f, sets
}

// single reports whether s is the only set of its group, so that all names there are its own.
func (f *File) single(s Set, sets []Set) bool {
	return !slices.ContainsFunc(sets, func(o Set) bool { return o.group == s.group && o.prefix != s.prefix })
}
