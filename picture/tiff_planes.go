package picture

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/tiff"
)

// A group is planes that make one picture together: channels, and slices of which the greatest
// value is taken. They lie at one place on the other axes.
type group struct {
	planes []int
	at     tiff.Plane // without channel and page, and without slice if all slices are taken
}

// groups puts the planes that the options allow together.
func (t *tiffFile) groups(o Options) ([]group, error) {
	s := t.stack
	if o.Page > 0 {
		if o.Page > len(s.Planes) {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no page %d: the file has %d", o.Page, len(s.Planes))}
		}
		return []group{{planes: []int{o.Page - 1}}}, nil
	}
	slices, times, scenes := s.Slices, s.Times, s.Scenes
	if !s.Axes { // pages are whatever is asked for
		slices, times = len(t.full), 1
		if o.Time > 0 {
			slices, times = 1, len(t.full)
		}
	}
	for _, axis := range []struct {
		name      string
		i, length int
	}{{"slice", o.Z, slices}, {"time", o.Time, times}, {"scene", o.Scene, scenes}} {
		if axis.i > axis.length {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no %s %d: the file has %d", axis.name, axis.i, axis.length)}
		}
	}
	var out []group
	known := map[tiff.Plane]int{}
	for i, index := range t.full {
		at := s.Planes[index]
		at.C, at.Page, at.Behind = 0, 0, 0
		switch {
		case s.Axes:
		case o.Time > 0:
			at.T = i
		default:
			at.Z = i
		}
		if o.Z > 0 && at.Z != o.Z-1 || o.Time > 0 && at.T != o.Time-1 || o.Scene > 0 && at.S != o.Scene-1 {
			continue
		}
		if o.MaxZ {
			at.Z = 0
		}
		g, ok := known[at]
		if !ok {
			g = len(out)
			known[at] = g
			out = append(out, group{at: at})
		}
		out[g].planes = append(out[g].planes, index)
	}
	if len(out) == 0 {
		return nil, &Error{Kind: ErrChoice, Reason: "the file has no such page"}
	}
	return out, nil
}

// channelPlanes reports whether channels are planes of their own, of any scene.
func (t *tiffFile) channelPlanes() bool { return t.stack.Axes && len(t.stack.Channels) > 1 }

// channelsAlong returns the channels of a group's scene that are planes of their own, or are
// the only one.
func (t *tiffFile) channelsAlong(g group) []string {
	if !t.stack.Axes {
		return nil
	}
	return t.stack.ChannelsOf(t.stack.Planes[g.planes[0]].S)
}

// choice is the error of a file that has several pictures of which none was chosen.
func (t *tiffFile) choice(groups []group) error {
	s := t.stack
	what := ""
	var ways []string
	if s.Axes {
		var axes []string
		if t.channelPlanes() {
			axes = append(axes, channelList(s.Channels))
		}
		differs := func(of func(tiff.Plane) int) bool {
			for _, g := range groups {
				if of(g.at) != of(groups[0].at) {
					return true
				}
			}
			return false
		}
		for _, axis := range []struct {
			length int
			plural string
			of     func(tiff.Plane) int
			way    string
		}{
			{s.Scenes, "scenes", func(p tiff.Plane) int { return p.S }, "a scene with Options.Scene"},
			{s.Slices, "slices", func(p tiff.Plane) int { return p.Z }, "a slice with Options.Z, or the greatest value of all slices with Options.MaxZ"},
			{s.Times, "times", func(p tiff.Plane) int { return p.T }, "a time with Options.Time"},
		} {
			if axis.length > 1 {
				axes = append(axes, fmt.Sprintf("%d %s", axis.length, axis.plural))
			}
			if differs(axis.of) {
				ways = append(ways, axis.way)
			}
		}
		if len(axes) > 0 {
			what = ": " + strings.Join(axes, ", ")
		}
	} else {
		ways = []string{"one with Options.Page, or the greatest value of all with Options.MaxZ"}
	}
	list := t.list(groups)
	if err := t.Broken(); err != nil {
		list += "; " + brokenChain(len(s.Planes), err)
	}
	return &Error{Kind: ErrChoice, Reason: fmt.Sprintf("the file has %d pages%s: choose %s; or take each with picture.Pages: %s",
		len(s.Planes), what, strings.Join(ways, ", and "), list)}
}

