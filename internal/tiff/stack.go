package tiff

import "slices"

// A Stack is what the pages of a file are along axes of channels, slices and times.
type Stack struct {
	Axes     bool     // the file says which axes there are
	Channels []string // along the axis; names may be empty. Of several scenes the most: see ChannelsOf
	Slices   int
	Times    int
	Scenes   int
	Planes   []Plane // in the file's order
	// Labels are texts about the planes, which may be empty; nil if the file has none.
	Labels []string
	// Elsewhere counts the planes that are in other files.
	Elsewhere int
	// PixelSize is the width and height of a pixel in micrometres; 0 if unknown.
	PixelSize [2]float64

	scenes [][]string // channels of each scene, if they may differ
}

// ChannelsOf returns the channels along the axis of a scene.
func (s *Stack) ChannelsOf(scene int) []string {
	if scene < len(s.scenes) {
		return s.scenes[scene]
	}
	return s.Channels
}

// A Plane is a picture of the file and its place on the axes, from 0.
type Plane struct {
	Page       int // whose directory it has
	Behind     int // planes between it and the directory's own pixels
	C, Z, T, S int
}

// Stack returns the axes that OME-TIFF, ImageJ, MetaMorph and tifffile wrote down. A file that
// says nothing, or contradicts itself, has as many planes as pages, without axes.
func (f *File) Stack() *Stack {
	s := &Stack{Slices: 1, Times: 1, Scenes: 1}
	description := f.Description(0)
	for _, read := range []func(string, *Stack) bool{f.readOME, f.readImageJ, f.readShaped, f.readMetaMorph} {
		if t := (&Stack{Slices: 1, Times: 1, Scenes: 1}); read(description, t) {
			s.PixelSize = t.PixelSize
			if len(t.Planes) > 0 {
				s = t
				break
			}
		}
	}
	if len(s.Planes) == 0 {
		for i := range f.pages {
			s.Planes = append(s.Planes, Plane{Page: i})
		}
	}
	if s.PixelSize == [2]float64{} {
		s.PixelSize = f.resolution()
	}
	return s
}

// resolution is the first page's pixel size if it is given per centimetre. Pixels per inch
// are meant for printing, and mostly made up.
func (f *File) resolution() [2]float64 {
	p, err := f.Page(0)
	if err != nil || p.Unit != 3 || p.Resolution[0] == 0 || p.Resolution[1] == 0 {
		return [2]float64{}
	}
	return [2]float64{1e4 / p.Resolution[0], 1e4 / p.Resolution[1]}
}

// fill lays planes along the axes in an order such as "CZT", the first fastest: as many as
// there are pages or, of a single page, as there may be pixels behind it.
func (f *File) fill(s *Stack, order string) bool {
	n := len(s.Channels) * s.Slices * s.Times
	switch {
	case n < 1 || len(s.Channels) > 1<<16 || s.Slices > 1<<20 || s.Times > 1<<20:
		return false
	case len(f.pages) != 1 && n > len(f.pages), n > 1<<22:
		return false
	case len(f.pages) == 1 && n > 1:
		p, err := f.Page(0)
		if err != nil {
			return false
		}
		if _, err := p.Consecutive(n - 1); err != nil {
			return false
		}
	}
	s.Axes = true
	for i := range n {
		p := Plane{Page: i}
		if len(f.pages) == 1 {
			p = Plane{Behind: i}
		}
		p.C, p.Z, p.T = s.place(i, order)
		s.Planes = append(s.Planes, p)
	}
	return true
}

// place returns where plane i is if the axes follow each other in an order, the first fastest.
func (s *Stack) place(i int, order string) (c, z, t int) {
	for _, axis := range order {
		switch axis {
		case 'C':
			c, i = i%len(s.Channels), i/len(s.Channels)
		case 'Z':
			z, i = i%s.Slices, i/s.Slices
		case 'T':
			t, i = i%s.Times, i/s.Times
		}
	}
	return c, z, t
}

// readMetaMorph reads a stack of MetaMorph, whose directory is that of all planes.
func (f *File) readMetaMorph(_ string, s *Stack) bool {
	e, ok := f.pages[0].find(tagUIC2)
	if !ok || len(f.pages) > 1 || e.count < 1 || e.count > 1<<20 {
		return false
	}
	s.Channels, s.Slices = []string{""}, int(e.count)
	return f.fill(s, "ZCT")
}

// micrometres are the units of length of ImageJ and OME.
var micrometres = map[string]float64{
	"µm": 1, "\u03bcm": 1, "\xb5m": 1, `\u00B5m`: 1, "um": 1, "micron": 1, "microns": 1, "micrometer": 1, "nm": 1e-3, "pm": 1e-6, "mm": 1e3, "cm": 1e4, "m": 1e6,
	"inch": 25400, "in": 25400, "Å": 1e-4,
}

// reversed returns order with the first axis last.
func reversed(order string) string {
	b := []byte(order)
	slices.Reverse(b)
	return string(b)
}
