package coco

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math"

	"github.com/diffusioninst/go/mask"
)

// LabelMeOptions say how masks are written for LabelMe.
type LabelMeOptions struct {
	// Polygons writes outlines that people can edit, instead of LabelMe's own mask
	// shapes. LabelMe has no holes and fills polygons by other rules, so what it
	// makes of them differs from the mask along the edges, and holes are cut in by
	// lines. ReadLabelMe reads them by the rules of the COCO API, which with
	// Tolerance 0 gives back the mask exactly.
	Polygons bool

	// Tolerance is how far, in pixels, a simplified outline may leave the mask's.
	Tolerance float64
}

// labelMe is the file of LabelMe 5.
type labelMe struct {
	Version     string         `json:"version"`
	Flags       map[string]any `json:"flags"`
	Shapes      []labelMeShape `json:"shapes"`
	ImagePath   string         `json:"imagePath"`
	ImageData   *string        `json:"imageData"`
	ImageHeight int            `json:"imageHeight"`
	ImageWidth  int            `json:"imageWidth"`
}

type labelMeShape struct {
	Label       string         `json:"label"`
	Points      [][2]float64   `json:"points"`
	GroupID     *int64         `json:"group_id"`
	Description string         `json:"description"`
	ShapeType   string         `json:"shape_type"`
	Flags       map[string]any `json:"flags"`
	Mask        *string        `json:"mask"`

	// Score is not a field of LabelMe's own, but LabelMe keeps it.
	Score *float64 `json:"score,omitempty"`
}

// WriteLabelMe writes the picture's instances as a file of LabelMe: names, masks
// and scores. Category ids, boxes and crowds have no place there, and instances
// without pixels are left out. Parts of one instance share a group_id.
func WriteLabelMe(w io.Writer, p *LabeledImage, o LabelMeOptions) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("coco: %s: %w", p.FileName, err)
	}
	out := labelMe{Version: "5.5.0", Flags: map[string]any{}, Shapes: []labelMeShape{},
		ImagePath: p.FileName, ImageHeight: p.Height, ImageWidth: p.Width}
	for i := range p.Instances {
		v := &p.Instances[i]
		if v.Mask.Area() == 0 {
			continue
		}
		shape := labelMeShape{Label: v.Category, Flags: map[string]any{}}
		if v.HasScore {
			shape.Score = &v.Score
		}
		if !o.Polygons {
			if err := shape.setMask(v.Mask); err != nil {
				return fmt.Errorf("coco: %s: instance %d: %w", p.FileName, i, err)
			}
			out.Shapes = append(out.Shapes, shape)
			continue
		}
		polygons := v.Mask.Bitmap().Polygons(o.Tolerance)
		if len(polygons) > 1 {
			group := int64(i + 1)
			shape.GroupID = &group
		}
		shape.ShapeType = "polygon"
		for _, polygon := range polygons {
			part := shape
			for k := 0; k+1 < len(polygon); k += 2 {
				part.Points = append(part.Points, [2]float64{polygon[k], polygon[k+1]})
			}
			out.Shapes = append(out.Shapes, part)
		}
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("coco: %s: %w", p.FileName, err)
	}
	return nil
}

// setMask makes the shape a mask: a PNG of the box around it, whose upper left and
// lower right pixels are the points.
func (s *labelMeShape) setMask(r mask.RLE) error {
	b := r.Bitmap()
	box := b.Box()
	var text bytes.Buffer
	if err := png.Encode(&text, b.Crop(box).Gray()); err != nil {
		return err
	}
	code := base64.StdEncoding.EncodeToString(text.Bytes())
	s.ShapeType, s.Mask = "mask", &code
	s.Points = [][2]float64{
		{float64(box.Min.X), float64(box.Min.Y)},
		{float64(box.Max.X - 1), float64(box.Max.Y - 1)},
	}
	return nil
}

