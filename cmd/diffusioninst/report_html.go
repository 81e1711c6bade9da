package main

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/image/draw"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// The page of the format html is reportHead, the settings, a script element of JSON for each
// picture, and reportTail, whose script shows them.
var (
	//go:embed report_head.html
	reportHead string
	//go:embed report_tail.html
	reportTail string
)

// reportSide bounds the sides of pictures in the page, in pixels.
const reportSide = 1600

type reportPicture struct {
	Name      string         `json:"name"`
	Width     int            `json:"width"`
	Height    int            `json:"height"`
	Unit      string         `json:"unit"` // of areas
	Channel   string         `json:"channel,omitempty"`
	Image     string         `json:"image"` // a data URI
	Instances []reportObject `json:"instances"`
}

type reportObject struct {
	Label     uint32   `json:"label"`
	Class     string   `json:"class"`
	Score     *float64 `json:"score,omitempty"`
	Area      float64  `json:"area"`
	Perimeter float64  `json:"perimeter"`
	Mean      *float64 `json:"mean,omitempty"` // of the first channel
	Color     string   `json:"color"`
	Path      string   `json:"path"`
}

// addReport adds a picture to the page.
func (w *instanceWriter) addReport(p *coco.LabeledImage, source *pictureSource) error {
	img, err := w.drawable(p, source)
	if img == nil {
		return err
	}
	m, err := source.measure(p)
	if err != nil {
		return err
	}
	out := reportPicture{Name: p.FileName, Width: p.Width, Height: p.Height, Unit: "px", Instances: []reportObject{}}
	if m.PixelSize > 0 {
		out.Unit = "µm²"
	}
	if len(m.Channels) > 0 {
		out.Channel = m.Channels[0]
	}
	var small bytes.Buffer
	if err := jpeg.Encode(&small, shrunk(img), &jpeg.Options{Quality: 88}); err != nil {
		return err
	}
	out.Image = "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(small.Bytes())
	labels, tolerance := p.Labels(), max(float64(max(p.Width, p.Height))/reportSide, 1)/2
	for i := range p.Instances {
		v := &p.Instances[i]
		if m.Rows[i].Area == 0 {
			continue
		}
		c := mask.Color(i)
		o := reportObject{Label: labels[i], Class: v.Category, Area: m.Rows[i].Area, Perimeter: m.Rows[i].Perimeter,
			Color: fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B), Path: svgPath(v.Mask.Bitmap().Parts(tolerance))}
		if v.HasScore {
			o.Score = &v.Score
		}
		if len(m.Channels) > 0 {
			if mean := m.Rows[i].Intensities[0].Mean; mean-mean == 0 {
				o.Mean = &mean
			}
		}
		out.Instances = append(out.Instances, o)
	}
	text, err := json.Marshal(out) // which has no < that could end the element
	if err != nil {
		return err
	}
	if w.report == nil {
		if w.report, err = newSpool(w.path); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w.report, "<script type=\"application/json\" class=\"picture\">%s</script>\n", text)
	return err
}

// newSpool returns an open file that has lost its name, beside the output unless that is standard
// output: the pictures of a page wait there for its end, not in memory.
func newSpool(output string) (*os.File, error) {
	folder := ""
	if output != "-" {
		folder = filepath.Dir(output)
	}
	f, err := os.CreateTemp(folder, ".report-")
	if err != nil && folder != "" { // such as /dev of /dev/stdout
		f, err = os.CreateTemp("", ".report-")
	}
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // again when it is closed, for systems that do not remove open files
	return f, nil
}

func closeSpool(f *os.File) {
	if f != nil && f.Close() == nil {
		_ = os.Remove(f.Name())
	}
}

// shrunk returns a picture whose sides are at most reportSide.
func shrunk(img image.Image) image.Image {
	b := img.Bounds()
	side := max(b.Dx(), b.Dy())
	if side <= reportSide {
		return img
	}
	dst := image.NewRGBA(image.Rect(0, 0, max(b.Dx()*reportSide/side, 1), max(b.Dy()*reportSide/side, 1)))
	draw.ApproxBiLinear.Scale(dst, dst.Rect, img, b, draw.Src, nil)
	return dst
}

// svgPath returns the outlines of a mask.
func svgPath(parts []mask.Part) string {
	var out []byte
	for _, part := range parts {
		for _, ring := range append([][]float64{part.Outer}, part.Holes...) {
			for i := 0; i < len(ring); i += 2 {
				command := byte('L')
				if i == 0 {
					command = 'M'
				}
				out = strconv.AppendFloat(append(out, command), ring[i], 'f', -1, 64)
				out = strconv.AppendFloat(append(out, ' '), ring[i+1], 'f', -1, 64)
			}
			out = append(out, 'Z')
		}
	}
	return string(out)
}

// writeReport writes the page.
func (w *instanceWriter) writeReport(f io.Writer) error {
	var settings strings.Builder
	for _, s := range w.options.Settings {
		fmt.Fprintf(&settings, "<tr><th>%s<td>%s\n", html.EscapeString(s[0]), html.EscapeString(s[1]))
	}
	if _, err := io.WriteString(f, reportHead+settings.String()+"</table></details>\n"); err != nil {
		return err
	}
	if w.report != nil {
		if _, err := w.report.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(f, w.report); err != nil {
			return err
		}
	}
	_, err := io.WriteString(f, reportTail)
	return err
}
