package serve

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/diffusioninst/go/mask"
)

// Types of regions.
const (
	polygonLabels = "polygonlabels"
	brushLabels   = "brushlabels"
)

// A labelInterface is what a labelling interface of Label Studio says of instances.
type labelInterface struct {
	kind     string            // polygonLabels or brushLabels
	from, to string            // names of the labels and of the picture
	key      string            // of the picture in the data of a task
	labels   map[string]string // by class in lower case
}

// parseInterface reads the XML of a labelling interface: its first PolygonLabels, or else its first
// BrushLabels. A label is for the class of its value, in upper or lower case, and for the classes of its
// predicted_values.
func parseInterface(text string) (*labelInterface, error) {
	bad := func(format string, args ...any) error {
		return problem(http.StatusUnprocessableEntity, "bad_interface", "the labelling interface: "+format, args...)
	}
	if len(text) > maxInterface {
		return nil, bad("it has %d bytes: at most %d", len(text), maxInterface)
	}
	var found []*labelInterface
	var open *labelInterface
	pictures := map[string]string{}
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bad("%v", err)
		}
		switch at := token.(type) {
		case xml.StartElement:
			attributes := map[string]string{}
			for _, a := range at.Attr {
				attributes[strings.ToLower(a.Name.Local)] = a.Value
			}
			switch kind := strings.ToLower(at.Name.Local); kind {
			case polygonLabels, brushLabels:
				open = &labelInterface{kind: kind, from: attributes["name"], to: attributes["toname"], labels: map[string]string{}}
				found = append(found, open)
			case "image":
				pictures[attributes["name"]] = strings.TrimPrefix(attributes["value"], "$")
			case "label":
				if open == nil {
					continue
				}
				for _, class := range append(strings.Split(attributes["predicted_values"], ","), attributes["value"]) {
					if class = strings.ToLower(strings.TrimSpace(class)); class != "" {
						open.labels[class] = attributes["value"]
					}
				}
			}
		case xml.EndElement:
			if kind := strings.ToLower(at.Name.Local); kind == polygonLabels || kind == brushLabels {
				open = nil
			}
		}
	}
	for _, kind := range []string{polygonLabels, brushLabels} {
		for _, l := range found {
			if l.kind != kind {
				continue
			}
			key, ok := pictures[l.to]
			if !ok {
				return nil, bad("%s is for %q, which is not an Image", l.from, l.to)
			}
			l.key = key
			return l, nil
		}
	}
	return nil, bad("it has neither PolygonLabels nor BrushLabels")
}

// brushStrokes is a mask as Label Studio's BrushLabels have it: the bytes of an RGBA picture, all 0 or all
// 255 in a pixel, in the run lengths of https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack.
func brushStrokes(m *mask.Bitmap) []int {
	var bits bitWriter
	size := m.Bounds().Size()
	bits.write(uint64(4*size.X*size.Y), 32)
	bits.write(8-1, 5) // bits of a value
	for range 4 {
		bits.write(16-1, 4) // bits of a length
	}
	run := func(pixels int, value uint64) {
		for n := 4 * pixels; n > 0; {
			length := min(n, 1<<16)
			bits.write(1, 1) // a run, and not single values
			bits.write(0, 2) // which of the four lengths
			bits.write(uint64(length-1), 16)
			bits.write(value, 8)
			n -= length
		}
	}
	done := 0
	for y := range size.Y {
		for from, to := range m.Row(y) {
			run(y*size.X+from-done, 0)
			run(to-from, 255)
			done = y*size.X + to
		}
	}
	run(size.X*size.Y-done, 0)
	return bits.out
}

// A bitWriter packs bits, the highest first.
type bitWriter struct {
	out  []int
	free int // bits of the last byte
}

func (b *bitWriter) write(value uint64, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if b.free == 0 {
			b.out, b.free = append(b.out, 0), 8
		}
		b.free--
		b.out[len(b.out)-1] |= int(value>>i&1) << b.free
	}
}
