package annotation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/mask"
)

// read reads a label file. Lines that are wrong are problems; the others are read.
func (c *yoloConfig) read(pair yoloPair, base string) (*coco.LabeledImage, error) {
	if pair.picture == "" {
		return nil, fmt.Errorf("no picture is found for it, and its coordinates are parts of the picture's size: %w", fs.ErrNotExist)
	}
	width, height, err := pictureSize(pair.picture)
	if err != nil {
		return nil, err
	}
	p := &coco.LabeledImage{FileName: filepath.ToSlash(pair.picture), Width: width, Height: height}
	if name, err := relative(base, pair.picture); err == nil {
		p.FileName = name
	}
	f, err := regular.Open(pair.label)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil // a picture without objects
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var problems coco.Problems
	lines := bufio.NewScanner(utf.NewReader(f))
	lines.Buffer(nil, 64<<20)
	lines.Split(anyLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		v, clipped, err := c.line(lines.Text(), width, height)
		if clipped != "" && err == nil {
			problems = append(problems, coco.Problem{Record: "line", Index: n, Harmless: true, Message: clipped})
		}
		if err != nil {
			problems = append(problems, coco.Problem{Record: "line", Index: n, Message: err.Error()})
			continue
		}
		p.Instances = append(p.Instances, v)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return p, problems
	}
	return p, nil
}

// anyLine is bufio.ScanLines for lines that end with a line feed, a carriage return, or both.
func anyLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0:
	case data[i] == '\n' || i+1 < len(data) && data[i+1] != '\n' || i+1 == len(data) && atEOF:
		return i + 1, data[:i], nil
	case i+1 < len(data):
		return i + 2, data[:i], nil
	default:
		return 0, nil, nil // a line feed may follow
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// yoloNumbers splits a line into the class and the numbers after it.
func yoloNumbers(line string) (class int, numbers []float64, err error) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return 0, nil, fmt.Errorf("%d fields: want a class and the 4 numbers of a box or the 6 or more of a polygon", len(fields))
	}
	number, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || number != math.Trunc(number) || number < 0 || number > 1<<16 {
		return 0, nil, fmt.Errorf("%.20q is not the number of a class", fields[0])
	}
	numbers = make([]float64, len(fields)-1)
	for i, text := range fields[1:] {
		if numbers[i], err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(numbers[i]) || math.Abs(numbers[i]) > 1e6 {
			return 0, nil, fmt.Errorf("%.20q is not a number", text)
		}
	}
	return int(number), numbers, nil
}

// line reads an instance: a class with a polygon, or with the centre and the size of a box,
// and perhaps a score, in parts of the picture's size. What lies beyond the picture is clipped,
// with a warning if it is more than half a pixel.
func (c *yoloConfig) line(line string, width, height int) (v coco.LabeledInstance, clipped string, err error) {
	class, numbers, err := yoloNumbers(line)
	if err != nil {
		return v, "", err
	}
	v.CategoryID, v.Category = int64(class+1), strconv.Itoa(class)
	if c.names != nil {
		if class >= len(c.names) {
			return v, "", fmt.Errorf("class %d of %d (they are counted from 0)", class, len(c.names))
		}
		v.Category = c.names[class]
	}
	if len(numbers)%2 == 1 {
		v.Score, v.HasScore = numbers[len(numbers)-1], true
		numbers = numbers[:len(numbers)-1]
	}
	for _, x := range numbers {
		if math.Abs(x) >= 2 {
			return v, "", fmt.Errorf("the coordinate %g looks like one in pixels: YOLO's are parts of the picture's width and height, from 0 to 1", x)
		}
	}
	box := len(numbers) == 4
	if box {
		x, y, w, h := numbers[0], numbers[1], numbers[2], numbers[3]
		if w < 0 || h < 0 {
			return v, "", errors.New("a box with a negative side")
		}
		numbers = []float64{x - w/2, y - h/2, x + w/2, y + h/2}
	}
	size, beyond := [2]float64{float64(width), float64(height)}, 0.0
	for i, x := range numbers {
		inside := min(max(x, 0), 1)
		if out := math.Abs(x-inside) * size[i%2]; out > 0.5 && math.Abs(x-inside) > math.Abs(beyond-min(max(beyond, 0), 1)) {
			beyond = x
		}
		if box {
			x = inside
		}
		numbers[i] = x * size[i%2]
	}
	if beyond != 0 {
		clipped = fmt.Sprintf("it reaches beyond the picture, to %.4g of its size (0 to 1 are inside): it is clipped", beyond)
	}
	if !box {
		v.Mask, err = coco.Segmentation{Polygons: [][]float64{numbers}}.RLE(width, height)
		return v, clipped, err
	}
	v.Box = [4]float64{numbers[0], numbers[1], numbers[2] - numbers[0], numbers[3] - numbers[1]}
	if clipped != "" && (v.Box[2] == 0 || v.Box[3] == 0) {
		return v, "", errors.New("the box lies outside the picture")
	}
	v.HasBox, v.BoxOnly = true, true
	v.Mask, err = mask.FromPolygons(nil, width, height)
	return v, clipped, err
}

// yoloText reports whether one of the first lines of a file is of a label file of YOLO.
func yoloText(name string) bool {
	f, err := regular.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(utf.NewReader(f))
	lines.Buffer(nil, 1<<20)
	lines.Split(anyLine)
	for n := 0; n < 10 && lines.Scan(); n++ {
		if _, _, err = yoloNumbers(lines.Text()); err == nil {
			return true
		}
	}
	return false
}
