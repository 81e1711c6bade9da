package coco

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/diffusioninst/go/internal/nilcheck"
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
// and scores. Category ids, boxes and crowds have no place there; an instance that is BoxOnly
// becomes a rectangle, and others without pixels are left out. Parts of one instance share a group_id.
func WriteLabelMe(w io.Writer, p *LabeledImage, o LabelMeOptions) error {
	if err := p.check(); err != nil {
		return err
	}
	out := labelMe{Version: "5.5.0", Flags: map[string]any{}, Shapes: []labelMeShape{},
		ImagePath: p.FileName, ImageHeight: p.Height, ImageWidth: p.Width}
	for i := range p.Instances {
		v := &p.Instances[i]
		if v.Mask.Area() == 0 && !v.BoxOnly {
			continue
		}
		shape := labelMeShape{Label: v.class(), Flags: map[string]any{}}
		if v.HasScore {
			shape.Score = &v.Score
		}
		if v.BoxOnly {
			b := v.Box
			shape.ShapeType = "rectangle"
			shape.Points = [][2]float64{{b[0], b[1]}, {b[0] + b[2], b[1] + b[3]}}
			out.Shapes = append(out.Shapes, shape)
			continue
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
		_, err = nilcheck.Writer(w).Write(append(text, '\n'))
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
	if err := encodePNG(&text, b.Crop(box).Gray()); err != nil {
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
