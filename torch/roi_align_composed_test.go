package torch

// roiAlignComposed is RoIAlign of LibTorch's operators: every bilinear sample is
// four gathered rows of features. Differentiable.
func roiAlignComposed(levels []*Tensor, boxes, image, level *Tensor, c RoIAlignConfig) *Tensor {
	s := scopeOf(append([]*Tensor{boxes}, levels...)...)
	opt := Options{levels[0].DType(), levels[0].Device()}
	rois, channels := boxes.Size(0), levels[0].Size(1)
	return s.Hold(func() *Tensor {
		out := s.Zeros(opt, rois, c.Bins*c.Bins, channels)
		boxes := boxes.Detach().ToDType(opt.DType)
		for i, features := range levels {
			rows := level.EqScalar(float64(i)).Nonzero().Flatten(0, 1)
			if rows.Elements() == 0 {
				continue
			}
			pooled := poolLevel(features, boxes.IndexSelect(0, rows), image.IndexSelect(0, rows), c.Scales[i], c)
			out = out.IndexCopy(0, rows, pooled)
		}
		return out
	})
}

// poolLevel pools all boxes from one level: (R, Bins², C).
func poolLevel(features, boxes, image *Tensor, scale float64, c RoIAlignConfig) *Tensor {
	shape := features.Shape()
	channels, height, width := shape[1], shape[2], shape[3]
	flat := features.Permute(0, 2, 3, 1).Reshape(-1, channels)
	n := c.Bins * c.Samples
	y0, y1, wy0, wy1 := axis(boxes.Select(1, 1), boxes.Select(1, 3), scale, height, c)
	x0, x1, wx0, wx1 := axis(boxes.Select(1, 0), boxes.Select(1, 2), scale, width, c)
	base := image.MulScalar(float64(height*width)).Reshape(-1, 1, 1)
	var sum *Tensor
	for _, y := range []struct{ at, w *Tensor }{{y0, wy0}, {y1, wy1}} {
		for _, x := range []struct{ at, w *Tensor }{{x0, wx0}, {x1, wx1}} {
			at := y.at.MulScalar(float64(width)).Unsqueeze(2).Add(x.at.Unsqueeze(1)).Add(base) // (R,n,n)
			weight := y.w.Unsqueeze(2).Mul(x.w.Unsqueeze(1))
			tap := flat.IndexSelect(0, at.Flatten(0, 2)).Mul(weight.Reshape(-1, 1))
			if sum == nil {
				sum = tap
			} else {
				sum = sum.Add(tap)
			}
		}
	}
	rois := boxes.Size(0)
	return sum.Reshape(rois, c.Bins, n/c.Bins, c.Bins, n/c.Bins, channels).
		MeanDim([]int{2, 4}, false).Reshape(rois, c.Bins*c.Bins, channels)
}

// axis places the samples of all boxes along one axis (R, Bins·Samples): the
// indices of both neighbours and their weights, zero beyond a pixel outside.
func axis(from, to *Tensor, scale float64, size int, c RoIAlignConfig) (i0, i1, w0, w1 *Tensor) {
	s := scopeOf(from)
	n := c.Bins * c.Samples
	start := from.MulScalar(scale).AddScalar(-0.5).Unsqueeze(1)
	length := to.MulScalar(scale).AddScalar(-0.5).Unsqueeze(1).Sub(start)
	grid := s.Arange(n, Options{from.DType(), from.Device()}).AddScalar(0.5).DivScalar(float64(n)).Unsqueeze(0)
	at := start.Add(length.Mul(grid))
	inside := at.GeScalar(-1).LogicalAnd(at.LeScalar(float64(size))).ToDType(from.DType())
	at = at.Clamp(0, float64(size-1))
	low := at.Floor()
	i0 = low.ToDType(Int64)
	i1 = i0.AddScalar(1).ClampMax(float64(size - 1)).ToDType(Int64)
	w1 = at.Sub(low)
	w0 = w1.RSubScalar(1).Mul(inside)
	return i0, i1, w0, w1.Mul(inside)
}
