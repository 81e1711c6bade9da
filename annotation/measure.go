package annotation

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// Measurements are what is measured of the instances of a picture.
type Measurements struct {
	Rows      []mask.Measurement // by place in LabeledImage.Instances
	Channels  []string           // names of Rows[i].Intensities
	PixelSize float64            // side of a pixel in µm; 0 if lengths are in pixels
}

// Measure measures all instances of a picture and the channels under them. A pixel size in
// µm gives lengths in µm, 0 in pixels.
func Measure(p *coco.LabeledImage, pixelSize float64, channels []picture.Channel) *Measurements {
	m := &Measurements{Rows: make([]mask.Measurement, len(p.Instances)), PixelSize: pixelSize}
	samples := make([]func(dst []float64, x, y int), len(channels))
	for i, c := range channels {
		m.Channels, samples[i] = append(m.Channels, c.Name), c.Samples
	}
	for i := range p.Instances {
		m.Rows[i] = mask.Measure(p.Instances[i].Mask.Bitmap(), samples...)
		if pixelSize > 0 {
			m.Rows[i] = m.Rows[i].Scale(pixelSize)
		}
	}
	return m
}

// Unit returns the unit of lengths as it ends the names of columns: um or px.
func (m *Measurements) Unit() string {
	if m.PixelSize > 0 {
		return "um"
	}
	return "px"
}

// A figure is one number of a measurement with the name of its column.
type figure struct {
	column string
	value  float64
}

// shape are the numbers of the shape of row i in the order of their columns.
func (m *Measurements) shape(i int) []figure {
	v, length := &m.Rows[i], "_"+m.Unit()
	area := length
	if m.PixelSize > 0 {
		area += "2"
	}
	return []figure{
		{"centroid_x" + length, v.X}, {"centroid_y" + length, v.Y}, {"area" + area, v.Area},
		{"perimeter" + length, v.Perimeter}, {"equivalent_diameter" + length, v.EquivalentDiameter},
		{"major_axis" + length, v.MajorAxis}, {"minor_axis" + length, v.MinorAxis}, {"orientation_rad", v.Orientation},
		{"eccentricity", v.Eccentricity}, {"solidity", v.Solidity}, {"feret_diameter" + length, v.FeretDiameter},
	}
}

// intensities returns the intensities of row i in the order of their columns.
func (m *Measurements) intensities(i int) []figure {
	var out []figure
	for k, name := range m.Channels {
		v := &m.Rows[i].Intensities[k]
		out = append(out, figure{"mean_" + name, v.Mean}, figure{"min_" + name, v.Min}, figure{"max_" + name, v.Max},
			figure{"sum_" + name, v.Sum}, figure{"deviation_" + name, v.Deviation})
	}
	return out
}

// WriteMeasurements writes a table as CSV: a line for each instance with its label (see
// LabeledImage.Labels), class, score, shape, whether it touches the picture's edge, and for
// each channel mean, least and greatest sample, sum and standard deviation. The names of the
// columns end with units. Numbers have all their digits. Instances without pixels are left out.
func WriteMeasurements(w io.Writer, p *coco.LabeledImage, m *Measurements) error {
	if err := present(p); err != nil {
		return err
	}
	if m == nil || len(m.Rows) != len(p.Instances) {
		return fmt.Errorf("annotation: %s: there are not as many measurements as instances", p.FileName)
	}
	c := csv.NewWriter(nilcheck.Writer(w))
	blank := *m
	blank.Rows = []mask.Measurement{{Intensities: make([]mask.Intensity, len(m.Channels))}}
	line := []string{"label", "class", "score"}
	for _, f := range blank.shape(0) {
		line = append(line, f.column)
	}
	line = append(line, "touches_edge")
	for _, f := range blank.intensities(0) {
		line = append(line, f.column)
	}
	c.Write(line) // which keeps its error for the end
	labels := p.Labels()
	for i := range p.Instances {
		v := &p.Instances[i]
		if m.Rows[i].Area == 0 {
			continue
		}
		line = append(line[:0], strconv.FormatUint(uint64(labels[i]), 10), className(v), "")
		if v.HasScore {
			line[2] = number(v.Score)
		}
		for _, f := range m.shape(i) {
			line = append(line, number(f.value))
		}
		line = append(line, strconv.FormatBool(m.Rows[i].TouchesEdge))
		for _, f := range m.intensities(i) {
			line = append(line, number(f.value))
		}
		c.Write(line)
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("annotation: %s: measurements: %w", p.FileName, err)
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// className is the name of an instance's class, or its id if it has no name.
func className(v *coco.LabeledInstance) string {
	if v.Category == "" && v.CategoryID != 0 {
		return strconv.FormatInt(v.CategoryID, 10)
	}
	return v.Category
}
