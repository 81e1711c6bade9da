package diffusioninst

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// Pixels is a picture in the size that the network sees.
type Pixels struct {
	RGB           []uint8 // (Height, Width, 3), row by row
	Width, Height int
}

// Pack returns pictures as a batch (B,3,height,width) on the device: normalised with Mean
// and Std and padded with zeros on the right and below to width × height pixels.
// All are copied together. It must be called inside torch.Do. A picture that is larger than
// that, or has another number of bytes than its size says, is a panic with *torch.Error.
func (in Input) Pack(s *torch.Scope, pictures []Pixels, width, height int, device torch.Device) *torch.Tensor {
	arrays := in.statistics()
	for from := 0; from < len(pictures); {
		w, h := pictures[from].Width, pictures[from].Height
		to := from
		for ; to < len(pictures) && pictures[to].Width == w && pictures[to].Height == h; to++ {
			if n := len(pictures[to].RGB); w > width || h > height || n != 3*w*h {
				panic(&torch.Error{Op: "pack", Message: fmt.Sprintf("picture %d has %d bytes for %d×%d pixels, in a batch of %d×%d", to, n, w, h, width, height)})
			}
		}
		rgb := pictures[from].RGB // which Upload only reads
		if to-from > 1 {
			rgb = make([]uint8, 0, (to-from)*len(rgb))
			for _, p := range pictures[from:to] {
				rgb = append(rgb, p.RGB...)
			}
		}
		arrays = append(arrays, torch.ArrayOf(rgb, to-from, h, w, 3))
		from = to
	}
	return s.Hold(func() *torch.Tensor {
		uploaded := s.Upload(device, arrays...)
		mean, std := uploaded[0], uploaded[1]
		var parts []*torch.Tensor
		for _, rgb := range uploaded[2:] {
			parts = append(parts, s.Hold(func() *torch.Tensor { return in.padded(rgb, mean, std, width, height) }))
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return torch.Cat(parts, 0)
	})
}

// statistics are Mean and Std, to be uploaded with the pictures.
func (in Input) statistics() []torch.Array {
	on := func(v [3]float64) torch.Array {
		return torch.ArrayOf([]float32{float32(v[0]), float32(v[1]), float32(v[2])})
	}
	return []torch.Array{on(in.Mean), on(in.Std)}
}

// padded normalises pictures (B,h,w,3) and pads them: (B,3,height,width).
func (in Input) padded(x, mean, std *torch.Tensor, width, height int) *torch.Tensor {
	if in.BGR {
		x = x.Flip(3)
	}
	x = x.ToDType(torch.Float32).Sub(mean).Div(std).Permute(0, 3, 1, 2)
	w, h := x.Size(3), x.Size(2)
	if w == width && h == height {
		return x
	}
	return x.ConstantPad([]int{0, width - w, 0, height - h}, 0)
}

// mirror turns the pixels left to right, in place.
func (p Pixels) mirror() {
	for row := p.RGB; len(row) > 0; row = row[3*p.Width:] {
		for i, j := 0, 3*(p.Width-1); i < j; i, j = i+3, j-3 {
			for c := range 3 {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
}
