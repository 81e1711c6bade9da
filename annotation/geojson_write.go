package annotation

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/mask"
)

// WriteGeoJSON writes a picture's instances as a FeatureCollection of GeoJSON, as QuPath imports
// it: detections with a name, which is the label (see LabeledImage.Labels), a classification, and
// measurements: the score, and what m holds unless it is nil. Coordinates are pixels. Outlines
// run along the edges of the pixels, holes are inner rings, and an instance of several parts is
// a MultiPolygon. Instances without pixels are left out. The collection is written one feature
// after the other.
func WriteGeoJSON(w io.Writer, p *coco.LabeledImage, m *Measurements) error {
	if err := present(p); err != nil {
		return err
	}
	b := bufio.NewWriter(nilcheck.Writer(w))
	head, err := json.Marshal(madeFor{p.FileName, p.Width, p.Height, p.ImageID})
	if err != nil {
		return fmt.Errorf("annotation: %s: GeoJSON: %w", p.FileName, err)
	}
	fmt.Fprintf(b, "{\"type\":\"FeatureCollection\",\"image\":%s,\"features\":[", head)
	labels, between := p.Labels(), "\n"
	var text []byte
	for i := range p.Instances {
		regions := p.Instances[i].Mask.Bitmap().Regions()
		if len(regions) == 0 {
			continue
		}
		text = append(text[:0], between...)
		between = ",\n"
		if text, err = appendFeature(text, &p.Instances[i], labels[i], regions, m, i); err == nil {
			_, err = b.Write(text)
		}
		if err != nil {
			return fmt.Errorf("annotation: %s: GeoJSON: %w", p.FileName, err)
		}
	}
	b.WriteString("\n]}\n")
	if err := b.Flush(); err != nil {
		return fmt.Errorf("annotation: %s: GeoJSON: %w", p.FileName, err)
	}
	return nil
}

type qupathClass struct {
	Name  string `json:"name"`
	Color [3]int `json:"color"`
}

type qupathProperties struct {
	ObjectType     string             `json:"objectType"`
	Name           string             `json:"name"`
	Classification *qupathClass       `json:"classification,omitempty"`
	Crowd          bool               `json:"iscrowd,omitempty"`
	Measurements   map[string]float64 `json:"measurements,omitempty"`
}

// appendFeature appends an instance. JSON has no NaN: measurements that are none are left out.
func appendFeature(text []byte, v *coco.LabeledInstance, label uint32, regions []mask.Part, m *Measurements, row int) ([]byte, error) {
	text = append(text, `{"type":"Feature","geometry":{"type":`...)
	if len(regions) == 1 {
		text = appendPolygon(append(text, `"Polygon","coordinates":`...), regions[0])
	} else {
		text = append(text, `"MultiPolygon","coordinates":[`...)
		for k, r := range regions {
			if k > 0 {
				text = append(text, ',')
			}
			text = appendPolygon(text, r)
		}
		text = append(text, ']')
	}
	properties := qupathProperties{ObjectType: "detection", Name: strconv.FormatUint(uint64(label), 10), Crowd: v.Crowd, Measurements: map[string]float64{}}
	if name := className(v); name != "" {
		c := mask.Color(classColor(name))
		properties.Classification = &qupathClass{name, [3]int{int(c.R), int(c.G), int(c.B)}}
	}
	if v.HasScore {
		properties.Measurements["Score"] = v.Score
	}
	if m != nil {
		for _, f := range append(m.shape(row), m.intensities(row)...) {
			if f.value-f.value == 0 {
				properties.Measurements[f.column] = f.value
			}
		}
	}
	rest, err := json.Marshal(properties)
	if err != nil {
		return nil, err
	}
	return append(append(append(text, `},"properties":`...), rest...), '}'), nil
}

// classColor returns a number of the palette for a class, the same in every file.
func classColor(name string) int {
	sum := 0
	for _, c := range []byte(name) {
		sum = (31*sum + int(c)) % (1 << 20)
	}
	return sum
}

// appendPolygon appends the rings of a region, closed, and as GeoJSON wants them if y points
// up as in its own coordinates: the outer ring anticlockwise, which is clockwise on a screen.
func appendPolygon(text []byte, r mask.Part) []byte {
	text = append(text, '[')
	for i, ring := range append([][]float64{r.Outer}, r.Holes...) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '[')
		for k := 0; k <= len(ring); k += 2 {
			if k > 0 {
				text = append(text, ',')
			}
			text = append(strconv.AppendInt(append(text, '['), int64(ring[k%len(ring)]), 10), ',')
			text = append(strconv.AppendInt(text, int64(ring[k%len(ring)+1]), 10), ']')
		}
		text = append(text, ']')
	}
	return append(text, ']')
}
