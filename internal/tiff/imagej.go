package tiff

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// readImageJ reads the lines "key=value" that ImageJ writes: channels change fastest, times
// slowest.
func (f *File) readImageJ(description string, s *Stack) bool {
	if !strings.HasPrefix(description, "ImageJ=") {
		return false
	}
	values := map[string]string{}
	for line := range strings.Lines(description) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}
	number := func(key string) int {
		n, err := strconv.Atoi(values[key])
		if err != nil || n < 1 {
			return 1
		}
		return min(n, 1<<22)
	}
	channels := number("channels")
	s.Slices, s.Times = number("slices"), number("frames")
	if images := number("images"); channels*s.Slices*s.Times != images {
		channels, s.Slices, s.Times = 1, images, 1
	}
	if channels > 1<<16 {
		return false
	}
	s.Channels = make([]string, channels)
	if scale, ok := micrometres[values["unit"]]; ok {
		if p, err := f.Page(0); err == nil && p.Resolution[0] > 0 && p.Resolution[1] > 0 {
			s.PixelSize = [2]float64{scale / p.Resolution[0], scale / p.Resolution[1]}
		}
	}
	if f.fill(s, "CZT") {
		s.Labels = f.imageJLabels(len(s.Planes))
		s.nameChannels()
	}
	return true
}

// imageJLabels reads the labels of n planes from the metadata of ImageJ: a header of kinds
// with their numbers of entries, then the entries, of which texts are UTF-16.
func (f *File) imageJLabels(n int) []string {
	sizes, err := f.integers(f.pages[0], tagImageJSizes)
	if err != nil || len(sizes) < 2 {
		return nil
	}
	data, _, err := f.raw(f.pages[0], tagImageJ)
	if err != nil || sizes[0] < 4 || sizes[0] > uint64(len(data)) {
		return nil
	}
	header, data := data[:sizes[0]], data[sizes[0]:]
	sizes = sizes[1:]
	kind := func(b []byte) string { // four letters, in the file's order
		if f.order == binary.ByteOrder(binary.LittleEndian) {
			return string([]byte{b[3], b[2], b[1], b[0]})
		}
		return string(b[:4])
	}
	if kind(header) != "IJIJ" {
		return nil
	}
	for header = header[4:]; len(header) >= 8; header = header[8:] {
		count := uint64(f.order.Uint32(header[4:]))
		if count > uint64(len(sizes)) {
			return nil
		}
		isLabels := kind(header) == "labl" && count == uint64(n)
		var labels []string
		for _, size := range sizes[:count] {
			if size > uint64(len(data)) {
				return nil
			}
			if isLabels {
				labels = append(labels, f.utf16(data[:size]))
			}
			data = data[size:]
		}
		if isLabels {
			return labels
		}
		sizes = sizes[count:]
	}
	return nil
}

func (f *File) utf16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = f.order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// placePrefix is what Bio-Formats puts before labels, as in "c:1/2 z:3/9 - ".
var placePrefix = regexp.MustCompile(`^(?:[czt]:\d+/\d+ ?)+(?:- )?`)

// nameChannels names the channels by the labels of their first planes, if these differ.
func (s *Stack) nameChannels() {
	if len(s.Channels) < 2 || s.Labels == nil {
		return
	}
	names := make([]string, len(s.Channels))
	seen := map[string]bool{"": true}
	for i, p := range s.Planes {
		if p.Z == 0 && p.T == 0 {
			label, _, _ := strings.Cut(s.Labels[i], "\n") // the rest is about the picture
			names[p.C] = strings.TrimSpace(placePrefix.ReplaceAllString(label, ""))
		}
	}
	for _, name := range names {
		if seen[name] {
			return
		}
		seen[name] = true
	}
	s.Channels = names
}

// readShaped reads the JSON that tifffile writes about arrays of several dimensions.
func (f *File) readShaped(description string, s *Stack) bool {
	var shaped struct {
		Shape []int
		Axes  string
	}
	if !strings.HasPrefix(description, `{"shape":`) || json.Unmarshal([]byte(description), &shaped) != nil {
		return false
	}
	n := len(shaped.Axes)
	if n < 3 || n != len(shaped.Shape) {
		return false
	}
	end := strings.Index(shaped.Axes, "YX")
	if end < 0 {
		return false
	}
	channels := 1
	order := ""
	for i, axis := range shaped.Axes[:end] {
		size := shaped.Shape[i]
		if size < 1 || size > math.MaxInt16 {
			return false
		}
		switch axis {
		case 'C':
			channels = size
		case 'Z':
			s.Slices = size
		case 'T':
			s.Times = size
		default:
			return false
		}
		order += string(axis)
	}
	s.Channels = make([]string, channels)
	return f.fill(s, reversed(order))
}
