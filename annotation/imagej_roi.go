package annotation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
)

// The file of a region of interest of ImageJ, as its RoiEncoder writes it: a header of 64
// bytes, coordinates, a second header with the places of name and properties. Numbers are
// big-endian.
const (
	roiHeader    = 64
	roiVersion   = 228
	roiMaxBytes  = 64 << 20
	roiSubpixel  = 128 // of the options
	roiMaxShort  = math.MaxInt16
	roiMoveTo    = 0 // of a shape's segments
	roiLineTo    = 1
	roiQuadTo    = 2
	roiCubicTo   = 3
	roiClosePath = 4
)

// Subtypes of rectangles that are no regions: text, and a picture laid over the picture.
const (
	roiText  = 1
	roiImage = 4
)

// Types of regions that have an area.
const (
	roiPolygon  = 0
	roiRect     = 1
	roiOval     = 2
	roiFreehand = 7
	roiTraced   = 8
)

// A roi is a region of interest: the pixels inside an odd number of rings.
type roi struct {
	name       string
	rings      [][]float64
	properties map[string]string
	plane      [2]int // slice and time of a stack, from 1; 0 for none
}

// encode returns the file of a region whose rings have whole coordinates. A single ring is a
// traced polygon, several are a composite.
func (r *roi) encode() []byte {
	left, top, right, bottom := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, ring := range r.rings {
		for i := 0; i < len(ring); i += 2 {
			left, right = min(left, ring[i]), max(right, ring[i])
			top, bottom = min(top, ring[i+1]), max(bottom, ring[i+1])
		}
	}
	be := binary.BigEndian
	out := make([]byte, roiHeader)
	copy(out, "Iout")
	be.PutUint16(out[4:], roiVersion)
	for i, v := range []float64{top, left, bottom, right} {
		be.PutUint16(out[8+2*i:], uint16(int16(min(v, roiMaxShort))))
	}
	if n := len(r.rings[0]) / 2; len(r.rings) == 1 && max(right, bottom) <= roiMaxShort && n <= math.MaxUint16 {
		out[6] = roiTraced
		be.PutUint16(out[16:], uint16(n))
		for axis, origin := range []float64{left, top} {
			for i := range n {
				out = be.AppendUint16(out, uint16(r.rings[0][2*i+axis]-origin))
			}
		}
	} else {
		out[6] = roiRect
		for _, ring := range r.rings {
			for i := 0; i < len(ring); i += 2 {
				segment := float32(roiLineTo)
				if i == 0 {
					segment = roiMoveTo
				}
				for _, v := range []float32{segment, float32(ring[i]), float32(ring[i+1])} {
					out = be.AppendUint32(out, math.Float32bits(v))
				}
			}
			out = be.AppendUint32(out, math.Float32bits(roiClosePath))
		}
		be.PutUint32(out[36:], uint32(len(out)-roiHeader)/4)
	}
	second := len(out)
	be.PutUint32(out[60:], uint32(second))
	out = append(out, make([]byte, roiHeader)...)
	text := func(at int, s string) {
		letters := utf16.Encode([]rune(s))
		be.PutUint32(out[second+at:], uint32(len(out)))
		be.PutUint32(out[second+at+4:], uint32(len(letters)))
		for _, v := range letters {
			out = be.AppendUint16(out, v)
		}
	}
	text(16, r.name)
	if len(r.properties) > 0 {
		var lines strings.Builder
		for _, key := range []string{"class", "score"} {
			if v, ok := r.properties[key]; ok {
				fmt.Fprintf(&lines, "%s: %s\n", key, escapeProperty(v))
			}
		}
		text(40, lines.String())
	}
	return out
}

var errNoArea = errors.New("a line, points, text or an overlaid picture: it has no area")

// decodeROI reads the file of a region.
func decodeROI(data []byte) (*roi, error) {
	if len(data) < roiHeader || string(data[:4]) != "Iout" {
		return nil, errors.New("not a region of ImageJ")
	}
	be := binary.BigEndian
	short := func(at int) float64 { return float64(int16(be.Uint16(data[at:]))) }
	float := func(at int) float64 { return float64(math.Float32frombits(be.Uint32(data[at:]))) }
	r := &roi{properties: map[string]string{}}
	r.readTexts(data)
	r.readPlane(data)
	version, subpixel := be.Uint16(data[4:]), be.Uint16(data[50:])&roiSubpixel != 0
	top, left, bottom, right := short(8), short(10), short(12), short(14)
	if size := int(int32(be.Uint32(data[36:]))); size > 0 {
		if size > (len(data)-roiHeader)/4 {
			return nil, errors.New("the file is cut off")
		}
		values := make([]float64, size)
		for i := range values {
			values[i] = float(roiHeader + 4*i)
		}
		return r, r.shape(values)
	}
	switch data[6] {
	case roiPolygon, roiFreehand, roiTraced:
		n := int(be.Uint16(data[16:]))
		if n == 0 {
			n = int(int32(be.Uint32(data[18:])))
		}
		if n < 3 || n > (len(data)-roiHeader)/4 {
			return nil, fmt.Errorf("%d corners in %d bytes", n, len(data))
		}
		exact := subpixel && version >= 222 && len(data) >= roiHeader+12*n
		ring := make([]float64, 2*n)
		for i := range n {
			if exact {
				ring[2*i], ring[2*i+1] = float(roiHeader+4*n+4*i), float(roiHeader+8*n+4*i)
			} else {
				ring[2*i] = left + float64(be.Uint16(data[roiHeader+2*i:]))
				ring[2*i+1] = top + float64(be.Uint16(data[roiHeader+2*n+2*i:]))
			}
		}
		r.rings = [][]float64{ring}
	case roiRect, roiOval:
		if kind := be.Uint16(data[48:]); data[6] == roiRect && (kind == roiText || kind == roiImage) {
			return nil, errNoArea
		}
		if subpixel && version >= 222 {
			left, top = float(18), float(22)
			right, bottom = left+float(26), top+float(30)
		}
		r.rings = [][]float64{{left, top, right, top, right, bottom, left, bottom}}
		switch corner := short(54); {
		case data[6] == roiOval:
			r.rings[0] = ellipse((left+right)/2, (top+bottom)/2, (right-left)/2, (bottom-top)/2)
		case corner > 0:
			r.rings[0] = rounded(left, top, right, bottom, corner/2)
		}
	default:
		return nil, errNoArea
	}
	return r, nil
}

