package annotation

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/mask"
)

// WriteLabels writes a picture's instances as a 16-bit grey PNG whose value is the label of
// the instance there (see LabeledImage.Labels16), and 0 for background. Where instances
// overlap the one of the highest score is seen; covered is the number of others, which lose
// pixels. More than 65535 instances are an error.
func WriteLabels(w io.Writer, p *coco.LabeledImage) (covered int, err error) {
	if err := present(p); err != nil {
		return 0, err
	}
	labels, err := p.Labels16()
	if err != nil {
		return 0, fmt.Errorf("annotation: %w", err)
	}
	places, covered, err := paintPlaces(p)
	if err != nil {
		return 0, err
	}
	m := image.NewGray16(image.Rect(0, 0, p.Width, p.Height))
	for i, place := range places {
		if place != 0 {
			binary.BigEndian.PutUint16(m.Pix[2*i:], labels[place-1])
		}
	}
	if err := png.Encode(nilcheck.Writer(w), m); err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return covered, nil
}

// WriteLabelPreview writes a picture's labels as a PNG in colours for people to look at: viewers
// show label maps as black. Labels are numbers as in WriteLabels; several share a colour.
func WriteLabelPreview(w io.Writer, p *coco.LabeledImage) error {
	if err := present(p); err != nil {
		return err
	}
	labels := p.Labels()
	places, _, err := paintPlaces(p)
	if err != nil {
		return err
	}
	m := image.NewGray16(image.Rect(0, 0, p.Width, p.Height))
	for i, place := range places {
		if place != 0 {
			binary.BigEndian.PutUint16(m.Pix[2*i:], uint16(1+(labels[place-1]-1)%uint32(mask.Colors)))
		}
	}
	if err := png.Encode(nilcheck.Writer(w), mask.ColorLabels(m)); err != nil {
		return fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return nil
}

// paintPlaces returns, row by row, the place from 1 of the instance that is seen at each pixel,
// which is the one of the highest score, and how many others lose pixels to it.
func paintPlaces(p *coco.LabeledImage) (places []uint32, covered int, err error) {
	order := make([]int, len(p.Instances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Instances[a].Score, p.Instances[b].Score) })
	places = make([]uint32, p.Width*p.Height)
	seen := make([]int, len(order)+1)
	for _, i := range order {
		m := &p.Instances[i].Mask
		if m.Width != p.Width || m.Height != p.Height {
			return nil, 0, fmt.Errorf("annotation: %s: instance %d: a mask of %d×%d pixels on %d×%d", p.FileName, i, m.Width, m.Height, p.Width, p.Height)
		}
		for r := range m.Bitmap().Runs() {
			row := places[r.Y*p.Width:]
			for x := r.X0; x < r.X1; x++ {
				seen[row[x]]--
				row[x] = uint32(i + 1)
			}
			seen[i+1] += r.X1 - r.X0
		}
	}
	for i := range order {
		if seen[i+1] < p.Instances[i].Mask.Area() {
			covered++
		}
	}
	return places, covered, nil
}
