package mask

import "math"

// A Measurement is the shape of one mask and its intensities, defined as scikit-image's
// regionprops defines them. Lengths and the centroid are in pixels, or in the unit of
// [Measurement.Scale]. A mask without pixels has zeros.
type Measurement struct {
	Area float64 // number of pixels, or square units

	// X and Y are the centroid, the mean of the pixels' centres. The centre of the upper left
	// pixel is (0, 0): in the coordinates of polygons and boxes the centroid is half a pixel
	// farther right and down.
	X, Y float64

	// Mu20, Mu11 and Mu02 are the second central moments Σ(x−X)², Σ(x−X)(y−Y) and Σ(y−Y)².
	Mu20, Mu11, Mu02 float64

	// Perimeter is the length of the line through the centres of the border pixels, those
	// with an unset 4-neighbour, holes included (Benkrid and Crookes 2000).
	Perimeter float64

	// EquivalentDiameter is that of the disc with the same area: √(4 Area / π).
	EquivalentDiameter float64

	// MajorAxis and MinorAxis are the axes' lengths of the ellipse with the same second
	// moments, Eccentricity is its eccentricity, 0 for a disc. Orientation is the angle in
	// radians, −π/2 to π/2, from the downward axis to the major axis, positive towards the
	// right; ±π/4 if there is no longer axis.
	MajorAxis, MinorAxis, Orientation, Eccentricity float64

	// Solidity is Area over that of the convex hull, drawn as pixels.
	Solidity float64

	// FeretDiameter is the largest distance between two points of the convex hull's outline.
	FeretDiameter float64

	// TouchesEdge is true if a pixel lies in the first or last row or column of the picture.
	TouchesEdge bool

	// Intensities has an element for each channel: its samples under the mask.
	Intensities []Intensity
}

// An Intensity is the samples of one channel under a mask. Sum is exact for whole numbers
// while it is below 2⁵³. Deviation is the standard deviation over all pixels, √(Σ(v−Mean)²/n).
// Samples that are not numbers make all of them NaN.
type Intensity struct{ Mean, Min, Max, Sum, Deviation float64 }

// Measure measures a mask, and each channel of a picture under it. A channel writes to dst the
// samples of row y from column x on, as many as dst has room for; picture.Channel has such
// functions for the samples of a file.
func Measure(b *Bitmap, channels ...func(dst []float64, x, y int)) Measurement {
	box := b.Box()
	m := Measurement{Intensities: make([]Intensity, len(channels))}
	if box.Empty() {
		return m
	}
	m.TouchesEdge = box.Min.X == 0 || box.Min.Y == 0 || box.Max.X == b.Width || box.Max.Y == b.Height
	m.moments(b)
	m.EquivalentDiameter = math.Sqrt(4 * m.Area / math.Pi)
	m.ellipse()
	m.Perimeter = perimeter(b, box)
	hull := hullOf(b, box)
	m.Solidity = m.Area / hull.area()
	m.FeretDiameter = hull.feret()
	if len(channels) == 0 {
		return m
	}
	kept := make([]float64, box.Dx())
	if m.Area <= maxKept {
		kept = make([]float64, int(m.Area))
	}
	for i, samples := range channels {
		m.Intensities[i] = intensity(b, m.Area, samples, kept)
	}
	return m
}

// moments sets Area, the centroid and the second moments. Sums are exact: they are whole
// numbers and start at a pixel near the centroid, so that they stay small.
func (m *Measurement) moments(b *Bitmap) {
	var n, sx, sy int
	for r := range b.Runs() {
		n += r.X1 - r.X0
		sx += (r.X0 + r.X1 - 1) * (r.X1 - r.X0)
		sy += r.Y * (r.X1 - r.X0)
	}
	sx /= 2
	cx, cy := sx/n, sy/n
	var dx, dy, xx, xy, yy int
	for r := range b.Runs() {
		v, length := r.Y-cy, r.X1-r.X0
		first, last := r.X0-cx, r.X1-1-cx
		sum := (first + last) * length / 2
		dx += sum
		dy += v * length
		xx += squares(last) - squares(first-1)
		xy += v * sum
		yy += v * v * length
	}
	area := float64(n)
	ex, ey := float64(dx)/area, float64(dy)/area
	m.Area, m.X, m.Y = area, float64(cx)+ex, float64(cy)+ey
	m.Mu20 = float64(xx) - float64(dx)*ex
	m.Mu11 = float64(xy) - float64(dx)*ey
	m.Mu02 = float64(yy) - float64(dy)*ey
}

// squares is the sum of i² from 1 to n, continued to n below 0 so that differences are sums.
func squares(n int) int { return n * (n + 1) * (2*n + 1) / 6 }

// ellipse sets what follows from the second moments.
func (m *Measurement) ellipse() {
	xx, xy, yy := m.Mu20/m.Area, m.Mu11/m.Area, m.Mu02/m.Area
	middle, half := (xx+yy)/2, math.Hypot((xx-yy)/2, xy)
	long, short := middle+half, max(middle-half, 0)
	m.MajorAxis, m.MinorAxis = 4*math.Sqrt(long), 4*math.Sqrt(short)
	if long > 0 {
		m.Eccentricity = math.Sqrt(1 - short/long)
	}
	switch {
	case xx != yy:
		m.Orientation = math.Atan2(2*xy, yy-xx) / 2
	case xy > 0:
		m.Orientation = math.Pi / 4
	default:
		m.Orientation = -math.Pi / 4
	}
}

// maxKept is how many samples of an instance are kept between the two looks at them; the samples of a
// larger one are read twice.
const maxKept = 1 << 21

// intensity measures a channel under a mask of n pixels. kept has room for its samples, or for its
// width if there are more than maxKept.
func intensity(b *Bitmap, n float64, samples func(dst []float64, x, y int), kept []float64) Intensity {
	all := len(kept) == int(n)
	read := func(look func(values []float64)) {
		rest := kept
		for r := range b.Runs() {
			run := rest[:r.X1-r.X0]
			samples(run, r.X0, r.Y)
			look(run)
			if all {
				rest = rest[len(run):]
			}
		}
	}
	out := Intensity{Min: math.Inf(1), Max: math.Inf(-1)}
	read(func(values []float64) {
		for _, v := range values {
			out.Min, out.Max = min(out.Min, v), max(out.Max, v)
			out.Sum += v
		}
	})
	out.Mean = out.Sum / n
	squares := 0.0
	spread := func(values []float64) {
		for _, v := range values {
			squares += (v - out.Mean) * (v - out.Mean)
		}
	}
	if all {
		spread(kept)
	} else {
		read(spread)
	}
	out.Deviation = math.Sqrt(squares / n)
	return out
}

// Scale returns the measurement in a unit of length of which a pixel's side has the given
// number, such as 0.5 for pixels of 0.5 µm in µm. Intensities stay.
func (m Measurement) Scale(pixel float64) Measurement {
	for _, length := range []*float64{&m.X, &m.Y, &m.Perimeter, &m.EquivalentDiameter, &m.MajorAxis, &m.MinorAxis, &m.FeretDiameter} {
		*length *= pixel
	}
	m.Area *= pixel * pixel
	for _, moment := range []*float64{&m.Mu20, &m.Mu11, &m.Mu02} {
		*moment *= pixel * pixel
	}
	return m
}
