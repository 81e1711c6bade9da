package picture

import (
	"errors"
	"fmt"
	"image"
	"io"
	"strings"

	"github.com/diffusioninst/go/internal/tiff"
)

// tiffFile is an open TIFF file and what is known about its pages.
type tiffFile struct {
	*tiff.File
	stack *tiff.Stack
	full  []int // planes of the stack that are no smaller copies of others
}

func openTIFF(r io.ReaderAt, size int64) (*tiffFile, error) {
	f, err := tiff.Open(r, size)
	if err != nil {
		return nil, tiffError(err)
	}
	t := &tiffFile{File: f, stack: f.Stack()}
	for i, p := range t.stack.Planes {
		if !f.Reduced(p.Page) {
			t.full = append(t.full, i)
		}
	}
	if len(t.full) == 0 {
		for i := range t.stack.Planes {
			t.full = append(t.full, i)
		}
	}
	return t, nil
}

func tiffError(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, tiff.ErrTruncated), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Kind: ErrTruncated, Reason: err.Error(), Err: err}
	}
	return &Error{Kind: ErrCorrupt, Reason: err.Error(), Err: err}
}

// read reads the planes that the options choose.
func (t *tiffFile) read(o Options) (*Picture, error) {
	if what := slideScanner(t.Description(0)); what != "" && o.Page == 0 {
		return nil, &Error{Kind: ErrFormat, Reason: what}
	}
	groups, err := t.groups(o)
	if err != nil {
		return nil, err
	}
	if len(groups) > 1 {
		return nil, t.choice(groups)
	}
	return t.readGroup(groups[0], o)
}

// A group is planes that make one picture together: channels, and slices of which the greatest
// value is taken.
type group []int

// groups puts the planes that the options allow together.
func (t *tiffFile) groups(o Options) ([]group, error) {
	if o.Page > 0 {
		if o.Page > len(t.stack.Planes) {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no page %d: the file has %d", o.Page, len(t.stack.Planes))}
		}
		return []group{{o.Page - 1}}, nil
	}
	slices := t.stack.Slices
	if !t.stack.Axes {
		slices = len(t.full)
	}
	if o.Z > slices {
		return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no slice %d: the file has %d", o.Z, slices)}
	}
	var out []group
	at := map[tiff.Plane]int{}
	for i, index := range t.full {
		key := t.stack.Planes[index]
		key.C, key.Page, key.Behind = 0, 0, 0
		if !t.stack.Axes {
			key.Z = i
		}
		if o.Z > 0 && key.Z != o.Z-1 {
			continue
		}
		if o.MaxZ {
			key.Z = 0
		}
		g, ok := at[key]
		if !ok {
			g = len(out)
			at[key] = g
			out = append(out, nil)
		}
		out[g] = append(out[g], index)
	}
	if len(out) == 0 {
		return nil, &Error{Kind: ErrChoice, Reason: "the file has no such page"}
	}
	return out, nil
}

// choice is the error of a file that has several pictures and no choice was made.
func (t *tiffFile) choice(groups []group) error {
	var lines []string
	for _, g := range groups {
		for _, index := range g {
			if len(lines) == 12 {
				lines = append(lines, "…")
			}
			if len(lines) < 12 {
				lines = append(lines, t.describe(index))
			}
		}
	}
	reason := fmt.Sprintf("the file has %d pages: choose one with Page (--page N), or all (--page all)", len(t.stack.Planes))
	if s := t.stack; s.Axes {
		reason = fmt.Sprintf("the file has %d pages: %s", len(s.Planes), channelList(s.Channels))
		if s.Slices > 1 {
			reason += fmt.Sprintf(", %d slices", s.Slices)
		}
		if s.Times > 1 {
			reason += fmt.Sprintf(", %d times", s.Times)
		}
		if s.Scenes > 1 {
			reason += fmt.Sprintf(", %d scenes", s.Scenes)
		}
		reason += ": choose a page (--page N, or all)"
		if s.Slices > 1 {
			reason += " or a slice (--z N, or max)"
		}
	}
	return &Error{Kind: ErrChoice, Reason: reason + ": " + strings.Join(lines, "; ")}
}

// describe says in a few words what a plane is.
func (t *tiffFile) describe(index int) string {
	p := t.stack.Planes[index]
	text := fmt.Sprintf("page %d", index+1)
	if page, err := t.Page(p.Page); err == nil {
		text += fmt.Sprintf(" %d×%d", page.Width, page.Height)
	}
	if s := t.stack; s.Axes {
		for _, axis := range []struct {
			letter  string
			size, i int
		}{{"S", s.Scenes, p.S}, {"C", len(s.Channels), p.C}, {"Z", s.Slices, p.Z}, {"T", s.Times, p.T}} {
			if axis.size > 1 {
				text += fmt.Sprintf(" %s%d", axis.letter, axis.i+1)
			}
		}
	}
	return text
}

