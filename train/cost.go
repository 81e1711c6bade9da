package train

import (
	"math"

	"github.com/diffusioninst/go/mask"
)

// costWeights are the weights of the cost of matching a proposal with a ground truth.
type costWeights struct {
	class, l1, giou float32
	alpha, gamma    float64 // constants of the focal cost
	focal           bool    // false for plain binary cross entropy
}

const (
	outsideCentre   = 100   // cost of a proposal that is not at the ground truth's centre
	outsideAll      = 10000 // cost of a proposal at no ground truth
	centreRadius    = 2.5   // of the centre region, in box sizes
	probabilityStep = 1e-8
)

// costs computes the cost and the IoU of every proposal with every ground truth, each
// N×G row by row. prob is the N×G score of each ground truth's class, boxes (N) and
// truths (G) are x1 y1 x2 y2 in pixels, size the picture's width and height.
//
//	2·C + 5·L1 − 2·GIoU + 100·[not at the centre of this ground truth] + 10⁴·[at no ground truth]
func (m costWeights) costs(prob, boxes, truths []float32, size [2]float32) (cost, iou []float32) {
	n, g := len(boxes)/4, len(truths)/4
	cost, iou = make([]float32, n*g), make([]float32, n*g)
	whwh := [4]float32{size[0], size[1], size[0], size[1]}
	for i := range n {
		p := [4]float32(boxes[4*i:])
		box := mask.Box{X1: p[0], Y1: p[1], X2: p[2], Y2: p[3]}
		x, y := (p[0]+p[2])/2, (p[1]+p[3])/2
		anywhere := false
		row := cost[i*g : (i+1)*g]
		var class float32
		for j := range g {
			if j == 0 || prob[i*g+j] != prob[i*g+j-1] { // objects of one class stand together, often all of them
				class = m.classCost(prob[i*g+j])
			}
			t := [4]float32(truths[4*j:])
			var l1 float32
			for k := range p {
				l1 += abs(p[k]/whwh[k] - t[k]/whwh[k])
			}
			overlap, general := box.GIoU(mask.Box{X1: t[0], Y1: t[1], X2: t[2], Y2: t[3]})
			iou[i*g+j] = overlap
			row[j] = m.l1*l1 + m.class*class - m.giou*general
			inside := x > t[0] && x < t[2] && y > t[1] && y < t[3]
			near := nearCentre(x, y, t)
			if !(inside && near) {
				row[j] += outsideCentre
			}
			anywhere = anywhere || inside || near
		}
		if !anywhere {
			for j := range row {
				row[j] += outsideAll
			}
		}
	}
	return cost, iou
}

// classCost is what the class would cost as a positive less what it would as a
// negative: α(1−p)^γ·(−ln p) − (1−α)p^γ·(−ln(1−p)), without the factors of the focal
// loss where that is off.
func (m costWeights) classCost(p float32) float32 {
	positive := float32(-math.Log(float64(p + probabilityStep)))
	negative := float32(-math.Log(float64(1 - p + probabilityStep)))
	if !m.focal {
		return positive - negative
	}
	pow := func(v float32) float32 {
		if m.gamma == 2 {
			return v * v
		}
		return float32(math.Pow(float64(v), m.gamma))
	}
	return float32(m.alpha)*pow(1-p)*positive - float32(1-m.alpha)*pow(p)*negative
}

// nearCentre reports whether a point is within centreRadius box sizes of a box's centre.
func nearCentre(x, y float32, b [4]float32) bool {
	rx, ry := centreRadius*(b[2]-b[0]), centreRadius*(b[3]-b[1])
	return abs(x-(b[0]+b[2])/2) < rx && abs(y-(b[1]+b[3])/2) < ry
}

func abs(v float32) float32 { return max(v, -v) }
