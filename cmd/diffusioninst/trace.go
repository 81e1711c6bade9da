//go:build cgo

package main

import (
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	xdraw "golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	xfixed "golang.org/x/image/math/fixed"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/mask"
)

// traceAnimation is the file of a trace that is written last.
const traceAnimation = "steps.gif"

// traceFolders returns the folder of each picture's trace: root itself for a single one.
func traceFolders(root string, inputs []segmentInput) ([]string, error) {
	if root == "" || len(inputs) == 1 {
		return []string{root}, nil
	}
	out := make([]string, len(inputs))
	taken := map[string]string{}
	for i, in := range inputs {
		out[i] = filepath.Join(root, strings.TrimSuffix(in.name, filepath.Ext(in.name)))
		if other, ok := taken[out[i]]; ok {
			return nil, fmt.Errorf("--trace: %s and %s would be traced to the same folder", other, in.name)
		}
		taken[out[i]] = in.name
	}
	return out, nil
}

// writeTrace writes the denoising of a picture to a folder: a captioned overlay per step, all
// of them on one contact sheet, and an animated GIF.
func writeTrace(img image.Image, trace []*diffusioninst.StepResult, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	var b atomicfile.Batch
	defer b.Abort()
	create := func(name string) (io.WriteCloser, error) { return b.Create(filepath.Join(folder, name)) }
	var steps []image.Image
	for _, t := range trace {
		frame, err := drawStep(img, t)
		if err != nil {
			return err
		}
		caption := fmt.Sprintf("step %d of %d, t = %d", t.Step+1, t.Steps, t.Time)
		if t.Restart > 0 {
			caption = fmt.Sprintf("restart %d, %s", t.Restart, caption)
		}
		if frame, err = captioned(frame, caption); err != nil {
			return err
		}
		steps = append(steps, frame)
		name := fmt.Sprintf("step%03d.png", t.Restart*t.Steps+t.Step)
		if err := toFile(create, name, func(w io.Writer) error { return png.Encode(w, frame) }); err != nil {
			return err
		}
	}
	if err := toFile(create, "steps.png", func(w io.Writer) error { return png.Encode(w, contactSheet(steps)) }); err != nil {
		return err
	}
	if err := toFile(create, traceAnimation, func(w io.Writer) error { return gif.EncodeAll(w, animation(steps)) }); err != nil {
		return err
	}
	return b.Commit()
}

// shownBoxes is how many boxes a step shows: more would hide the objects.
const shownBoxes = 20

// drawStep shows the boxes with the best scores of those that a step received, brighter for
// better scores, and the instances that the step made.
func drawStep(img image.Image, t *diffusioninst.StepResult) (image.Image, error) {
	order := make([]int, len(t.Boxes))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return t.Scores[order[a]] > t.Scores[order[b]] })
	var boxes []mask.OverlayItem
	for _, i := range order[:min(len(order), shownBoxes)] {
		b, v := t.Boxes[i], uint8(70+185*min(max(t.Scores[i], 0), 1))
		r := b.Outer().Intersect(image.Rect(0, 0, t.Result.Width, t.Result.Height))
		boxes = append(boxes, mask.OverlayItem{Box: r, Color: color.Gray{Y: v}})
	}
	under, err := mask.Overlay(img, boxes, mask.OverlayOptions{LineWidth: 1})
	if err != nil {
		return nil, err
	}
	return mask.Overlay(under, t.Result.OverlayItems(), mask.OverlayOptions{})
}

var captionFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(gomedium.TTF) })

// captioned puts a line of text on a white strip above a picture.
func captioned(m image.Image, text string) (image.Image, error) {
	const strip, most, margin = 28, 16, 6
	font, err := captionFont()
	if err != nil {
		return nil, err
	}
	size := most + 1.0
	var face xfont.Face
	for width := m.Bounds().Dx() - 2*margin; size > 6 && (face == nil || xfont.MeasureString(face, text).Ceil() > width); {
		size--
		if face, err = opentype.NewFace(font, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: xfont.HintingFull}); err != nil {
			return nil, err
		}
	}
	out := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()+strip))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds().Add(image.Pt(0, strip)), m, m.Bounds().Min, draw.Src)
	(&xfont.Drawer{Dst: out, Src: image.Black, Face: face, Dot: xfixed.P(margin, 20)}).DrawString(text)
	return out, nil
}

// shrink fits a picture into a square of a side, never enlarging it.
func shrink(m image.Image, side int) image.Image {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	if max(w, h) <= side {
		return m
	}
	f := float64(side) / float64(max(w, h))
	out := image.NewRGBA(image.Rect(0, 0, max(int(f*float64(w)), 1), max(int(f*float64(h)), 1)))
	xdraw.ApproxBiLinear.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
	return out
}

// contactSheet puts the steps side by side, row by row.
func contactSheet(steps []image.Image) image.Image {
	const side, gap = 480, 6
	columns := int(math.Ceil(math.Sqrt(float64(len(steps)))))
	rows := (len(steps) + columns - 1) / columns
	small := make([]image.Image, len(steps))
	for i, m := range steps {
		small[i] = shrink(m, side)
	}
	w, h := small[0].Bounds().Dx(), small[0].Bounds().Dy()
	out := image.NewRGBA(image.Rect(0, 0, columns*(w+gap)+gap, rows*(h+gap)+gap))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	for i, m := range small {
		at := image.Pt(gap+i%columns*(w+gap), gap+i/columns*(h+gap))
		draw.Draw(out, m.Bounds().Sub(m.Bounds().Min).Add(at), m, m.Bounds().Min, draw.Src)
	}
	return out
}

// animation shows each step for 0.6 s and the last for 2 s, over and over.
func animation(steps []image.Image) *gif.GIF {
	out := &gif.GIF{}
	for i, m := range steps {
		m = shrink(m, 640)
		frame := image.NewPaletted(m.Bounds(), palette.Plan9)
		draw.FloydSteinberg.Draw(frame, frame.Bounds(), m, m.Bounds().Min)
		delay := 60
		if i == len(steps)-1 {
			delay = 200
		}
		out.Image, out.Delay = append(out.Image, frame), append(out.Delay, delay)
	}
	return out
}