// readGroup reads the chosen channels of a group.
func (t *tiffFile) readGroup(g group, o Options) (*Picture, error) {
	first, err := t.plane(g[0], o)
	if err != nil {
		return nil, err
	}
	names, colours, err := tiffChannels(first)
	if err != nil {
		return nil, err
	}
	out := &Picture{
		Format: "tiff", Bits: first.Bits, Channels: names, Pages: len(t.stack.Planes), Page: g[0] + 1, PixelSize: t.stack.PixelSize,
	}
	byPlane := t.stack.Axes && len(t.stack.Channels) > 1 && o.Page == 0
	if byPlane {
		out.Channels = numbered(t.stack.Channels)
	}
	chosen, err := pickChannels(out.Channels, o.Channels)
	if err != nil {
		return nil, err
	}
	if chosen == nil && len(out.Channels) > 1 && (byPlane || colours == 0) {
		chosen = []int{0}
		out.Note = tookFirst(out.Channels)
	}
	var r *tiff.Raster
	if byPlane {
		r, err = t.joined(g, chosen, o, out)
	} else {
		r, err = t.greatest(g, o, func(p *tiff.Page) (*tiff.Raster, error) {
			if colours == 0 {
				return readChannels(p, chosen)
			}
			r, err := readColours(p, colours)
			if err == nil {
				if r.Samples == 1 && chosen != nil {
					chosen = make([]int, len(chosen))
				}
				r = selectChannels(r, chosen)
			}
			return r, err
		})
	}
	if err != nil {
		return nil, tiffError(err)
	}
	out.Image = imageOf(turning(first.Orientation).turned(r))
	return out, nil
}

// plane returns the tags of a plane, if it is not too large.
func (t *tiffFile) plane(index int, o Options) (*tiff.Page, error) {
	at := t.stack.Planes[index]
	p, err := t.Page(at.Page)
	if err == nil {
		err = o.check(image.Config{Width: p.Width, Height: p.Height})
	}
	if err == nil && at.Behind > 0 {
		p, err = p.Consecutive(at.Behind)
	}
	if err != nil {
		return nil, tiffError(err)
	}
	return p, nil
}

// joined reads channels that are planes of their own: one as grey, several as red, green and
// blue.
func (t *tiffFile) joined(g group, chosen []int, o Options, out *Picture) (*tiff.Raster, error) {
	var rasters []*tiff.Raster
	for _, c := range chosen {
		var planes group
		for _, index := range g {
			if t.stack.Planes[index].C == c {
				planes = append(planes, index)
			}
		}
		if len(planes) == 0 {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("the file has no page of channel %s here", out.Channels[c])}
		}
		out.Page = planes[0] + 1
		r, err := t.greatest(planes, o, func(p *tiff.Page) (*tiff.Raster, error) {
			_, colours, err := tiffChannels(p)
			if err != nil {
				return nil, err
			}
			if len(chosen) > 1 || colours == 0 { // one number per pixel
				return readChannels(p, []int{0})
			}
			return readColours(p, colours)
		})
		if err != nil {
			return nil, err
		}
		rasters = append(rasters, r)
	}
	if len(rasters) == 1 {
		return rasters[0], nil
	}
	r, ok := tiff.Interleave(rasters)
	if !ok {
		return nil, &Error{Kind: ErrChoice, Reason: "the channels differ in their size or depth, and cannot be seen together"}
	}
	if len(rasters) == 2 {
		r = selectChannels(r, []int{0, 1})
	}
	return r, nil
}

// greatest reads planes and takes the greatest value of each sample.
func (t *tiffFile) greatest(planes group, o Options, read func(*tiff.Page) (*tiff.Raster, error)) (*tiff.Raster, error) {
	var out *tiff.Raster
	for _, index := range planes {
		p, err := t.plane(index, o)
		if err != nil {
			return nil, err
		}
		r, err := read(p)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = r
			continue
		}
		if !greater(out.U8, r.U8) || !greater(out.U16, r.U16) || !greater(out.F64, r.F64) || r.Width != out.Width || r.Samples != out.Samples {
			return nil, &Error{Kind: ErrChoice, Reason: "the slices differ in their size or depth: choose one"}
		}
	}
	return out, nil
}

func greater[T uint8 | uint16 | float64](out, more []T) bool {
	if len(out) != len(more) {
		return false
	}
	for i, v := range more {
		if v > out[i] || out[i] != out[i] {
			out[i] = v
		}
	}
	return true
}
