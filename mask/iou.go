package mask

import (
	"fmt"
	"math"
)

// IoU returns the matrix of intersection over union of detections dt (rows) and
// ground truths gt (columns), as the COCO API computes it: where crowd[g] is
// true the union is the area of the detection alone. crowd is nil or as long as
// gt. Invalid masks and masks of different sizes are errors.
func IoU(dt, gt []RLE, crowd []bool) ([][]float64, error) {
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
	out := matrix(len(dt), len(gt))
	for i := range dt {
		for j := range gt {
			if dt[i].Width != gt[j].Width || dt[i].Height != gt[j].Height {
				return nil, fmt.Errorf("mask: detection %d is %d×%d, ground truth %d is %d×%d",
					i, dt[i].Width, dt[i].Height, j, gt[j].Width, gt[j].Height)
			}
			if !meet(d[i].box, g[j].box) {
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
			out[i][j] = float64(common) / float64(union)
		}
	}
	return out, nil
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