// ellipse returns a polygon that is nowhere farther than 1/100 of a pixel from an ellipse.
func ellipse(x, y, a, b float64) []float64 {
	n := 8 + int(math.Ceil(math.Pi*math.Sqrt(50*max(math.Abs(a), math.Abs(b), 1))))
	var out []float64
	for i := range min(n, 1<<16) {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		out = append(out, x+a*cos, y+b*sin)
	}
	return out
}

// rounded returns a rectangle whose corners are arcs of a radius, at most as large as it has room for.
func rounded(left, top, right, bottom, radius float64) []float64 {
	a, b := min(radius, (right-left)/2), min(radius, (bottom-top)/2)
	out := ellipse(0, 0, a, b)
	for i := 0; i < len(out); i += 2 { // the quarters move apart, to the corners
		for axis, side := range [2][2]float64{{left + a, right - a}, {top + b, bottom - b}} {
			at := side[0]
			if out[i+axis] > 0 {
				at = side[1]
			}
			out[i+axis] += at
		}
	}
	return out
}

// readPlane reads the place in a stack: of a hyperstack from the second header, else the number
// of the slice.
func (r *roi) readPlane(data []byte) {
	be := binary.BigEndian
	if second := int(be.Uint32(data[60:])); second >= roiHeader && second <= len(data)-16 {
		r.plane = [2]int{int(be.Uint32(data[second+8:])), int(be.Uint32(data[second+12:]))}
	}
	if r.plane == [2]int{} {
		r.plane[0] = int(be.Uint32(data[56:]))
	}
}

// readTexts reads name and properties from the places that the second header has.
func (r *roi) readTexts(data []byte) {
	be := binary.BigEndian
	second := int(be.Uint32(data[60:]))
	if second < roiHeader || second > len(data)-48 {
		return
	}
	text := func(at int) string {
		from, n := int(be.Uint32(data[second+at:])), int(be.Uint32(data[second+at+4:]))
		if from < roiHeader || n < 1 || from > len(data) || n > (len(data)-from)/2 {
			return ""
		}
		letters := make([]uint16, n)
		for i := range letters {
			letters[i] = be.Uint16(data[from+2*i:])
		}
		return string(utf16.Decode(letters))
	}
	r.name = text(16)
	for line := range strings.Lines(text(40)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			r.properties[strings.TrimSpace(key)] = unescapeProperty(strings.TrimSpace(value))
		}
	}
}

// shape reads the rings of a composite: segments of a path. Curves become lines.
func (r *roi) shape(values []float64) error {
	var ring []float64
	close := func() {
		if len(ring) >= 6 {
			r.rings = append(r.rings, ring)
		}
		ring = nil
	}
	for i := 0; i < len(values); {
		kind := values[i]
		n := map[float64]int{roiMoveTo: 2, roiLineTo: 2, roiQuadTo: 4, roiCubicTo: 6, roiClosePath: 0}[kind]
		if n == 0 && kind != roiClosePath {
			return fmt.Errorf("a shape with a segment of kind %v", kind)
		}
		if i+1+n > len(values) {
			return errors.New("a shape that is cut off")
		}
		at := values[i+1 : i+1+n]
		i += 1 + n
		switch {
		case kind == roiClosePath:
			close()
			continue
		case kind == roiMoveTo:
			close()
			ring = append(ring, at...)
			continue
		case len(ring) == 0:
			return errors.New("a shape without a start")
		case kind == roiLineTo:
			ring = append(ring, at...)
			continue
		}
		ring = append(ring, curve(ring[len(ring)-2:], at)...)
	}
	close()
	if len(r.rings) == 0 {
		return errNoArea
	}
	return nil
}

// curve returns points of a Bézier curve from a start, by the method of de Casteljau.
func curve(start, rest []float64) []float64 {
	const steps = 16
	var out []float64
	for k := 1; k <= steps; k++ {
		t := float64(k) / steps
		points := append(append([]float64(nil), start...), rest...)
		for n := len(points) - 2; n > 0; n -= 2 {
			for i := range n {
				points[i] += t * (points[i+2] - points[i])
			}
		}
		out = append(out, points[0], points[1])
	}
	return out
}
