package diffusioninst

import (
	"fmt"
	"image"
	"math"
	"sync"

	"github.com/diffusioninst/go/internal/processor"
)

// Need is what a request takes, estimated before anything is allocated.
type Need struct {
	Views  int64 // of the network: pictures × scales × mirrored × tiles
	Pixels int64 // of the views that go through the network together, with their padding
	// Width and Height are the size of the network's input with its padding, in pixels.
	// Pictures of one view each (Views 1) for which they are equal can go through the network
	// together at no cost for padding.
	Width, Height int
	Proposals     int64 // that are denoised together
	Bytes         int64 // of memory at the worst moment
}

// LimitError says that a request needs more than Options.MaxBytes or Options.MaxViews
// allows. Nothing has been computed when it is returned, unless it is about the masks of
// what was found.
type LimitError struct {
	Option string // "MaxBytes" or "MaxViews"
	Need   Need
	Limit  int64 // of Option
	reason string
}

func (e *LimitError) Error() string {
	if e.Option == "MaxViews" {
		return fmt.Sprintf("diffusioninst: the request makes %d views, the limit is %d: use larger tiles or fewer scales, or raise Options.MaxViews", e.Need.Views, e.Limit)
	}
	return fmt.Sprintf("diffusioninst: the request needs about %s of memory (%s), the limit is %s: %s, or raise Options.MaxBytes",
		gigabytes(e.Need.Bytes), e.reason, gigabytes(e.Limit), "use fewer proposals or steps, smaller pictures, sizes (Scales) or batches, or tiles")
}

