package mask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
)

// LabelMap returns a picture of width × height pixels whose value is the number
// of the instance there: i+1 for masks[i], 0 for background. Where masks overlap
// the later one is on top; if they are in ascending order of score, the best one wins.
// More than 65535 masks are an error, a mask of another size is a *[SizeError].
func LabelMap(width, height int, masks []*Bitmap) (*image.Gray16, error) {
	if _, err := pixels(width, height); err != nil {
		return nil, err
	}
	if len(masks) > math.MaxUint16 {
		return nil, fmt.Errorf("mask: a label map has 16 bits, too few for %d masks", len(masks))
	}
	if err := sameSize(width, height, masks...); err != nil {
		return nil, err
	}
	out := image.NewGray16(image.Rect(0, 0, width, height))
	for i, m := range masks {
		for r := range m.Runs() {
			run := out.Pix[r.Y*out.Stride+2*r.X0 : r.Y*out.Stride+2*r.X1]
			for k := 0; k < len(run); k += 2 {
				binary.BigEndian.PutUint16(run[k:], uint16(i+1))
			}
		}
	}
	return out, nil
}

// SplitLabelMap returns the labels that occur in m, ascending and without 0, and
// the mask of each. It undoes [LabelMap] up to masks that others hide. Masks come
// as run lengths because together they are never larger than the picture. Bounds
// that do not start at (0, 0) are moved there. A picture too large for run
// lengths is an error.
func SplitLabelMap(m *image.Gray16) (labels []uint16, masks []RLE, err error) {
	if m == nil {
		return nil, nil, errors.New("mask: the label map is nil")
	}
	width, height := m.Rect.Dx(), m.Rect.Dy()
	total, err := pixels(width, height)
	if err != nil {
		return nil, nil, err
	}
	type part struct {
		runs
		end uint32 // of the last run
	}
	parts := map[uint16]*part{}
	// Runs go down the columns, so a label's pixels are met in the order of its mask.
	var label uint16
	var start uint32
	finish := func(end uint32) {
		if label != 0 && end > start {
			p := parts[label]
			if p == nil {
				p = &part{}
				parts[label] = p
			}
			p.add(start-p.end, false)
			p.add(end-start, true)
			p.end = end
		}
		start = end
	}
	var pos uint32
	for x := range width {
		for y := range height {
			if v := binary.BigEndian.Uint16(m.Pix[y*m.Stride+2*x:]); v != label {
				finish(pos)
				label = v
			}
			pos++
		}
	}
	finish(pos)
	for v := range parts {
		labels = append(labels, v)
	}
	slices.Sort(labels)
	for _, v := range labels {
		p := parts[v]
		p.add(total-p.end, false)
		masks = append(masks, RLE{Width: width, Height: height, Counts: p.runs.finish()})
	}
	return labels, masks, nil
}

// ColorLabels returns a label map in colours for people to look at: background is black, and
// label i has [Color] i-1.
func ColorLabels(m *image.Gray16) *image.Paletted {
	palette := color.Palette{color.NRGBA{A: 0xff}}
	for i := range Colors {
		palette = append(palette, Color(i))
	}
	out := image.NewPaletted(image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()), palette)
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			if v := int(binary.BigEndian.Uint16(m.Pix[y*m.Stride+2*x:])); v != 0 {
				out.Pix[y*out.Stride+x] = uint8(1 + (v-1)%Colors)
			}
		}
	}
	return out
}
