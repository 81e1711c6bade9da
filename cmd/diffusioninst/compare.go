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

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// matchIoU is the least IoU of its mask with a true one at which an instance counts as found.
const matchIoU = 0.5

// An agreement is how found instances agree with true ones.
type agreement struct {
	found, truths int     // without crowds and what was found in them
	matched       int     // pairs of the same category whose masks have an IoU of matchIoU or more
	overlap       float64 // sum of their IoUs
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

// A pairing says which of the found and of the true instances of a picture have a partner.
type pairing struct {
	agreement
	hits    []bool // for found instances
	ignored []bool // for found instances: in a crowd
	known   []bool // for true instances
}

// pair gives each found instance, the highest score first, the true instance of its
// category with the largest IoU among those without a partner, as the COCO API does.
func pair(found, truth *coco.LabeledImage) (pairing, error) {
	if found.Width != truth.Width || found.Height != truth.Height {
		return pairing{}, fmt.Errorf("%s: the picture has %d×%d pixels, but its true masks have %d×%d", found.FileName, found.Width, found.Height, truth.Width, truth.Height)
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
	all, err := mask.Overlaps(masks(found), masks(truth), crowd)
	if err != nil {
		return pairing{}, fmt.Errorf("%s: %w", found.FileName, err)
	}
	overlaps := make([][]mask.Overlap, len(found.Instances))
	for _, o := range all {
		overlaps[o.Detection] = append(overlaps[o.Detection], o)
	}
	order := make([]int, len(found.Instances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(found.Instances[b].Score, found.Instances[a].Score) })
	for _, d := range order {
		best, most := -1, matchIoU
		for _, o := range overlaps[d] {
			g := o.Truth
			if truth.Instances[g].Category != found.Instances[d].Category || o.IoU < matchIoU {
				continue
			}
			if crowd[g] {
				out.ignored[d] = true
			} else if !out.known[g] && o.IoU >= most {
				best, most = g, o.IoU
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

// A comparison compares what is found in pictures with the true masks, and draws both.
type comparison struct {
	truths truths
	folder string // for the drawings
	total  agreement
	lines  []string // one per picture
	large  []string // files that are too large to be drawn
}

// newComparison reads true masks in any of inputFormats but results. In a format without
// classes the masks are of the model's class, if it has one.
func newComparison(truth, folder string, classes []string, o annotation.Options) (*comparison, error) {
	set, err := annotation.Open(truth, o)
	if err != nil {
		return nil, err
	}
	if err := set.Data.CheckCrowds(); err != nil {
		return nil, fmt.Errorf("%s: %w", truth, err)
	}
	c := &comparison{truths: newTruths(), folder: folder}
	for p, err := range set.Data.LabeledImages() {
		if err != nil {
			return nil, err
		}
		for i := range p.Instances {
			v := &p.Instances[i]
			if set.Classless && len(classes) == 1 {
				v.Category = classes[0]
			}
			if !slices.Contains(classes, v.Category) {
				return nil, fmt.Errorf("%s: %s: the model has no class %q", truth, p.FileName, v.Category)
			}
		}
		c.truths.add(p)
	}
	return c, nil
}

// The colours of found instances with and without a partner, and of missed true ones.
var (
	hitColor   = color.NRGBA{0, 200, 140, 255}
	falseColor = color.NRGBA{230, 80, 0, 255}
	missColor  = color.NRGBA{255, 225, 60, 255}
)

// add compares a picture's instances with the true ones and draws both on the picture.
// pixels returns the picture.
func (c *comparison) add(found *coco.LabeledImage, pixels func() (image.Image, error)) error {
	truth := c.truths.of(found.FileName)
	if truth == nil {
		return fmt.Errorf("%s: --gt has no true masks for this picture", found.FileName)
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
	img, err := pixels()
	if err != nil {
		return err
	}
	if inFile(img) {
		c.large = append(c.large, found.FileName)
	} else if err := c.draw(found.FileName, img, items); err != nil {
		return err
	}
	c.total.add(p.agreement)
	c.lines = append(c.lines, fmt.Sprintf("%s: %v\n", printable(found.FileName), p.agreement))
	return nil
}

// warn names the pictures that were compared and not drawn.
func (c *comparison) warn(warn func(string, ...any)) {
	if len(c.large) > 0 {
		warn("--gt: %s", notDrawn(c.large))
	}
}

// draw writes a picture of the found and the true instances.
func (c *comparison) draw(file string, img image.Image, items []mask.OverlayItem) error {
	dst, err := mask.Overlay(img, items, mask.OverlayOptions{FillOpacity: 0.25, FontSize: -1})
	if err != nil {
		return err
	}
	name := filepath.Join(c.folder, filepath.FromSlash(strings.TrimSuffix(file, path.Ext(file)))+".png")
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return writeInFolder(name, func(f io.Writer) error { return png.Encode(f, dst) })
}

// write prints the numbers of each picture and, if there are several, of all together.
func (c *comparison) write(out io.Writer) error {
	if n := len(c.lines); n > 1 {
		c.lines = append(c.lines, fmt.Sprintf("%d pictures: %v\n", n, c.total))
	}
	_, err := io.WriteString(out, strings.Join(c.lines, ""))
	return err
}
