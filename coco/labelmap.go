package coco

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"slices"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/mask"
)

// legend is the JSON beside a label map or a folder of mask files.
type legend struct {
	ImageID   int64         `json:"image_id"`
	Image     string        `json:"image"`
	Width     int           `json:"width"`
	Height    int           `json:"height"`
	Instances []legendEntry `json:"instances"`
}

type legendEntry struct {
	Label      uint16      `json:"label,omitempty"` // value in the label map
	File       string      `json:"file,omitempty"`  // name of the mask file
	CategoryID int64       `json:"category_id"`
	Category   string      `json:"category"`
	Score      *float64    `json:"score,omitempty"`
	BBox       *[4]float64 `json:"bbox,omitempty"`
	Area       int         `json:"area"` // of the whole mask
	Crowd      bool        `json:"iscrowd,omitempty"`

	// Segmentation is the whole mask where others cover a part of it.
	Segmentation *legendMask `json:"segmentation,omitempty"`
}

type legendMask struct {
	Size   [2]int `json:"size"`
	Counts string `json:"counts"`
}

// WriteLabelMap writes the picture's instances as a 16-bit grey PNG whose value is
// the label of the instance there (see Labels16), 0 for background, and a JSON legend that tells
// what each label is. Where instances overlap the one of the highest score is seen;
// the legend has the whole mask of every instance that is partly covered, so the
// two files together say exactly what p does. More than 65535 instances are an
// error.
func WriteLabelMap(picture, explanation io.Writer, p *LabeledImage) error {
	if err := p.checkPNG(); err != nil {
		return err
	}
	order := make([]int, len(p.Instances)) // from the lowest to the highest score
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Instances[a].Score, p.Instances[b].Score) })
	masks := make([]*mask.Bitmap, len(order))
	for n, i := range order {
		masks[n] = p.Instances[i].Mask.Bitmap()
	}
	labels, err := mask.LabelMap(p.Width, p.Height, masks)
	if err != nil {
		return fmt.Errorf("coco: %s: %w", p.FileName, err)
	}
	numbers, err := p.Labels16()
	if err != nil {
		return err
	}
	for pix := labels.Pix; len(pix) > 1; pix = pix[2:] {
		if v := binary.BigEndian.Uint16(pix); v != 0 {
			binary.BigEndian.PutUint16(pix, numbers[order[v-1]])
		}
	}
	visible := count(labels)
	l := p.legend()
	for i := range l.Instances {
		e := &l.Instances[i]
		e.Label = numbers[i]
		if visible[e.Label] != e.Area {
			e.Segmentation = &legendMask{[2]int{p.Height, p.Width}, p.Instances[i].Mask.String()}
		}
	}
	if err := encodePNG(picture, labels); err != nil {
		return fmt.Errorf("coco: %s: %w", p.FileName, err)
	}
	return writeLegend(explanation, l)
}

// count returns the number of pixels of each label.
func count(m *image.Gray16) map[uint16]int {
	out := map[uint16]int{}
	for y := range m.Rect.Dy() {
		row := m.Pix[y*m.Stride:][:2*m.Rect.Dx()]
		for x := 0; x < len(row); {
			from, hi, lo := x, row[x], row[x+1]
			for x < len(row) && row[x] == hi && row[x+1] == lo {
				x += 2
			}
			out[uint16(hi)<<8|uint16(lo)] += (x - from) / 2
		}
	}
	return out
}

func (p *LabeledImage) legend() *legend {
	l := &legend{ImageID: p.ImageID, Image: p.FileName, Width: p.Width, Height: p.Height, Instances: []legendEntry{}}
	for i := range p.Instances {
		v := &p.Instances[i]
		e := legendEntry{CategoryID: v.CategoryID, Category: v.Category, Area: v.Mask.Area(), Crowd: v.Crowd}
		if v.HasScore {
			e.Score = &v.Score
		}
		if v.HasBox {
			e.BBox = &v.Box
		}
		l.Instances = append(l.Instances, e)
	}
	return l
}

func writeLegend(w io.Writer, l *legend) error {
	text, err := json.MarshalIndent(l, "", " ")
	if err == nil {
		_, err = nilcheck.Writer(w).Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("coco: %s: legend: %w", l.Image, err)
	}
	return nil
}