// gigabytes writes a number of bytes, in smaller units if it is less than 0.1 GB.
func gigabytes(n int64) string {
	switch {
	case n < 1e5:
		return fmt.Sprintf("%d bytes", n)
	case n < 1e8:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// mostBytes is DefaultMaxBytes where no limit is lower.
const mostBytes = 8 << 30

// DefaultMaxBytes returns what Options.MaxBytes is by default on the CPU: 8 GiB, but at most three quarters of the memory
// limit of the process's container or job (its control group). The rest is for the program, the weights and the
// pictures themselves.
func DefaultMaxBytes() int64 { return defaultMaxBytes() }

var defaultMaxBytes = sync.OnceValue(func() int64 { return maxBytesWithin(processor.Memory()) })

// maxBytesWithin returns the default within a limit; 0 is none.
func maxBytesWithin(limit int64) int64 {
	if limit <= 0 {
		return mostBytes
	}
	return min(mostBytes, limit/4*3)
}

const defaultMaxViews = 100_000

// Bytes that a request takes at most, measured as the growth of the resident set's peak
// (VmHWM in /proc/self/status) over calls of SegmentBatch in processes of their own, with
// LibTorch 1.13 in float32:
//
//	640×640 pixels, 1 proposal: ResNet-18 306, -50 398, -101 415, Swin-T 422, Swin-B 364 bytes per pixel
//	ResNet-50, 320×320 pixels: 500 proposals 383 kB each, 2000 343 kB, 4000 334 kB
//
// The proposals' figures follow from the sizes of the tensors that live together: see
// decoderBytes.
const (
	pixelBytes     = 512 // of the network's input: the backbone's widest layers
	viewBytes      = 300 // of the list of views
	candidateBytes = 100 // besides the filter
)

// countViews returns the number of views of a picture of a size, without making them.
func (s *settings) countViews(size image.Point) int64 {
	n := int64(0)
	for _, l := range s.looks {
		tile, overlap, _ := s.tiles(l.input, size)
		n += int64(spanCount(size.X, tile, overlap)) * int64(spanCount(size.Y, tile, overlap))
	}
	return n
}

// checkCount refuses more views than the limit.
func (s *settings) checkCount(sizes []image.Point) error {
	need := Need{}
	for _, size := range sizes {
		need.Views += s.countViews(size)
		if s.maxViews > 0 && need.Views > s.maxViews {
			return &LimitError{Option: "MaxViews", Need: need, Limit: s.maxViews}
		}
	}
	return nil
}

// needs estimates what each pass takes, together with the list of all views.
func (q *request) needs(c Config, strides []int) []Need {
	divisor := strides[len(strides)-1]
	all := 0
	for _, views := range q.passes {
		all += len(views)
	}
	var out []Need
	for _, views := range q.passes {
		need := q.need(views, c, divisor)
		need.Views = int64(all)
		need.Bytes = saturate(float64(need.Bytes) + viewBytes*float64(all))
		out = append(out, need)
	}
	return out
}

// checkMemory refuses requests of which a pass needs more memory than the limit.
func (q *request) checkMemory(c Config, strides []int) error {
	for i, need := range q.needs(c, strides) {
		if views := q.passes[i]; q.maxBytes > 0 && need.Bytes > q.maxBytes {
			return &LimitError{Option: "MaxBytes", Need: need, Limit: q.maxBytes, reason: fmt.Sprintf(
				"%d × %d proposals in %d steps and %.3g megapixels at once", len(views), q.proposals, q.sampling.Steps, float64(need.Pixels)/1e6)}
		}
	}
	return nil
}

// need estimates what one pass takes. It computes in float64, which does not overflow.
func (s *settings) need(views []view, c Config, divisor int) Need {
	width, height, reading, area := 0.0, 0.0, 0.0, 0.0
	for _, v := range views {
		width, height = max(width, float64(v.width)), max(height, float64(v.height))
		part := float64(v.part.Dx()) * float64(v.part.Dy())
		reading += 4*part + 3*float64(v.width)*float64(v.part.Dy()) // before and between the two directions of resizing
		area = max(area, part)
	}
	d := float64(divisor)
	width, height = math.Ceil(width/d)*d, math.Ceil(height/d)*d
	n, together := float64(s.proposals), float64(len(views))
	steps := float64(s.sampling.Steps)
	if s.ensemble.LastOnly {
		steps = 1
	}
	steps *= float64(s.restarts)
	pixels := together * width * height
	candidates := together * n * steps
	bytes := pixels*pixelBytes + together*decoderBytes(c, n) + reading +
		candidates*(candidateBytes+4*float64(c.MaskHead.Params())) + min(n*steps*area/8, maskBytes)
	return Need{Width: int(width), Height: int(height), Pixels: saturate(pixels), Proposals: saturate(together * n), Bytes: saturate(bytes)}
}

// decoderBytes estimates what a stage of the decoder takes for n proposals of one view in
// float32: either the two dynamic matrices of a proposal, with their contiguous copies, and
// its pooled features before, between and after them; or the pooled features and, twice, the
// attention weights of every head.
func decoderBytes(c Config, n float64) float64 {
	d, bins := float64(c.Decoder.Hidden), float64(c.Decoder.Bins)
	pooled := bins * bins * d
	dynamic := n * (4*d*float64(c.Decoder.Dynamic) + 3*pooled + 2*float64(c.Decoder.FeedForward))
	attention := n * (2*float64(c.Decoder.Heads)*n + pooled + 16*d)
	return 4 * (max(dynamic, attention) + 3*n*float64(len(c.Classes)))
}

// checkMasks refuses instances whose masks, in their areas, would need more memory than is left.
func (s *settings) checkMasks(areas []image.Rectangle, held int64) error {
	need := float64(held)
	for _, area := range areas {
		need += float64(maskSize(area))
	}
	if s.maxBytes > 0 && need > float64(s.maxBytes) {
		return &LimitError{Option: "MaxBytes", Need: Need{Bytes: saturate(need)}, Limit: s.maxBytes, reason: fmt.Sprintf(
			"%d more masks beside %s of those before", len(areas), gigabytes(held))}
	}
	return nil
}

// massOf returns the bytes of instances' masks.
func massOf(instances []Instance) int64 {
	n := int64(0)
	for _, in := range instances {
		n += 8 * int64(len(in.Mask.Words))
	}
	return n
}

// saturate returns the nearest int64.
func saturate(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}
