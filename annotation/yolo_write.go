package annotation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
)

// A YOLOLoss counts what label files of YOLO cannot hold.
type YOLOLoss struct {
	Joined int // parts and holes that bridges join to an outline
	Crowds int // crowds, which became objects
	Empty  int // instances without pixels, which were left out
}

// WriteYOLO writes the instances of a picture as a label file of YOLO: a line for each, the
// number of its class and its outline in parts of the picture's size. An instance has one
// outline there: holes and further parts are joined to it by bridges without width, as
// Ultralytics does, which rasterised by the rules of the COCO API give back the mask. class
// returns the number of an instance's class.
func WriteYOLO(w io.Writer, p *coco.LabeledImage, class func(v *coco.LabeledInstance) int) (YOLOLoss, error) {
	var loss YOLOLoss
	if err := present(p); err != nil {
		return loss, err
	}
	if class == nil {
		return loss, errors.New("annotation: YOLO: there is no function that numbers classes")
	}
	out := bufio.NewWriter(nilcheck.Writer(w))
	for i := range p.Instances {
		v := &p.Instances[i]
		var outline []float64
		if v.BoxOnly {
			x0, y0, x1, y1 := v.Box[0], v.Box[1], v.Box[0]+v.Box[2], v.Box[1]+v.Box[3]
			outline = []float64{x0, y0, x1, y0, x1, y1, x0, y1}
		} else {
			for _, part := range v.Mask.Bitmap().Parts(0) {
				loss.Joined += len(part.Holes)
				if outline != nil {
					loss.Joined++
				}
				outline = bridge(outline, part.Polygon())
			}
		}
		if outline == nil {
			loss.Empty++
			continue
		}
		if v.Crowd {
			loss.Crowds++
		}
		fmt.Fprint(out, class(v))
		for k, x := range outline {
			size := p.Width
			if k%2 == 1 {
				size = p.Height
			}
			out.WriteByte(' ')
			out.WriteString(strconv.FormatFloat(min(max(x/float64(size), 0), 1), 'g', 7, 64))
		}
		out.WriteByte('\n')
	}
	if err := out.Flush(); err != nil {
		return loss, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return loss, nil
}

// bridge joins polygon b to polygon a between their nearest corners, there and back.
func bridge(a, b []float64) []float64 {
	if a == nil {
		return b
	}
	from, to, least := 0, 0, math.Inf(1)
	for i := 0; i < len(a); i += 2 {
		for k := 0; k < len(b); k += 2 {
			if d := math.Hypot(a[i]-b[k], a[i+1]-b[k+1]); d < least {
				from, to, least = i, k, d
			}
		}
	}
	out := append([]float64(nil), a[:from+2]...)
	out = append(out, b[to:]...)
	out = append(out, b[:to+2]...)
	return append(out, a[from:]...)
}

// WriteYOLOConfig writes a data.yaml for label files in labels and pictures in images.
func WriteYOLOConfig(w io.Writer, categories []coco.Category) error {
	out := bufio.NewWriter(nilcheck.Writer(w))
	fmt.Fprint(out, "path: .\ntrain: images\nval: images\nnames:\n")
	for i, c := range categories {
		fmt.Fprintf(out, "  %d: %s\n", i, strconv.Quote(c.Name))
	}
	return out.Flush()
}
