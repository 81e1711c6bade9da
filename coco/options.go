package coco

import (
	"fmt"
	"math"
	"slices"
)

// IoU says what overlap is measured on.
type IoU string

const (
	Segm     IoU = "segm"     // masks
	BBox     IoU = "bbox"     // boxes
	Boundary IoU = "boundary" // the smaller of the IoU of masks and that of their boundaries
)

// Style says whose rules and numbers an evaluation follows.
type Style string

const (
	COCO Style = "coco" // the COCO API's
	LVIS Style = "lvis" // the LVIS API's: federated, classes by frequency
)

// Options are the settings of an evaluation. The zero value of each field is the
// standard of the Style.
type Options struct {
	// IoU is Segm by default.
	IoU IoU

	// Style is COCO by default.
	Style Style

	// MaxDets are the numbers of best detections that count, ascending. COCO takes
	// that many of each image and class; default 1, 10, 100. LVIS takes one number,
	// of each image; default 300, negative for all.
	MaxDets []int

	// Areas are the object sizes to report. The first is for the overall numbers
	// and should hold everything; default StandardAreas.
	Areas []AreaRange

	// Thresholds are the IoU from which a detection fits an object, at most 64;
	// default 0.5, 0.55, …, 0.95.
	Thresholds []float64

	// RecallThresholds are where the precision is read, ascending; default
	// 0, 0.01, …, 1.
	RecallThresholds []float64

	// Dilation is the width of a boundary as a part of the image's diagonal;
	// default 0.02.
	Dilation float64

	// MaskAreas takes the areas of detections from their masks. Otherwise they are
	// the areas of the boxes if the first detection has one, as in the COCO API,
	// also for masks. Detectron2 takes the boxes out of results before it evaluates
	// masks, so its figures by area are those with MaskAreas.
	MaskAreas bool

	// Images are the ids of the images to evaluate; nil for all. Results and
	// annotations of others are left out.
	Images []int64

	// Categories are the ids of the categories to evaluate; nil for all.
	Categories []int64

	// Workers is how many goroutines work at once, by default as many as the
	// program has processors. The report does not depend on it.
	Workers int
}

// AreaRange is a range of object areas in pixels, both ends included.
type AreaRange struct {
	Name     string // "all", "small", …
	Min, Max float64
}

// StandardAreas returns the areas of COCO and LVIS: all, and small, medium and
// large with borders at 32² and 96² pixels.
func StandardAreas() []AreaRange {
	return []AreaRange{
		{"all", 0, 1e10},
		{"small", 0, 32 * 32},
		{"medium", 32 * 32, 96 * 96},
		{"large", 96 * 96, 1e10},
	}
}

// withDefaults fills in the defaults and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.IoU == "" {
		o.IoU = Segm
	}
	if o.Style == "" {
		o.Style = COCO
	}
	if o.IoU != Segm && o.IoU != BBox && o.IoU != Boundary {
		return o, fmt.Errorf("coco: unknown IoU %q", o.IoU)
	}
	if o.Style != COCO && o.Style != LVIS {
		return o, fmt.Errorf("coco: unknown style %q", o.Style)
	}
	if o.MaxDets == nil {
		if o.MaxDets = []int{1, 10, 100}; o.Style == LVIS {
			o.MaxDets = []int{300}
		}
	}
	o.MaxDets = slices.Clone(o.MaxDets)
	slices.Sort(o.MaxDets)
	if o.Style == LVIS && len(o.MaxDets) != 1 {
		return o, fmt.Errorf("coco: LVIS evaluation takes one number of detections, not %d", len(o.MaxDets))
	}
	if len(o.MaxDets) == 0 || o.Style == COCO && o.MaxDets[0] < 1 {
		return o, fmt.Errorf("coco: numbers of detections %v", o.MaxDets)
	}
	if o.Areas == nil {
		o.Areas = StandardAreas()
	}
	if o.Thresholds == nil {
		o.Thresholds = linspace(0.5, 0.95, 10)
	}
	if o.RecallThresholds == nil {
		o.RecallThresholds = linspace(0, 1, 101)
	}
	if len(o.Areas) == 0 || len(o.RecallThresholds) == 0 || len(o.Thresholds) == 0 || len(o.Thresholds) > 64 {
		return o, fmt.Errorf("coco: %d areas, %d recall thresholds, %d IoU thresholds (of 64 at most)",
			len(o.Areas), len(o.RecallThresholds), len(o.Thresholds))
	}
	if err := checkAreas(o.Areas); err != nil {
		return o, err
	}
	if !slices.IsSorted(o.RecallThresholds) {
		return o, fmt.Errorf("coco: the recall thresholds do not ascend")
	}
	for _, t := range o.RecallThresholds {
		if !(t >= 0 && t <= 1) {
			return o, fmt.Errorf("coco: recall threshold %v is not from 0 to 1", t)
		}
	}
	for _, t := range o.Thresholds {
		if !(t > 0 && t <= 1) {
			return o, fmt.Errorf("coco: IoU threshold %v is not above 0 and at most 1", t)
		}
	}
	if o.Dilation == 0 {
		o.Dilation = 0.02
	}
	if !(o.Dilation > 0 && o.Dilation <= 1) {
		return o, fmt.Errorf("coco: boundary of %v of the diagonal", o.Dilation)
	}
	return o, nil
}

// checkAreas refuses ranges that no area lies in.
func checkAreas(areas []AreaRange) error {
	for _, a := range areas {
		if !(a.Min <= a.Max) {
			return fmt.Errorf("coco: area range %q from %v to %v holds nothing", a.Name, a.Min, a.Max)
		}
	}
	return nil
}

// linspace is n numbers from a to b, rounded as NumPy rounds them.
func linspace(a, b float64, n int) []float64 {
	step := (b - a) / float64(n-1)
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float64(i)*step) + a
	}
	out[n-1] = b
	return out
}

// boundaryWidth is the width in pixels of a boundary on an image.
func (o *Options) boundaryWidth(width, height int) int {
	w, h := float64(width), float64(height)
	diagonal := math.Sqrt(float64(w*w) + float64(h*h))
	return max(1, int(math.RoundToEven(o.Dilation*diagonal)))
}
