package coco

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"strings"

	"github.com/diffusioninst/go/mask"
)

// ErrNotLabelMe is wrapped by the error of ReadLabelMe for JSON of another kind.
var ErrNotLabelMe = errors.New("not a LabelMe file: it has no list of shapes")

// LabelMeReadOptions say how a file of LabelMe is read.
type LabelMeReadOptions struct {
	// Size returns the size of the picture, for files that lack it. It is given the file's
	// imagePath and its imageData, an encoded picture, or nil if the file has none.
	Size func(imagePath string, imageData []byte) (width, height int, err error)

	// NoArea is told of each shape without area, such as a point, a line, a flat rectangle or an
	// outline around no pixel's centre, which is then left out. With nil NoArea they are problems.
	NoArea func(Problem)
}

// errNoArea is wrapped by the error of a shape that has no area.
var errNoArea = errors.New("has no area")

// ReadLabelMe reads a file of LabelMe. Masks, polygons, rectangles (of 2 or 4 points),
// oriented rectangles and circles are instances; shapes with the same label and group_id
// are one. Instances have names and no category ids. Shapes that reach beyond the picture
// are clipped, which is a harmless problem from half a pixel on.
//
// If there are shapes that cannot be read, have no label, or no area (see NoArea), the
// error is a Problems that names them, and comes together with the picture without them.
// With every other error the picture is nil.
func ReadLabelMe(r io.Reader, o LabelMeReadOptions) (*LabeledImage, error) {
	in, err := readLabelMe(r)
	if err != nil {
		return nil, fmt.Errorf("coco: LabelMe: %w", err)
	}
	p := &LabeledImage{FileName: in.path, Width: in.width, Height: in.height}
	if (in.width < 1 || in.height < 1) && o.Size != nil {
		if p.Width, p.Height, err = o.Size(in.path, in.picture()); err != nil {
			return nil, fmt.Errorf("coco: LabelMe: %s has no imageWidth and imageHeight: %w", in.path, err)
		}
	}
	if p.Width < 1 || p.Height < 1 || float64(p.Width)*float64(p.Height) >= 1<<32 {
		return nil, fmt.Errorf("coco: LabelMe: %s: size %d×%d", in.path, p.Width, p.Height)
	}
	problems := in.problems
	type group struct{ label, id string }
	place := map[group]int{}
	var parts [][]mask.RLE
	var clipped clippedShapes
	for i := range in.shapes {
		s := &in.shapes[i]
		m, err := s.region(p.Width, p.Height)
		if err == nil && m.Area() == 0 {
			err = fmt.Errorf("a %s %w: it covers no pixel", s.kindName(), errNoArea)
		}
		if errors.Is(err, errNoArea) && o.NoArea != nil {
			o.NoArea(Problem{Record: "shape", Index: s.index, ID: int64(s.index), Key: s.label, Message: err.Error()})
			continue
		}
		if err != nil {
			problems.at("shape", s.index, s, "%v", err)
			continue
		}
		clipped.add(s, p.Width, p.Height)
		if s.group != "" {
			g := group{s.label, s.group}
			if at, ok := place[g]; ok {
				parts[at] = append(parts[at], m)
				continue
			}
			place[g] = len(parts)
		}
		v := LabeledInstance{Category: s.label, Score: s.score, HasScore: s.hasScore}
		p.Instances = append(p.Instances, v)
		parts = append(parts, []mask.RLE{m})
	}
	for i := range p.Instances {
		m, err := mask.Merge(parts[i], false)
		if err != nil {
			return nil, fmt.Errorf("coco: LabelMe: %s: %w", in.path, err)
		}
		p.Instances[i].Mask = m
	}
	return p, append(problems, clipped.problems()...).err()
}

// labelMeText is what is read of a file.
type labelMeText struct {
	path          string
	width, height int
	data          string // imageData
	shapes        []shapeText
	problems      Problems
}

type shapeText struct {
	record
	index    int
	label    string
	kind     string
	group    string // group_id as JSON text, "" for none
	points   []float64
	mask     string
	hasMask  bool
	score    float64
	hasScore bool
}

func (s *shapeText) id() (int64, string) { return int64(s.index), s.label }

// picture returns the picture in the file, or nil.
func (t *labelMeText) picture() []byte {
	data, err := base64.StdEncoding.DecodeString(t.data)
	if err != nil || len(data) == 0 {
		return nil
	}
	return data
}

func readLabelMe(r io.Reader) (*labelMeText, error) {
	p := newParser(r)
	t := &labelMeText{}
	isLabelMe, broken := false, false
	var other map[string]json.RawMessage
	if p.peek() == '[' {
		return nil, ErrNotLabelMe
	}
	_, err := p.fields(&other, func(name string) (known bool, err error) {
		switch name {
		case "shapes":
			isLabelMe = true
			err := list(p, "shape", &t.shapes, p.shape)
			broken = err != nil
			return true, err
		case "imagePath":
			if p.peek() != '"' {
				break
			}
			return true, p.string(&t.path)
		case "imageData":
			if t.width > 0 && t.height > 0 {
				break
			}
			return p.stringOrRaw(&t.data)
		case "imageWidth":
			return true, p.size(&t.width)
		case "imageHeight":
			return true, p.size(&t.height)
		}
		p.skipped = p.skipped[:0]
		return true, p.skip(&p.skipped)
	})
	if err == nil {
		err = p.end()
	}
	switch {
	case err != nil:
		return nil, err
	case !isLabelMe:
		return nil, ErrNotLabelMe
	case broken:
		return nil, errors.New(p.faults[len(p.faults)-1])
	}
	p.encodings()
	t.problems = p.problems
	for _, text := range p.faults {
		t.problems = append(t.problems, Problem{Record: "data set", Message: text})
	}
	return t, nil
}

