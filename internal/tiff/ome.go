package tiff

import (
	"encoding/xml"
	"strings"
)

// omeXML is the part of OME-XML that says what the pages are.
type omeXML struct {
	Images []struct{ Pixels omePixels } `xml:"Image"`
	UUID   string                       `xml:",attr"`
}

type omePixels struct {
	DimensionOrder                             string  `xml:",attr"`
	SizeC, SizeZ, SizeT                        int     `xml:",attr"`
	PhysicalSizeX, PhysicalSizeY               float64 `xml:",attr"`
	PhysicalSizeXUnit, PhysicalSizeYUnit, Type string  `xml:",attr"`
	Channels                                   []struct {
		Name            string `xml:",attr"`
		SamplesPerPixel int    `xml:",attr"`
	} `xml:"Channel"`
	TiffData []struct {
		IFD, PlaneCount        *int `xml:",attr"`
		FirstC, FirstZ, FirstT int  `xml:",attr"`
		UUID                   struct {
			FileName string `xml:",attr"`
			ID       string `xml:",chardata"`
		}
	}
}

// channelOf returns the channel that has a sample: FirstC counts the samples of channels.
func (p *omePixels) channelOf(sample int) int {
	left := sample
	for i, c := range p.Channels {
		if left -= max(c.SamplesPerPixel, 1); left < 0 {
			return i
		}
	}
	return sample
}

// samplesOf returns the samples per pixel of an image's first page.
func (f *File) samplesOf(p *omePixels) int {
	first := 0
	if len(p.TiffData) > 0 && p.TiffData[0].IFD != nil {
		first = *p.TiffData[0].IFD
	}
	if first < 0 || first >= f.Len() { // in another file
		first = 0
	}
	page, err := f.Page(first)
	if err != nil {
		return 1
	}
	return page.Samples
}

// readOME reads the OME-XML of an OME-TIFF file. Planes in other files are left out.
func (f *File) readOME(description string, s *Stack) bool {
	if !strings.Contains(description, "<OME") {
		return false
	}
	var ome omeXML
	d := xml.NewDecoder(strings.NewReader(description))
	d.Strict = false
	if d.Decode(&ome) != nil || len(ome.Images) == 0 {
		return false
	}
	s.Scenes = len(ome.Images)
	for scene := range ome.Images {
		p := &ome.Images[scene].Pixels
		own := Stack{Channels: []string{""}, Slices: p.SizeZ, Times: p.SizeT}
		if len(p.Channels) > 0 && len(p.Channels) <= p.SizeC {
			own.Channels = nil
			for _, c := range p.Channels {
				own.Channels = append(own.Channels, c.Name)
			}
		}
		if len(p.Channels) <= 1 && f.samplesOf(p) == 1 && p.SizeC > 1 {
			own.Channels = make([]string, min(p.SizeC, f.Len()))
		}
		order := strings.TrimPrefix(p.DimensionOrder, "XY")
		if own.Slices < 1 || own.Times < 1 || len(order) != 3 {
			return true
		}
		if len(own.Channels) > len(s.Channels) {
			s.Channels = own.Channels
		}
		s.scenes = append(s.scenes, own.Channels)
		s.Slices, s.Times = max(s.Slices, own.Slices), max(s.Times, own.Times)
		if scene == 0 {
			s.PixelSize = [2]float64{
				p.PhysicalSizeX * omeUnit(p.PhysicalSizeXUnit), p.PhysicalSizeY * omeUnit(p.PhysicalSizeYUnit),
			}
		}
		count := len(own.Channels) * min(own.Slices, 1<<20) * min(own.Times, 1<<20)
		for _, data := range p.TiffData {
			if data.UUID.FileName != "" && ome.UUID != "" && strings.TrimSpace(data.UUID.ID) != ome.UUID {
				planes := 1
				if data.PlaneCount != nil {
					planes = *data.PlaneCount
				}
				s.Elsewhere += min(max(planes, 0), 1<<20)
				continue
			}
			first, planes := 0, f.Len()
			if data.IFD != nil {
				first, planes = max(*data.IFD, 0), 1
			}
			if data.PlaneCount != nil {
				planes = *data.PlaneCount
			}
			start := own.index(order, p.channelOf(data.FirstC), data.FirstZ, data.FirstT)
			for k := 0; k < planes && start+k < count && first+k < f.Len() && len(s.Planes) <= f.Len(); k++ {
				plane := Plane{Page: first + k, S: scene}
				plane.C, plane.Z, plane.T = own.place(start+k, order)
				s.Planes = append(s.Planes, plane)
			}
		}
	}
	s.Axes = true
	return true
}

// index is the inverse of place.
func (s *Stack) index(order string, c, z, t int) int {
	i, size := 0, 1
	for _, axis := range order {
		switch axis {
		case 'C':
			i, size = i+size*max(c, 0), size*len(s.Channels)
		case 'Z':
			i, size = i+size*max(z, 0), size*s.Slices
		case 'T':
			i, size = i+size*max(t, 0), size*s.Times
		}
	}
	return max(i, 0)
}

func omeUnit(name string) float64 {
	if name == "" {
		return 1
	}
	return micrometres[name]
}