// list says in a few words what the first planes of groups are.
func (t *tiffFile) list(groups []group) string {
	var lines []string
	for _, g := range groups {
		for _, index := range g.planes {
			if len(lines) == 12 {
				return strings.Join(append(lines, "…"), "; ")
			}
			lines = append(lines, t.describe(index))
		}
	}
	return strings.Join(lines, "; ")
}

// describe says in a few words what a plane is.
func (t *tiffFile) describe(index int) string {
	p := t.stack.Planes[index]
	text := fmt.Sprintf("page %d", index+1)
	if page, err := t.Page(p.Page); err == nil {
		text += fmt.Sprintf(" %d×%d", page.Width, page.Height)
	}
	s := t.stack
	if s.Axes {
		for _, axis := range []struct {
			letter  string
			size, i int
		}{{"S", s.Scenes, p.S}, {"C", len(s.ChannelsOf(p.S)), p.C}, {"Z", s.Slices, p.Z}, {"T", s.Times, p.T}} {
			if axis.size > 1 {
				text += fmt.Sprintf(" %s%d", axis.letter, axis.i+1)
			}
		}
	}
	if index < len(s.Labels) {
		label, _, _ := strings.Cut(s.Labels[index], "\n")
		if label = strings.TrimSpace(label); label != "" {
			text += fmt.Sprintf(" %q", label)
		}
	}
	return text
}

// pages returns options for each picture of the file, as function Pages does.
func (t *tiffFile) pages(o Options) ([]Options, error) {
	if o.Page > 0 {
		return nil, &Error{Kind: ErrChoice, Reason: "all pages, or one of them"}
	}
	groups, err := t.groups(o)
	if err != nil {
		return nil, err
	}
	var out []Options
	for _, g := range groups {
		along := t.channelsAlong(g)
		if len(along) <= 1 {
			out = append(out, t.optionsOf(o, g))
			continue
		}
		chosen, err := pickChannels(numbered(along), o.Channels)
		switch {
		case err != nil:
			return nil, err
		case len(chosen) > 1:
			out = append(out, t.placed(o, g))
		default:
			out = append(out, t.channelsOf(o, g, chosen)...)
		}
	}
	return out, nil
}

// channelsOf returns options for each channel of a group, or for the only one chosen.
func (t *tiffFile) channelsOf(o Options, g group, chosen []int) []Options {
	var out []Options
	for c, name := range numbered(t.channelsAlong(g)) {
		if len(chosen) == 1 && c != chosen[0] {
			continue
		}
		one := group{at: g.at}
		for _, index := range g.planes {
			if t.stack.Planes[index].C == c {
				one.planes = append(one.planes, index)
			}
		}
		switch len(one.planes) {
		case 0:
		case 1:
			with := o
			with.Channels = nil // the page has but one
			out = append(out, t.optionsOf(with, one))
		default:
			with := t.placed(o, one)
			with.Channels = []string{name}
			out = append(out, with)
		}
	}
	return out
}

// optionsOf returns the options that read a group, by its page if it has one.
func (t *tiffFile) optionsOf(o Options, g group) Options {
	if len(g.planes) > 1 {
		return t.placed(o, g)
	}
	o.Page, o.Z, o.MaxZ, o.Time, o.Scene = g.planes[0]+1, 0, false, 0, 0
	return o
}

// placed returns the options that read a group by its place on the axes.
func (t *tiffFile) placed(o Options, g group) Options {
	if t.stack.Slices > 1 && !o.MaxZ {
		o.Z = g.at.Z + 1
	}
	if t.stack.Times > 1 {
		o.Time = g.at.T + 1
	}
	if t.stack.Scenes > 1 {
		o.Scene = g.at.S + 1
	}
	return o
}

func brokenChain(pages int, err error) string {
	return "the list of pages is broken behind page " + strconv.Itoa(pages) + " (" + err.Error() + "): what follows is not read"
}
