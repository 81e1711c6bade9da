package diffusioninst

import (
	"context"
	"fmt"
	"image"
	"image/color"

	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// SegmentTensor is SegmentBatch for B pictures that are on the model's device already, as a decoder of pictures or video on
// a GPU leaves them: uint8 (B,H,W,3), rows of red, green and blue. No pixel passes through the host. They are resized where
// they are, as Segment does it, except for samples that are rounded to the other of two neighbours. Percentiles and
// ranges of Options.Normalize are for samples of more than 8 bits, and an *OptionError here.
//
// The call must be outside of torch.Do. The tensor stays the caller's, must have been made in LibTorch's
// default stream, and must not change before the call returns. Errors are Segment's, and an *ImageError for a tensor
// of another shape, type or device.
func (m *Model) SegmentTensor(ctx context.Context, pictures *torch.Tensor, o Options) ([]*Result, error) {
	if pictures == nil {
		return nil, &ImageError{Reason: "there is no tensor"}
	}
	shape := pictures.Shape()
	if len(shape) != 4 || shape[0] < 1 || shape[3] != 3 || pictures.DType() != torch.Uint8 {
		return nil, &ImageError{Reason: fmt.Sprintf("the tensor %v is not uint8 (B,H,W,3)", pictures)}
	}
	if o.Normalize != "" && o.Normalize != picture.Auto && o.Normalize != picture.None {
		return nil, optionError("Normalize", "%s: pictures on a device have their 8 bits already", o.Normalize)
	}
	o.Normalize = picture.None
	images := make([]image.Image, shape[0])
	for i := range images {
		images[i] = tensorPicture{image.Pt(shape[2], shape[1])}
	}
	return m.segment(ctx, images, pictures, o)
}

// tensorPicture stands for a picture of a tensor where its size is asked for.
type tensorPicture struct{ size image.Point }

func (p tensorPicture) Bounds() image.Rectangle { return image.Rectangle{Max: p.size} }
func (tensorPicture) ColorModel() color.Model   { return color.RGBAModel }
func (tensorPicture) At(int, int) color.Color   { return color.RGBA{} }

// packTensor is Input.Pack for views of the request's tensor. Views of neighbouring pictures that are alike are
// taken together.
func (p *pass) packTensor(s *torch.Scope, width, height int) *torch.Tensor {
	in := p.model.config.Input
	statistics := s.Upload(p.model.device, in.statistics()...)
	mean, std := statistics[0], statistics[1]
	var parts []*torch.Tensor
	for from, to := 0, 0; from < len(p.views); from = to {
		v := p.views[from]
		for to = from + 1; to < len(p.views) && v.alike(p.views[to]) && p.views[to].picture == v.picture+to-from; {
			to++
		}
		parts = append(parts, s.Hold(func() *torch.Tensor {
			x := s.Adopt(p.tensor).Narrow(0, v.picture, to-from).Narrow(1, v.part.Min.Y, v.part.Dy()).Narrow(2, v.part.Min.X, v.part.Dx())
			x = resizeTensor(x, v.width, v.height)
			if v.mirrored {
				x = x.Flip(2)
			}
			return in.padded(x, mean, std, width, height)
		}))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return torch.Cat(parts, 0)
}

// alike reports whether views see the same part of their pictures in the same way.
func (v view) alike(w view) bool {
	return v.part == w.part && v.width == w.width && v.height == w.height && v.mirrored == w.mirrored
}

// resizeTensor is picture.Resize for pictures (B,h,w,3): first along the rows, then along the columns, each rounded to
// whole numbers, halves up.
func resizeTensor(x *torch.Tensor, width, height int) *torch.Tensor {
	h, w := x.Size(1), x.Size(2)
	if w == width && h == height {
		return x
	}
	x = x.ToDType(torch.Float32).Permute(0, 3, 1, 2).Contiguous()
	if w != width {
		x = x.UpsampleBilinear2dAntialiased([]int{h, width}, false).AddScalar(0.5).Floor()
	}
	if h != height {
		x = x.UpsampleBilinear2dAntialiased([]int{height, width}, false).AddScalar(0.5).Floor()
	}
	return x.Permute(0, 2, 3, 1)
}
