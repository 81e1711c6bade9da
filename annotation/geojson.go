package annotation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/mask"
)

// geojsonSuffixes end the names of files with the objects of a picture.
var geojsonSuffixes = []string{"_detections", "_annotations", "_objects", "_cells"}

// geojson reads GeoJSON as QuPath exports it, in pixels, a file per picture.
func (o *Options) geojson(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder := root(input)
		names, err := files(input, ".geojson", ".json")
		if err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		}
		for _, name := range names {
			at := filepath.Join(folder, filepath.FromSlash(name))
			p, err := o.geojsonFile(folder, name)
			if err = o.problem(at, err); err != nil {
				yield(nil, err)
				return
			}
			if p != nil && !yield(p, nil) {
				return
			}
		}
	}
}

func (o *Options) geojsonFile(folder, name string) (*coco.LabeledImage, error) {
	f, err := regular.OpenStream(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := geojsonReader{decoder: json.NewDecoder(utf.NewReader(bufio.NewReader(f)))}
	r.picture = func() (*coco.LabeledImage, error) {
		return o.pictureOfRegions(folder, name, geojsonSuffixes, string(r.said))
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	o.warnPlanes(name, len(r.planes))
	if len(r.problems) > 0 {
		return r.p, r.problems
	}
	return r.p, nil
}

// A geojsonReader reads one feature after the other.
type geojsonReader struct {
	decoder  *json.Decoder
	said     json.RawMessage // what the file says of its picture
	picture  func() (*coco.LabeledImage, error)
	p        *coco.LabeledImage // nil before the first feature
	problems coco.Problems
	seen     int // features
	planes   map[[2]int]bool
}

var errNotGeoJSON = errors.New("not GeoJSON: no feature is found in it")

// read reads a collection, a list of features, or a single one.
func (r *geojsonReader) read() error {
	token, err := r.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		err = r.features()
	case json.Delim('{'):
		err = r.object()
	default:
		err = errNotGeoJSON
	}
	if err != nil {
		return err
	}
	if _, err := r.decoder.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value at byte %d", r.decoder.InputOffset())
	}
	if r.p == nil {
		return errNotGeoJSON
	}
	return nil
}