// shape reads a shape.
func (p *parser) shape(s *shapeText) (bool, error) {
	s.index = p.index
	var other map[string]json.RawMessage
	whole, before := true, len(p.faults)
	_, err := p.fields(&other, func(name string) (bool, error) {
		switch name {
		case "label":
			if c := p.peek(); c == '"' {
				return true, p.string(&s.label)
			} else if c == '{' || c == '[' {
				return true, p.unexpected("a name")
			}
			raw, err := p.raw()
			s.label = string(raw)
			return true, err
		case "shape_type":
			return p.stringOrRaw(&s.kind)
		case "group_id":
			raw, err := p.raw()
			s.group = string(raw)
			return true, err
		case "points":
			points, err := p.polygon()
			s.points, whole = points, err == nil
			return true, err
		case "mask":
			s.hasMask = true
			return p.stringOrRaw(&s.mask)
		case "score":
			err := p.float(&s.score)
			s.hasScore = err == nil
			return true, err
		}
		p.skipped = p.skipped[:0]
		return true, p.skip(&p.skipped)
	})
	if strings.TrimSpace(s.label) == "" {
		whole = false
		if len(p.faults) == before {
			p.faults = append(p.faults, "no label")
		}
	}
	return whole, err
}

// region returns the pixels of a shape on a picture.
func (s *shapeText) region(width, height int) (mask.RLE, error) {
	points, n := s.points, len(s.points)/2
	switch s.kind {
	case "", "polygon", "oriented_rectangle", "rotation": // the last is of X-AnyLabeling
	case "mask":
		return s.raster(width, height)
	case "rectangle":
		switch n {
		case 2:
			x0, y0, x1, y1 := points[0], points[1], points[2], points[3]
			points = []float64{x0, y0, x1, y0, x1, y1, x0, y1}
		case 4:
		default:
			return mask.RLE{}, fmt.Errorf("a rectangle of %d points", n)
		}
	case "circle":
		if n != 2 {
			return mask.RLE{}, fmt.Errorf("a circle of %d points", n)
		}
		points = circle(points[0], points[1], points[2], points[3])
	case "point", "points", "line", "linestrip":
		return mask.RLE{}, fmt.Errorf("a %s %w", s.kind, errNoArea)
	default:
		return mask.RLE{}, fmt.Errorf("shapes of type %q are not known", s.kind)
	}
	if len(points) >= 6 && collinear(points) {
		return mask.RLE{}, fmt.Errorf("a %s %w: its points are on one line", s.kindName(), errNoArea)
	}
	return Segmentation{Polygons: [][]float64{points}}.RLE(width, height)
}

func (s *shapeText) kindName() string {
	if s.kind == "" {
		return "polygon"
	}
	return s.kind
}

// circle is the polygon of a circle from its centre and a point on it.
func circle(x, y, edgeX, edgeY float64) []float64 {
	const corners = 128
	r := math.Hypot(edgeX-x, edgeY-y)
	out := make([]float64, 0, 2*corners)
	for i := range corners {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		out = append(out, x+r*cos, y+r*sin)
	}
	return out
}

// raster is the region of a mask shape.
func (s *shapeText) raster(width, height int) (mask.RLE, error) {
	if !s.hasMask || len(s.points) != 4 {
		return mask.RLE{}, fmt.Errorf("a mask of %d points, or without pixels", len(s.points)/2)
	}
	for _, v := range s.points {
		if math.Abs(v) > maxSide {
			return mask.RLE{}, fmt.Errorf("mask corner at %v", v)
		}
	}
	x0, y0, x1, y1 := int(s.points[0]), int(s.points[1]), int(s.points[2]), int(s.points[3])
	if x1 < x0 || y1 < y0 {
		return mask.RLE{}, fmt.Errorf("mask corners %v are not the upper left and the lower right", s.points)
	}
	text, err := base64.StdEncoding.DecodeString(s.mask)
	if err != nil {
		return mask.RLE{}, fmt.Errorf("mask: %w", err)
	}
	m, err := readPNG(bytes.NewReader(text), x1-x0+1, y1-y0+1)
	if err != nil {
		return mask.RLE{}, fmt.Errorf("mask: %w", err)
	}
	b := mask.FromImage(m)
	seen := b.Bounds().Intersect(image.Rect(-x0, -y0, width-x0, height-y0))
	if seen.Empty() {
		return mask.RLE{}, fmt.Errorf("the mask at %v lies outside the image of %d×%d pixels", s.points, width, height)
	}
	return reframe(b.Crop(seen).RLE(), x0+seen.Min.X, y0+seen.Min.Y, width, height), nil
}
