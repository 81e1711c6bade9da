package diffusioninst

import (
	"errors"
	"image"
	"image/color"
)

// Need estimates what a call for pictures of these sizes takes, that of its largest pass
// through the network, before they are read: a server admits requests by it. Pictures and
// options that SegmentBatch would refuse are the same errors, Options.MaxBytes excepted.
func (m *Model) Need(o Options, sizes ...image.Point) (Need, error) {
	if err := m.made(); err != nil {
		return Need{}, err
	}
	if len(sizes) == 0 {
		return Need{}, errors.New("diffusioninst: Need of no picture")
	}
	s, err := o.resolve(m.config)
	if err != nil {
		return Need{}, err
	}
	s.divisor = m.apart()
	images := make([]image.Image, len(sizes))
	for i, size := range sizes {
		images[i] = unread{size}
	}
	q, err := newRequest(s, images)
	if err != nil {
		return Need{}, err
	}
	var most Need
	for _, need := range q.needs(m.config, m.backbone.Strides()) {
		if need.Bytes > most.Bytes {
			most = need
		}
	}
	return most, nil
}

// unread is a picture of which only the size is known.
type unread struct{ size image.Point }

func (u unread) Bounds() image.Rectangle { return image.Rectangle{Max: u.size} }
func (unread) ColorModel() color.Model   { return color.GrayModel }
func (unread) At(int, int) color.Color   { return color.Gray{} }
