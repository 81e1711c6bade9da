package diffusioninst

import (
	"cmp"
	"image"
	"slices"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// Here detections of the same object become one: within a view (NMS and the votes of an
// Ensemble, or its Consensus), among overlapping tiles (NMS), among looks (Augment), and among
// sizes (Scales).

// survivors are the candidates that non-maximum suppression leaves, best first.
func (s *settings) survivors(c candidates) []int64 {
	if c.order != nil {
		return c.order
	}
	if s.nms < 0 {
		return c.ranked()
	}
	flat := make([]float32, 0, 4*len(c.boxes))
	for _, b := range c.boxes {
		flat = append(flat, b.X1, b.Y1, b.X2, b.Y2)
	}
	if s.shiftClasses && len(flat) > 0 && len(flat) <= 4000 {
		// torchvision moves the classes of up to 4000 coordinates apart instead of
		// comparing them, which rounds the coordinates.
		apart := slices.Max(flat) + 1
		for i := range flat {
			flat[i] += float32(c.classes[i/4]) * apart
		}
		return torch.NMS(flat, c.scores, nil, s.nms)
	}
	return torch.NMS(flat, c.scores, c.classes, s.nms)
}

// ranked are all candidates, best first.
func (c candidates) ranked() []int64 {
	order := make([]int64, len(c.scores))
	for i := range order {
		order[i] = int64(i)
	}
	slices.SortStableFunc(order, func(a, b int64) int { return cmp.Compare(c.scores[b], c.scores[a]) })
	return order
}

// voters are the candidates that decide about candidate k, which is the first.
func (e Ensemble) voters(c candidates, k int64) []int64 {
	out := []int64{k}
	if !(e.Vote > 0) {
		return out
	}
	for j := range c.scores {
		if int64(j) != k && c.classes[j] == c.classes[k] && c.boxes[j].IoU(c.boxes[k]) >= float32(e.Vote) {
			out = append(out, int64(j))
		}
	}
	slices.SortStableFunc(out[1:], func(a, b int64) int { return cmp.Compare(c.scores[b], c.scores[a]) })
	switch {
	case e.Voters == 0:
		return out[:min(len(out), 8)]
	case e.Voters > 0:
		return out[:min(len(out), e.Voters)]
	}
	return out
}

// merge makes one result of what the views of a picture have found.
func (s *settings) merge(views []view, found [][]Instance) *Result {
	out := &Result{Width: views[0].size.X, Height: views[0].size.Y}
	sizes := s.sizes(views, found)
	out.Instances = sizes[0].instances
	switch {
	case len(sizes) > 1:
		out.Instances = s.scales.across(sizes, s.score)
	case s.viewScore < s.score: // the other sizes were left out
		out.Instances = slices.DeleteFunc(slices.Clone(out.Instances), func(in Instance) bool { return float64(in.Score) < s.score })
	}
	if s.limit > 0 {
		out.Instances = out.Instances[:min(len(out.Instances), s.limit)]
	}
	return out
}

// sizes merges what the views of each size of a picture have found, and what its looks have, unless all of
// them agree.
func (s *settings) sizes(views []view, found [][]Instance) []sized {
	var out []sized
	for from := 0; from < len(views); {
		to := from
		var of []look
		var looks [][]Instance
		for ; to < len(views) && views[to].factor == views[from].factor; to++ {
			at := slices.Index(of, views[to].look)
			if at < 0 {
				at, of, looks = len(of), append(of, views[to].look), append(looks, nil)
			}
			looks[at] = append(looks[at], found[to]...)
		}
		if to-from > len(looks) { // tiles
			for i := range looks {
				slices.SortStableFunc(looks[i], byScore)
				if s.nms >= 0 {
					looks[i] = suppress(looks[i], boxesOver(s.nms))
				}
			}
		}
		v := views[from]
		pixels := float64(v.width) * float64(v.height) / (float64(v.part.Dx()) * float64(v.part.Dy()))
		largest := float32(0)
		if v.factor > 0 && v.tiled() && s.scales.Largest > 0 {
			largest = float32(s.scales.Largest) * float32(max(v.part.Dx(), v.part.Dy()))
		}
		if len(looks) > 1 && !s.scales.agree() {
			looks = [][]Instance{vote(looks, s.iou)}
		}
		for _, instances := range looks {
			out = append(out, sized{pixels, largest, instances})
		}
		from = to
	}
	return out
}

func byScore(a, b Instance) int { return cmp.Compare(b.Score, a.Score) }

// suppress leaves out instances of which a better one of their class, whose box overlaps theirs,
// is the same object; they come best first.
func suppress(instances []Instance, same func(better, in Instance) bool) []Instance {
	var kept []Instance
	index := nearby{}
	for _, in := range instances {
		worse := false
		index.each(in.Box, func(k int, _ Box) bool {
			worse = kept[k].Class == in.Class && same(kept[k], in)
			return !worse
		})
		if !worse {
			index.add(in.Box, len(kept))
			kept = append(kept, in)
		}
	}
	return kept
}

// boxesOver says that instances whose boxes overlap by more are the same object.
func boxesOver(iou float64) func(a, b Instance) bool {
	return func(a, b Instance) bool { return a.Box.IoU(b.Box) > float32(iou) }
}

// vote merges what several looks have found, best first. An iou below 0 merges nothing.
func vote(looks [][]Instance, iou float64) []Instance {
	type sighting struct {
		Instance
		look int
	}
	var all []sighting
	for i, list := range looks {
		for _, in := range list {
			all = append(all, sighting{in, i})
		}
	}
	slices.SortStableFunc(all, func(a, b sighting) int { return byScore(a.Instance, b.Instance) })
	// Best first, each instance goes to the group whose first it overlaps most, of equals to the
	// best.
	var groups [][]sighting
	index := nearby{}
	for _, s := range all {
		most, best := float32(iou), -1
		index.each(s.Box, func(g int, box Box) bool {
			first := groups[g][0]
			if first.Class == s.Class && first.look != s.look && iou >= 0 {
				if o := box.IoU(s.Box); o > most || o == most && o > 0 && (best < 0 || g < best) {
					most, best = o, g
				}
			}
			return true
		})
		if best < 0 {
			index.add(s.Box, len(groups))
			groups = append(groups, []sighting{s})
		} else {
			groups[best] = append(groups[best], s)
		}
	}
	out := make([]Instance, len(groups))
	for i, group := range groups {
		seen := make([]Instance, len(group))
		for k, s := range group {
			seen[k] = s.Instance
		}
		out[i] = voted(seen)
	}
	return out
}

// voted returns the first of instances of one object with the box and the mask that they vote for.
func voted(instances []Instance) Instance {
	out := instances[0]
	if len(instances) == 1 {
		return out
	}
	var boxes []Box
	var weights []float32
	var masks []*mask.Bitmap
	for _, in := range instances {
		boxes, weights, masks = append(boxes, in.Box), append(weights, in.Score), append(masks, in.Mask)
	}
	out.Box = meanBox(boxes, weights)
	out.Mask = mergeMasks(masks, weights, out.Box)
	return out
}

// meanBox returns the mean of boxes, weighted by their scores.
func meanBox(boxes []Box, weights []float32) Box {
	if len(boxes) == 1 {
		return boxes[0]
	}
	var sum [4]float64
	total := 0.0
	for i, b := range boxes {
		weight := float64(weights[i])
		total += weight
		for k, x := range [4]float32{b.X1, b.Y1, b.X2, b.Y2} {
			sum[k] += weight * float64(x)
		}
	}
	if total == 0 {
		return boxes[0]
	}
	return Box{X1: float32(sum[0] / total), Y1: float32(sum[1] / total), X2: float32(sum[2] / total), Y2: float32(sum[3] / total)}
}

// mergeMasks lets masks vote on the pixels inside a box.
func mergeMasks(masks []*mask.Bitmap, weights []float32, box Box) *mask.Bitmap {
	return majority(masks, weights, box.Pixels(masks[0].Width, masks[0].Height))
}

// majority returns the mask of the pixels within a rectangle for which more than half of the
// weight is. A single mask lies within it and is returned itself.
func majority(masks []*mask.Bitmap, weights []float32, within image.Rectangle) *mask.Bitmap {
	if len(masks) == 1 {
		return masks[0]
	}
	var stored image.Rectangle
	for _, m := range masks {
		stored = stored.Union(m.Rect)
	}
	within = within.Intersect(stored)
	width := within.Dx()
	votes := make([]float64, width*within.Dy())
	total := 0.0
	for i, m := range masks {
		weight := float64(weights[i])
		total += weight
		for y := within.Min.Y; y < within.Max.Y; y++ {
			row := votes[(y-within.Min.Y)*width:][:width]
			for from, to := range m.Row(y) {
				for x := max(from, within.Min.X); x < min(to, within.Max.X); x++ {
					row[x-within.Min.X] += weight
				}
			}
		}
	}
	out := mask.NewBitmapIn(masks[0].Width, masks[0].Height, stored)
	for i, v := range votes {
		if 2*v > total {
			out.Set(within.Min.X+i%width, within.Min.Y+i/width, true)
		}
	}
	return out
}
