package annotation

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/mask"
)

// WriteCellpose writes a picture's instances as a NAME_seg.npy file, which Cellpose's window
// opens beside its picture NAME: masks with the labels of the instances (see
// LabeledImage.Labels), their outlines and colours. There are no flows, from which Cellpose
// could compute the masks anew. Where instances overlap the one of the highest score is seen;
// covered is the number of others, which lose pixels.
func WriteCellpose(w io.Writer, p *coco.LabeledImage) (covered int, err error) {
	if err := present(p); err != nil {
		return 0, err
	}
	labels := p.Labels()
	places, covered, err := paintPlaces(p)
	if err != nil {
		return 0, err
	}
	kind, size := "<u2", 2
	if len(labels) > 0 && slices.Max(labels) > math.MaxUint16 {
		kind, size = "<u4", 4
	}
	masks, outlines := make([]byte, 0, size*len(places)), make([]byte, 0, size*len(places))
	put := func(to []byte, label uint32) []byte {
		if size == 2 {
			return binary.LittleEndian.AppendUint16(to, uint16(label))
		}
		return binary.LittleEndian.AppendUint32(to, label)
	}
	diameters, n := 0., 0.
	for i, place := range places {
		label, outline := uint32(0), uint32(0)
		if place != 0 {
			label = labels[place-1]
			x, y := i%p.Width, i/p.Width
			if x == 0 || y == 0 || x == p.Width-1 || y == p.Height-1 || places[i-1] != place || places[i+1] != place ||
				places[i-p.Width] != place || places[i+p.Width] != place {
				outline = label
			}
		}
		masks, outlines = put(masks, label), put(outlines, outline)
	}
	colors := make([]byte, 0, 3*len(labels))
	for i := range labels {
		c := mask.Color(i)
		colors = append(colors, c.R, c.G, c.B)
		if area := p.Instances[i].Mask.Area(); area > 0 {
			diameters, n = diameters+math.Sqrt(4*float64(area)/math.Pi), n+1
		}
	}
	shape := []int{p.Height, p.Width}
	err = checkpoint.WriteNumPyDict(nilcheck.Writer(w), []checkpoint.NumPyEntry{
		{Key: "masks", Value: &checkpoint.NumPyArray{Type: kind, Shape: shape, Data: masks}},
		{Key: "outlines", Value: &checkpoint.NumPyArray{Type: kind, Shape: shape, Data: outlines}},
		{Key: "colors", Value: &checkpoint.NumPyArray{Type: "|u1", Shape: []int{len(labels), 3}, Data: colors}},
		{Key: "ismanual", Value: &checkpoint.NumPyArray{Type: "|b1", Shape: []int{len(labels)}, Data: make([]byte, len(labels))}},
		{Key: "chan_choose", Value: []int{0, 0}},
		{Key: "est_diam", Value: diameters / max(n, 1)},
		{Key: "filename", Value: p.FileName},
	})
	if err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return covered, nil
}
