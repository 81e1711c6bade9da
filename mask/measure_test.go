package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// regions are what scikit-image measures: see testdata/measure/make.py.
type regions struct {
	Regions []struct {
		Label                                   uint16
		Area, X, Y, Mu20, Mu11, Mu02, Perimeter float64
		Orientation, Eccentricity, Solidity     float64
		EquivalentDiameter                      float64 `json:"equivalent_diameter"`
		MajorAxis                               float64 `json:"major_axis"`
		MinorAxis                               float64 `json:"minor_axis"`
		FeretDiameter                           float64 `json:"feret_diameter"`
		Mean, Min, Max, Deviation, Sum          []float64
	}
}

func grey16(t testing.TB, name string) *image.Gray16 {
	text, err := os.ReadFile("testdata/measure/" + name)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	return img.(*image.Gray16)
}

// Every number is that of scikit-image, and sums of whole numbers are exact.
func TestMeasureEqualsRegionprops(t *testing.T) {
	text, err := os.ReadFile("testdata/measure/regionprops.json")
	require.NoError(t, err)
	var want regions
	require.NoError(t, json.Unmarshal(text, &want))
	labels, masks, err := SplitLabelMap(grey16(t, "labels.png"))
	require.NoError(t, err)
	require.Len(t, masks, len(want.Regions))
	grey := grey16(t, "samples.png")
	whole := func(dst []float64, x, y int) {
		for i := range dst {
			dst[i] = float64(grey.Gray16At(x+i, y).Y)
		}
	}
	quarter := func(dst []float64, x, y int) {
		whole(dst, x, y)
		for i := range dst {
			dst[i] = dst[i]/4 - 5000
		}
	}
	for i, w := range want.Regions {
		require.Equal(t, w.Label, labels[i])
		m := Measure(masks[i].Bitmap(), whole, quarter)
		near := func(name string, want, got float64) {
			t.Helper()
			require.InDelta(t, want, got, 1e-6*max(1, math.Abs(want)), "%s of %d: %+v", name, w.Label, m)
		}
		near("x", w.X, m.X)
		near("y", w.Y, m.Y)
		near("mu20", w.Mu20, m.Mu20)
		near("mu11", w.Mu11, m.Mu11)
		near("mu02", w.Mu02, m.Mu02)
		near("perimeter", w.Perimeter, m.Perimeter)
		near("equivalent diameter", w.EquivalentDiameter, m.EquivalentDiameter)
		near("major axis", w.MajorAxis, m.MajorAxis)
		near("minor axis", w.MinorAxis, m.MinorAxis)
		near("orientation", math.Sin(2*w.Orientation), math.Sin(2*m.Orientation)) // π/2 is −π/2
		near("orientation", math.Cos(2*w.Orientation), math.Cos(2*m.Orientation))
		near("eccentricity", w.Eccentricity, m.Eccentricity)
		near("solidity", w.Solidity, m.Solidity)
		near("Feret diameter", w.FeretDiameter, m.FeretDiameter)
		require.Equal(t, w.Area, m.Area)
		for k, v := range m.Intensities {
			near("mean", w.Mean[k], v.Mean)
			near("deviation", w.Deviation[k], v.Deviation)
			require.Equal(t, w.Min[k], v.Min)
			require.Equal(t, w.Max[k], v.Max)
			require.Equal(t, w.Sum[k], v.Sum)
		}
	}
}

func TestMeasureEdges(t *testing.T) {
	require.Equal(t, Measurement{Intensities: []Intensity{{}}}, Measure(NewBitmap(4, 3), func([]float64, int, int) { panic("no pixel is looked at") }))
	require.Equal(t, 0.0, Measure(NewBitmap(0, 0)).Area)
	for _, r := range []image.Rectangle{image.Rect(0, 2, 3, 4), image.Rect(2, 0, 3, 3), image.Rect(5, 2, 9, 3), image.Rect(3, 5, 4, 7)} {
		b := NewBitmap(9, 7)
		b.Fill(r)
		require.True(t, Measure(b).TouchesEdge, "%v", r)
	}
	b := NewBitmap(200, 100)
	b.Fill(image.Rect(1, 1, 199, 99))
	m := Measure(b, func(dst []float64, x, y int) { dst[0] = math.NaN() })
	require.False(t, m.TouchesEdge)
	require.Equal(t, 1.0, m.Solidity)
	require.True(t, math.IsNaN(m.Intensities[0].Min) && math.IsNaN(m.Intensities[0].Max) && math.IsNaN(m.Intensities[0].Deviation))
}

func TestMeasurementScale(t *testing.T) {
	b := NewBitmap(50, 40)
	b.Fill(image.Rect(10, 5, 30, 15))
	m := Measure(b)
	s := m.Scale(.5)
	require.Equal(t, []float64{m.Area / 4, m.X / 2, m.Mu20 / 4 * m.Area / m.Area, m.Perimeter / 2, m.Orientation, m.Solidity, m.FeretDiameter / 2},
		[]float64{s.Area, s.X, s.Mu20, s.Perimeter, s.Orientation, s.Solidity, s.FeretDiameter})
}

func ExampleMeasure() {
	b := NewBitmap(100, 50)
	b.Fill(image.Rect(10, 10, 30, 20))
	m := Measure(b).Scale(0.5) // pixels of 0.5 µm
	fmt.Printf("%.0f µm², perimeter %.1f µm\n", m.Area, m.Perimeter)
	// Output: 50 µm², perimeter 28.0 µm
}

// The samples of an instance are read once, or twice if they are too many to be kept; the numbers
// are the same.
func TestMeasureReadsSamplesOnce(t *testing.T) {
	for _, side := range []int{40, 1500} {
		m := NewBitmap(side+2, side)
		m.Fill(image.Rect(1, 0, side+1, side))
		read := 0
		got := Measure(m, func(dst []float64, x, y int) {
			for i := range dst {
				dst[i] = float64((x + i) % 2)
			}
			read += len(dst)
		}).Intensities[0]
		require.Equal(t, Intensity{Mean: .5, Min: 0, Max: 1, Sum: float64(side*side) / 2, Deviation: .5}, got)
		if side*side <= maxKept {
			require.Equal(t, side*side, read)
		} else {
			require.Equal(t, 2*side*side, read)
		}
	}
}