// ReadLabelMe reads a file of LabelMe. Masks, polygons, rectangles and circles are
// instances; shapes with the same label and group_id are one. Points and lines have no
// area and are an error. Instances have names and no category ids.
func ReadLabelMe(r io.Reader) (*LabeledImage, error) {
	var in labelMe
	if err := decodeJSON(r, &in); err != nil {
		return nil, fmt.Errorf("coco: LabelMe: %w", err)
	}
	if in.ImageWidth < 1 || in.ImageHeight < 1 || float64(in.ImageWidth)*float64(in.ImageHeight) >= 1<<32 {
		return nil, fmt.Errorf("coco: LabelMe: %s: size %d×%d", in.ImagePath, in.ImageWidth, in.ImageHeight)
	}
	p := &LabeledImage{FileName: in.ImagePath, Width: in.ImageWidth, Height: in.ImageHeight}
	type group struct {
		label string
		id    int64
	}
	place := map[group]int{}
	var parts [][]mask.RLE
	for i := range in.Shapes {
		s := &in.Shapes[i]
		m, err := s.region(p.Width, p.Height)
		if err != nil {
			return nil, fmt.Errorf("coco: LabelMe: %s: shape %d (%s): %w", in.ImagePath, i, s.Label, err)
		}
		if s.GroupID != nil {
			g := group{s.Label, *s.GroupID}
			if at, ok := place[g]; ok {
				parts[at] = append(parts[at], m)
				continue
			}
			place[g] = len(parts)
		}
		v := LabeledInstance{Category: s.Label}
		if s.Score != nil {
			v.Score, v.HasScore = *s.Score, true
		}
		p.Instances = append(p.Instances, v)
		parts = append(parts, []mask.RLE{m})
	}
	for i := range p.Instances {
		m, err := mask.Merge(parts[i], false)
		if err != nil {
			return nil, fmt.Errorf("coco: LabelMe: %s: %w", in.ImagePath, err)
		}
		p.Instances[i].Mask = m
	}
	return p, nil
}

// region returns the pixels of a shape on a picture.
func (s *labelMeShape) region(width, height int) (mask.RLE, error) {
	points := s.Points
	switch s.ShapeType {
	case "", "polygon":
	case "mask":
		return s.mask(width, height)
	case "rectangle":
		if len(points) != 2 {
			return mask.RLE{}, fmt.Errorf("a rectangle of %d points", len(points))
		}
		a, b := points[0], points[1]
		points = [][2]float64{a, {b[0], a[1]}, b, {a[0], b[1]}}
	case "circle":
		if len(points) != 2 {
			return mask.RLE{}, fmt.Errorf("a circle of %d points", len(points))
		}
		points = circle(points[0], points[1])
	default:
		return mask.RLE{}, fmt.Errorf("shapes of type %q have no area", s.ShapeType)
	}
	polygon := make([]float64, 0, 2*len(points))
	for _, q := range points {
		polygon = append(polygon, q[0], q[1])
	}
	return Segmentation{Polygons: [][]float64{polygon}}.RLE(width, height)
}

// circle is the polygon of a circle from its centre and a point on it.
func circle(centre, edge [2]float64) [][2]float64 {
	const corners = 128
	r := math.Hypot(edge[0]-centre[0], edge[1]-centre[1])
	out := make([][2]float64, corners)
	for i := range out {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		out[i] = [2]float64{centre[0] + r*cos, centre[1] + r*sin}
	}
	return out
}

// mask is the region of a mask shape.
func (s *labelMeShape) mask(width, height int) (mask.RLE, error) {
	if s.Mask == nil || len(s.Points) != 2 {
		return mask.RLE{}, fmt.Errorf("a mask of %d points, or without pixels", len(s.Points))
	}
	for _, q := range s.Points {
		if !(q[0] >= 0 && q[0] < float64(width) && q[1] >= 0 && q[1] < float64(height)) {
			return mask.RLE{}, fmt.Errorf("mask corner %v lies outside the image of %d×%d pixels", q, width, height)
		}
	}
	x0, y0, x1, y1 := int(s.Points[0][0]), int(s.Points[0][1]), int(s.Points[1][0]), int(s.Points[1][1])
	if x1 < x0 || y1 < y0 {
		return mask.RLE{}, fmt.Errorf("mask corners %v are not the upper left and the lower right", s.Points)
	}
	text, err := base64.StdEncoding.DecodeString(*s.Mask)
	if err != nil {
		return mask.RLE{}, fmt.Errorf("mask: %w", err)
	}
	m, err := readPNG(bytes.NewReader(text), x1-x0+1, y1-y0+1)
	if err != nil {
		return mask.RLE{}, fmt.Errorf("mask: %w", err)
	}
	return reframe(mask.FromImage(m).RLE(), x0, y0, width, height), nil
}
