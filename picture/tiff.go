package picture

import (
	"errors"
	"fmt"
	"image"
	"io"
	"slices"

	"github.com/diffusioninst/go/internal/tiff"
)

// tiffFile is an open TIFF file and what is known about its pages.
type tiffFile struct {
	*tiff.File
	stack *tiff.Stack
	full  []int // planes of the stack that are not smaller copies of others
	// window, if not nil, returns the part of a plane that is read in its place: see [Source].
	window func(index int, p *tiff.Page) (*tiff.Page, error)
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
	g, err := t.group(o)
	if err != nil {
		return nil, err
	}
	p, err := t.readGroup(g, o)
	if err != nil {
		return nil, err
	}
	return p.normalized(o)
}

// readChannels reads the planes that the options choose, and all their channels.
func (t *tiffFile) readChannels(o Options) (*Picture, []Channel, error) {
	g, err := t.group(o)
	if err != nil {
		return nil, nil, err
	}
	p, channels, err := t.readAll(g, o, true)
	if err != nil {
		return nil, nil, err
	}
	p, err = p.normalized(o)
	return p, channels, err
}

// group returns the planes of the one picture that the options choose.
func (t *tiffFile) group(o Options) (group, error) {
	if what := slideScanner(t.Description(0)); what != "" && o.Page == 0 {
		return group{}, &Error{Kind: ErrFormat, Reason: what}
	}
	groups, err := t.groups(o)
	if err != nil {
		return group{}, err
	}
	if len(groups) > 1 {
		return group{}, t.choice(groups)
	}
	return groups[0], nil
}

// readGroup reads the chosen channels of a group.
func (t *tiffFile) readGroup(g group, o Options) (*Picture, error) {
	p, _, err := t.readAll(g, o, false)
	return p, err
}

// readAll reads the chosen channels of a group and, if every is true, all of them.
func (t *tiffFile) readAll(g group, o Options, every bool) (*Picture, []Channel, error) {
	first, err := t.plane(g.planes[0], o)
	if err != nil {
		return nil, nil, err
	}
	layout, err := layoutOf(first)
	if err != nil {
		return nil, nil, err
	}
	out := &Picture{
		Format: "tiff", Bits: first.Bits, Channels: layout.names, Pages: len(t.stack.Planes), Page: g.planes[0] + 1,
		PixelSize: t.stack.PixelSize, Warnings: t.warnings(),
	}
	if full, err := t.Page(t.stack.Planes[g.planes[0]].Page); err == nil && o.Level > 0 {
		out.PixelSize[0] *= float64(full.Width) / float64(first.Width)
		out.PixelSize[1] *= float64(full.Height) / float64(first.Height)
	}
	along := t.channelsAlong(g)
	byPlane := len(along) > 1 && o.Page == 0
	if byPlane {
		out.Channels = numbered(along)
	}
	chosen, err := pickChannels(out.Channels, o.Channels)
	if err != nil {
		return nil, nil, err
	}
	if chosen == nil {
		switch more := out.Channels[min(3, len(out.Channels)):]; {
		case byPlane, layout.colours == 0 && len(out.Channels) > 1:
			chosen = []int{0}
			out.note(tookFirst(out.Channels))
		case layout.colours > 0 && len(more) > 0:
			out.note(tookColours(more))
		case layout.alpha:
			out.note("its alpha channel was left out")
		}
	}
	var r, all *tiff.Raster
	switch {
	case byPlane:
		r, err = t.joined(g, chosen, o, out)
	case every && layout.colours == 0 && first.Photometric != tiff.WhiteIsZero: // decoded once
		all, err = t.greatest(g.planes, o, func(p *tiff.Page) (*tiff.Raster, error) { return readSamples(p, upTo(len(layout.names))) })
		if err == nil {
			r = selectChannels(all, chosen)
		}
	default:
		r, err = t.greatest(g.planes, o, func(p *tiff.Page) (*tiff.Raster, error) { return readPage(p, chosen) })
	}
	if err != nil {
		return nil, nil, tiffError(err)
	}
	turn := turning(first.Orientation)
	out.Image = imageOf(turn.turned(r))
	if !every {
		return out, nil, nil
	}
	channels := make([]Channel, len(out.Channels))
	put := func(r *tiff.Raster, which []int) {
		r = turn.turned(r)
		for k, c := range which {
			channels[c] = Channel{out.Channels[c], rasterRows(r, k)}
		}
	}
	if all != nil {
		put(all, upTo(len(channels)))
		return out, channels, nil
	}
	held := heldChannels(out.Channels, o.Channels)
	for k, rows := range channelRows(out.Image) {
		if k < len(held) {
			channels[held[k]] = Channel{out.Channels[held[k]], rows}
		}
	}
	colours := len(layout.names) - (first.Samples - layout.colours) // names that are made of the first samples
	for _, which := range batches(channels, byPlane || layout.colours == 0, colours) {
		other := *out // its page stays
		if byPlane {
			r, err = t.joined(g, which, o, &other)
		} else {
			r, err = t.greatest(g.planes, o, func(p *tiff.Page) (*tiff.Raster, error) { return readPage(p, which) })
		}
		if err != nil {
			return nil, nil, tiffError(err)
		}
		put(r, which)
	}
	return out, channels, nil
}

// batches returns the channels that are not read yet as they are read together: singly, or
// colours and what is behind them.
func batches(channels []Channel, singly bool, colours int) [][]int {
	var out [][]int
	var early, late []int
	for i, c := range channels {
		switch {
		case c.Samples != nil:
		case singly:
			out = append(out, []int{i})
		case i < colours:
			early = append(early, i)
		default:
			late = append(late, i)
		}
	}
	for _, which := range [][]int{early, late} {
		if len(which) > 0 {
			out = append(out, which)
		}
	}
	return out
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// warnings says what of the file is not read, whatever was chosen.
func (t *tiffFile) warnings() []string {
	var out []string
	if err := t.Broken(); err != nil {
		out = append(out, brokenChain(t.Len(), err))
	}
	if n := t.stack.Elsewhere; n > 0 {
		out = append(out, fmt.Sprintf("%d of the planes that it lists are in other files, which are not read", n))
	}
	return out
}

// plane returns the tags of a plane, if it is not too large.
func (t *tiffFile) plane(index int, o Options) (*tiff.Page, error) {
	at := t.stack.Planes[index]
	p, err := t.level(at.Page, o.Level)
	if err == nil {
		err = o.check(image.Config{Width: p.Width, Height: p.Height})
	}
	if err == nil && at.Behind > 0 {
		p, err = p.Consecutive(at.Behind)
	}
	if err == nil && t.window != nil {
		p, err = t.window(index, p)
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
		planes := slices.DeleteFunc(slices.Clone(g.planes), func(index int) bool { return t.stack.Planes[index].C != c })
		if len(planes) == 0 {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("the file has no page of channel %s here", out.Channels[c])}
		}
		out.Page = planes[0] + 1
		r, err := t.greatest(planes, o, func(p *tiff.Page) (*tiff.Raster, error) {
			if layout, err := layoutOf(p); err != nil || len(chosen) == 1 && layout.colours > 0 {
				return readPage(p, nil)
			}
			return readSamples(p, []int{0}) // one number per pixel
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
func (t *tiffFile) greatest(planes []int, o Options, read func(*tiff.Page) (*tiff.Raster, error)) (*tiff.Raster, error) {
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
