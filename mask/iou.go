package mask

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// IoU returns the matrix of intersection over union of detections dt (rows) and
// ground truths gt (columns), as the COCO API computes it: where crowd[g] is
// true the union is the area of the detection alone. crowd is nil or as long as
// gt. Invalid masks and masks of different sizes are errors. [Overlaps] returns the same
// without a matrix.
func IoU(dt, gt []RLE, crowd []bool) ([][]float64, error) {
	pairs, err := Overlaps(dt, gt, crowd)
	if err != nil {
		return nil, err
	}
	out := matrix(len(dt), len(gt))
	for _, p := range pairs {
		out[p.Detection][p.Truth] = p.IoU
	}
	return out, nil
}

// An Overlap is a detection and a ground truth that share pixels, and their intersection over
// union.
type Overlap struct {
	Detection, Truth int
	IoU              float64
}

// Overlaps returns the pairs of detections dt and ground truths gt whose IoU, as [IoU] defines it,
// is not 0, ordered by detection and then ground truth. Its time and memory grow with the masks
// that are near each other, not with all pairs. Errors are as with IoU.
func Overlaps(dt, gt []RLE, crowd []bool) ([]Overlap, error) {
	if crowd != nil && len(crowd) != len(gt) {
		return nil, fmt.Errorf("mask: %d crowd flags for %d ground truths", len(crowd), len(gt))
	}
	d, err := measureAll("detection", dt)
	if err != nil {
		return nil, err
	}
	g, err := measureAll("ground truth", gt)
	if err != nil {
		return nil, err
	}
	if err := sameSizes(dt, gt); err != nil {
		return nil, err
	}
	// Those that meet a detection begin left of its end, and less than the greatest width
	// left of its beginning.
	order, widest := make([]int, len(gt)), 0.0
	for j := range order {
		order[j] = j
		widest = max(widest, g[j].box[2])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(g[a].box[0], g[b].box[0]) })
	var out []Overlap
	for i := range dt {
		box := d[i].box
		first := sort.Search(len(order), func(k int) bool { return g[order[k]].box[0] > box[0]-widest })
		from := len(out)
		for _, j := range order[first:] {
			if g[j].box[0] >= box[0]+box[2] {
				break
			}
			if !meet(box, g[j].box) {
				continue
			}
			common := commonArea(dt[i].Counts, gt[j].Counts)
			if common == 0 {
				continue
			}
			union := d[i].area + g[j].area - common
			if crowd != nil && crowd[j] {
				union = d[i].area
			}
			out = append(out, Overlap{i, j, float64(common) / float64(union)})
		}
		slices.SortFunc(out[from:], func(a, b Overlap) int { return cmp.Compare(a.Truth, b.Truth) })
	}
	return out, nil
}

// sameSizes returns an error that names the first pair of masks whose sizes differ.
func sameSizes(dt, gt []RLE) error {
	for i := range dt {
		for j := range gt {
			if dt[i].Width != gt[j].Width || dt[i].Height != gt[j].Height {
				return fmt.Errorf("mask: detection %d is %d×%d, ground truth %d is %d×%d",
					i, dt[i].Width, dt[i].Height, j, gt[j].Width, gt[j].Height)
			}
			if i > 0 { // the others have the size of the first
				break
			}
		}
	}
	return nil
}

// BoxIoU returns the matrix of intersection over union of boxes x, y, width,
// height: detections dt (rows) by ground truths gt (columns). Where crowd[g] is
// true the union is the area of the detection alone. crowd is nil or as long as
// gt.
func BoxIoU(dt, gt [][4]float64, crowd []bool) [][]float64 {
	out := matrix(len(dt), len(gt))
	for i, d := range dt {
		area := d[2] * d[3]
		for j, g := range gt {
			w := math.Min(d[0]+d[2], g[0]+g[2]) - math.Max(d[0], g[0])
			h := math.Min(d[1]+d[3], g[1]+g[3]) - math.Max(d[1], g[1])
			if w <= 0 || h <= 0 {
				continue
			}
			// The conversions keep compilers from fusing, which would round differently.
			common := float64(w * h)
			union := area
			if crowd == nil || !crowd[j] {
				union = float64(area) + float64(g[2]*g[3]) - common
			}
			out[i][j] = common / union
		}
	}
	return out
}

// measure holds what comparing a mask needs besides its runs.
type measure struct {
	area int
	box  [4]float64
}

func measureAll(what string, rles []RLE) ([]measure, error) {
	out := make([]measure, len(rles))
	for i, r := range rles {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("mask: %s %d: %w", what, i, err)
		}
		m := &out[i]
		m.area = r.Area()
		m.box[0], m.box[1], m.box[2], m.box[3] = r.BBox()
	}
	return out, nil
}

// meet reports whether two boxes x, y, width, height share some area.
func meet(a, b [4]float64) bool {
	return a[0] < b[0]+b[2] && b[0] < a[0]+a[2] && a[1] < b[1]+b[3] && b[1] < a[1]+a[3]
}

// commonArea is the number of pixels set in both of two masks of one size. It
// steps over pairs of set runs.
func commonArea(a, b []uint32) int {
	var n, i, j int
	var aEnd, bEnd, aStart, bStart uint64 // of the current set runs
	for {
		for aEnd <= bStart || aStart == aEnd {
			if i+1 >= len(a) {
				return n
			}
			aStart = aEnd + uint64(a[i])
			aEnd = aStart + uint64(a[i+1])
			i += 2
		}
		for bEnd <= aStart || bStart == bEnd {
			if j+1 >= len(b) {
				return n
			}
			bStart = bEnd + uint64(b[j])
			bEnd = bStart + uint64(b[j+1])
			j += 2
		}
		if lo, hi := max(aStart, bStart), min(aEnd, bEnd); lo < hi {
			n += int(hi - lo)
		}
		if aEnd <= bEnd {
			aStart = aEnd
		} else {
			bStart = bEnd
		}
	}
}

// matrix is rows × columns zeros in one piece of memory.
func matrix(rows, columns int) [][]float64 {
	out, values := make([][]float64, rows), make([]float64, rows*columns)
	for i := range out {
		out[i] = values[i*columns:][:columns:columns]
	}
	return out
}
