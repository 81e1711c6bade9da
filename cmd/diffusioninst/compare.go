package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// matchIoU is the overlap of masks from which on an instance counts as found.
const matchIoU = 0.5

// agreement is how found instances agree with true ones.
type agreement struct {
	found, truths int     // crowds, and what was found in them, left out
	matched       int     // pairs of one category whose masks overlap by matchIoU or more
	overlap       float64 // the sum of their IoU
}

func (a *agreement) add(b agreement) {
	a.found, a.truths, a.matched, a.overlap = a.found+b.found, a.truths+b.truths, a.matched+b.matched, a.overlap+b.overlap
}

func (a agreement) String() string {
	text := fmt.Sprintf("%d found, %d true, %d matched at IoU %v", a.found, a.truths, a.matched, matchIoU)
	if a.matched > 0 {
		text += fmt.Sprintf(" with a mean IoU of %.3f (precision %.3f, recall %.3f)",
			a.overlap/float64(a.matched), float64(a.matched)/float64(a.found), float64(a.matched)/float64(a.truths))
	}
	return text
}

// pairing says of the found and of the true instances of a picture which have a partner.
type pairing struct {
	agreement
	hits    []bool // of the found ones
	ignored []bool // found ones in a crowd
	known   []bool // of the true ones
}

// pair gives each found instance, the surest first, the true one of its category that it
// overlaps most and that is still free, as the COCO API does.
func pair(found, truth *coco.LabeledImage) (pairing, error) {
	if found.Width != truth.Width || found.Height != truth.Height {
		return pairing{}, fmt.Errorf("%s: it has %d×%d pixels, its true masks have %d×%d", found.FileName, found.Width, found.Height, truth.Width, truth.Height)
	}
	crowd := make([]bool, len(truth.Instances))
	masks := func(p *coco.LabeledImage) []mask.RLE {
		out := make([]mask.RLE, len(p.Instances))
		for i := range out {
			out[i] = p.Instances[i].Mask
		}
		return out
	}
	out := pairing{hits: make([]bool, len(found.Instances)), ignored: make([]bool, len(found.Instances)), known: make([]bool, len(crowd))}
	for i := range crowd {
		if crowd[i] = truth.Instances[i].Crowd; !crowd[i] {
			out.truths++
		}
	}
	overlaps, err := mask.IoU(masks(found), masks(truth), crowd)
	if err != nil {
		return pairing{}, fmt.Errorf("%s: %w", found.FileName, err)
	}
	order := make([]int, len(found.Instances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(found.Instances[b].Score, found.Instances[a].Score) })
	for _, d := range order {
		best, most := -1, matchIoU
		for g := range truth.Instances {
			if truth.Instances[g].Category != found.Instances[d].Category || overlaps[d][g] < matchIoU {
				continue
			}
			if crowd[g] {
				out.ignored[d] = true
			} else if !out.known[g] && overlaps[d][g] >= most {
				best, most = g, overlaps[d][g]
			}
		}
		if best >= 0 {
			out.hits[d], out.ignored[d], out.known[best] = true, false, true
			out.matched, out.overlap = out.matched+1, out.overlap+most
		}
		if !out.ignored[d] {
			out.found++
		}
	}
	return out, nil
}

// comparison compares what is found in pictures with what is there, and draws it.
type comparison struct {
	truths map[string]*coco.LabeledImage // by file name
	folder string                        // for the drawings
	total  agreement
	lines  []string // one a picture
}

// newComparison reads true masks in any of the forms that convert reads.
func newComparison(truth, folder string, classes []string) (*comparison, error) {
	in, err := openInstances(truth, "", "", 0)
	if err != nil {
		return nil, err
	}
	c := &comparison{truths: map[string]*coco.LabeledImage{}, folder: folder}
	for p, err := range in.pictures {
		if err != nil {
			return nil, err
		}
		for i := range p.Instances {
			if name := p.Instances[i].Category; !slices.Contains(classes, name) {
				return nil, fmt.Errorf("%s: %s: the model has no class %q", truth, p.FileName, name)
			}
		}
		c.truths[p.FileName] = p
	}
	return c, nil
}

// The colours of what was found and is there, was found only, and is there only.
var (
	hitColor   = color.NRGBA{0, 200, 140, 255}
	falseColor = color.NRGBA{230, 80, 0, 255}
	missColor  = color.NRGBA{255, 225, 60, 255}
)

// add finds out how a picture's instances agree with the true ones and draws both on the picture.
func (c *comparison) add(found *coco.LabeledImage, img image.Image) error {
	truth := c.truths[found.FileName]
	if truth == nil {
		truth = c.truths[path.Base(found.FileName)]
	}
	if truth == nil {
		return fmt.Errorf("%s: there are no true masks of it", found.FileName)
	}
	p, err := pair(found, truth)
	if err != nil {
		return err
	}
	var items []mask.OverlayItem
	for i, is := range p.known {
		if v := &truth.Instances[i]; !is && !v.Crowd {
			items = append(items, mask.OverlayItem{Mask: v.Mask.Bitmap(), Color: missColor})
		}
	}
	for i, hit := range p.hits {
		item := mask.OverlayItem{Mask: found.Instances[i].Mask.Bitmap(), Color: falseColor}
		switch {
		case hit:
			item.Color = hitColor
		case p.ignored[i]:
			continue
		}
		items = append(items, item)
	}
	dst, err := mask.Overlay(img, items, mask.OverlayOptions{FillOpacity: 0.25, FontSize: -1})
	if err != nil {
		return err
	}
	name := filepath.Join(c.folder, filepath.FromSlash(strings.TrimSuffix(found.FileName, path.Ext(found.FileName)))+".png")
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	c.total.add(p.agreement)
	c.lines = append(c.lines, fmt.Sprintf("%s: %v\n", found.FileName, p.agreement))
	create := func(name string) (io.WriteCloser, error) { return os.Create(name) }
	return toFile(create, name, func(f io.Writer) error { return png.Encode(f, dst) })
}

// write prints the numbers of each picture and, where there are several, of all.
func (c *comparison) write(out io.Writer) error {
	if n := len(c.lines); n > 1 {
		c.lines = append(c.lines, fmt.Sprintf("%d pictures: %v\n", n, c.total))
	}
	_, err := io.WriteString(out, strings.Join(c.lines, ""))
	return err
}