func readLegend(r io.Reader) (*legend, error) {
	var l legend
	if err := decodeJSON(r, &l); err != nil {
		return nil, fmt.Errorf("coco: legend: %w", err)
	}
	if l.Width < 0 || l.Height < 0 || float64(l.Width)*float64(l.Height) >= 1<<32 {
		return nil, fmt.Errorf("coco: legend of %s: size %d×%d", l.Image, l.Width, l.Height)
	}
	return &l, nil
}

// decodeJSON reads one value and nothing after it.
func decodeJSON(r io.Reader, to any) error {
	text, err := utf.ReadAll(r)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value at byte %d", d.InputOffset())
	}
	return nil
}

// picture is the legend's picture; masks returns the mask of an instance.
func (l *legend) picture(find func(i int, e *legendEntry) (mask.RLE, error)) (*LabeledImage, error) {
	p := &LabeledImage{ImageID: l.ImageID, FileName: l.Image, Width: l.Width, Height: l.Height}
	for i := range l.Instances {
		e := &l.Instances[i]
		v := LabeledInstance{CategoryID: e.CategoryID, Category: e.Category, Crowd: e.Crowd, Label: uint32(e.Label)}
		if e.Score != nil {
			v.Score, v.HasScore = *e.Score, true
		}
		if e.BBox != nil {
			v.Box, v.HasBox = *e.BBox, true
			if text := boxProblem(v.Box); text != "" {
				return nil, fmt.Errorf("coco: %s: instance %d: %s", l.Image, i, text)
			}
		}
		m, err := find(i, e)
		if err == nil && m.Area() != e.Area {
			err = fmt.Errorf("a mask of %d pixels where the legend says %d", m.Area(), e.Area)
		}
		if err != nil {
			return nil, fmt.Errorf("coco: %s: instance %d: %w", l.Image, i, err)
		}
		v.Mask = m
		p.Instances = append(p.Instances, v)
	}
	return p, nil
}

// ReadLabelMap reads what WriteLabelMap writes. Labels that the legend does not
// know, masks of another area than it says, and pictures of another size are
// errors.
func ReadLabelMap(picture, explanation io.Reader) (*LabeledImage, error) {
	l, err := readLegend(explanation)
	if err != nil {
		return nil, err
	}
	decoded, err := readPNG(picture, l.Width, l.Height)
	if err != nil {
		return nil, fmt.Errorf("coco: label map of %s: %w", l.Image, err)
	}
	var grey *image.Gray16
	switch m := decoded.(type) {
	case *image.Gray16:
		grey = m
	case *image.Gray: // saved again by a tool that found 8 bits enough
		grey = image.NewGray16(m.Rect)
		for i, v := range m.Pix {
			grey.Pix[2*i+1] = v
		}
	default:
		return nil, fmt.Errorf("coco: label map of %s: not a grey picture of 8 or 16 bits", l.Image)
	}
	labels, masks, err := mask.SplitLabelMap(grey)
	if err != nil {
		return nil, fmt.Errorf("coco: label map of %s: %w", l.Image, err)
	}
	known := map[uint16]bool{}
	for i, e := range l.Instances {
		if e.Label == 0 || known[e.Label] {
			return nil, fmt.Errorf("coco: legend of %s: instance %d: label %d is 0 or used twice", l.Image, i, e.Label)
		}
		known[e.Label] = true
	}
	seen := map[uint16]mask.RLE{}
	for i, label := range labels {
		if !known[label] {
			return nil, fmt.Errorf("coco: label map of %s: label %d is not in the legend", l.Image, label)
		}
		seen[label] = masks[i]
	}
	return l.picture(func(_ int, e *legendEntry) (mask.RLE, error) {
		if s := e.Segmentation; s != nil {
			return Segmentation{Height: s.Size[0], Width: s.Size[1], Compressed: s.Counts}.RLE(l.Width, l.Height)
		}
		if m, ok := seen[e.Label]; ok {
			return m, nil
		}
		return noPixels(l.Width, l.Height)
	})
}
