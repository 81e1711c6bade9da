package tiff

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
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
	f.fill(s, "CZT")
	return true
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