// object reads what follows the brace of a collection or a single feature.
func (r *geojsonReader) object() error {
	var single geojsonFeature
	found := false
	for r.decoder.More() {
		key, err := r.decoder.Token()
		if err != nil {
			return err
		}
		switch key {
		case "features":
			var token json.Token
			if token, err = r.decoder.Token(); err == nil && token != json.Delim('[') {
				err = errors.New("features that are not a list")
			}
			if err == nil {
				err = r.features()
			}
		case "image":
			err = r.decoder.Decode(&r.said)
		case "geometry":
			found = true
			err = r.decoder.Decode(&single.Geometry)
		case "properties":
			err = r.decoder.Decode(&single.Properties)
		default:
			var other json.RawMessage
			err = r.decoder.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.decoder.Token(); err != nil {
		return err
	}
	if found {
		return r.feature(&single)
	}
	return nil
}

// start finds the picture before the first feature.
func (r *geojsonReader) start() (err error) {
	if r.p == nil {
		r.planes = map[[2]int]bool{}
		r.p, err = r.picture()
	}
	return err
}

// features reads what follows the bracket of a list.
func (r *geojsonReader) features() error {
	if err := r.start(); err != nil {
		return err
	}
	for r.decoder.More() {
		var text json.RawMessage
		if err := r.decoder.Decode(&text); err != nil {
			return err
		}
		var f geojsonFeature
		if err := json.Unmarshal(text, &f); err != nil {
			r.problem(err)
		} else if err := r.feature(&f); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

type geojsonFeature struct {
	Geometry   geojsonGeometry
	Properties struct {
		Name           json.RawMessage
		Classification json.RawMessage
		Measurements   json.RawMessage
		IsCrowd        bool
	}
}

type geojsonGeometry struct {
	Type        string
	Coordinates json.RawMessage
	Geometries  []geojsonGeometry
	Plane       json.RawMessage // of QuPath: the slice and the time in a stack
}

func (r *geojsonReader) problem(err error) {
	r.problems = append(r.problems, coco.Problem{Record: "object", Index: r.seen, Key: "feature", Message: err.Error()})
	r.seen++
}

func (r *geojsonReader) feature(f *geojsonFeature) error {
	if err := r.start(); err != nil {
		return err
	}
	v, err := f.instance(r.p.Width, r.p.Height)
	if err != nil {
		r.problem(err)
		return nil
	}
	r.seen++
	var plane struct{ Z, T int }
	_ = json.Unmarshal(f.Geometry.Plane, &plane) // without one it is the first
	r.planes[[2]int{plane.Z, plane.T}] = true
	r.p.Instances = append(r.p.Instances, *v)
	return nil
}

func (f *geojsonFeature) instance(width, height int) (*coco.LabeledInstance, error) {
	parts, err := f.Geometry.parts(width, height, 0)
	if err != nil {
		return nil, err
	}
	v := &coco.LabeledInstance{Category: NoClass, Crowd: f.Properties.IsCrowd, Mask: parts[0]}
	if len(parts) > 1 {
		if v.Mask, err = mask.Merge(parts, false); err != nil {
			return nil, err
		}
	}
	if v.Mask.Area() == 0 {
		return nil, errNoPixels
	}
	if name := f.class(); name != "" {
		v.Category = name
	}
	v.Label = labelNamed(string(bytes.Trim(f.Properties.Name, `"`)))
	v.Score, v.HasScore = f.score()
	return v, nil
}

// class returns the name of the classification, in any form that QuPath has written, or "".
func (f *geojsonFeature) class() string {
	var class struct {
		Name  string
		Names []string // of a derived class, which QuPath shows as "Tumor: Positive"
	}
	if json.Unmarshal(f.Properties.Classification, &class) != nil {
		_ = json.Unmarshal(f.Properties.Classification, &class.Name) // others have no class
	}
	if class.Name == "" {
		return strings.Join(class.Names, ": ")
	}
	return class.Name
}

// score returns the measurement of that name, in either form that QuPath has written.
func (f *geojsonFeature) score() (float64, bool) {
	var named map[string]any
	if json.Unmarshal(f.Properties.Measurements, &named) == nil {
		for _, key := range []string{"Score", "score"} {
			if v, ok := named[key].(float64); ok {
				return v, true
			}
		}
		return 0, false
	}
	var list []struct {
		Name  string
		Value any
	}
	_ = json.Unmarshal(f.Properties.Measurements, &list) // others have no score
	for _, m := range list {
		if v, ok := m.Value.(float64); ok && (m.Name == "Score" || m.Name == "score") {
			return v, true
		}
	}
	return 0, false
}

// parts returns the masks of the polygons of a geometry.
func (g *geojsonGeometry) parts(width, height, depth int) ([]mask.RLE, error) {
	var polygons [][][][]float64
	switch {
	case g.Type == "Polygon":
		polygons = make([][][][]float64, 1)
		if err := json.Unmarshal(g.Coordinates, &polygons[0]); err != nil {
			return nil, err
		}
	case g.Type == "MultiPolygon":
		if err := json.Unmarshal(g.Coordinates, &polygons); err != nil {
			return nil, err
		}
	case g.Type == "GeometryCollection" && depth < 8:
		var out []mask.RLE
		for i := range g.Geometries {
			more, err := g.Geometries[i].parts(width, height, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		if len(out) == 0 {
			return nil, errors.New("an empty geometry")
		}
		return out, nil
	default:
		return nil, fmt.Errorf("a geometry %q, which has no area", g.Type)
	}
	var out []mask.RLE
	for _, polygon := range polygons {
		var rings [][]float64
		for _, ring := range polygon {
			points := make([]float64, 0, 2*len(ring))
			for _, at := range ring {
				if len(at) < 2 {
					return nil, errors.New("a point without two coordinates")
				}
				points = append(points, at[0], at[1])
			}
			rings = append(rings, points)
		}
		m, err := mask.FromRings(rings, width, height)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, errors.New("an empty geometry")
	}
	return out, nil
}
