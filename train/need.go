package train

import (
	"cmp"
	"fmt"
	"math"
	"sync"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/processor"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// mostBytes lets the paper's batch of 16 pictures of 800×1333 pixels through, which takes 42 GB
// by the estimate.
const mostBytes = 64 << 30

// defaultMaxBytes is what Options.MaxBytes is by default on the CPU.
var defaultMaxBytes = sync.OnceValue(func() int64 { return maxBytesWithin(processor.Memory()) })

// maxBytesWithin returns the default within a limit; 0 is none.
func maxBytesWithin(limit int64) int64 {
	if limit <= 0 {
		return mostBytes
	}
	return min(mostBytes, limit)
}

// trainPixelBytes is what a step keeps for the gradient of a pixel of its batch. Measured as
// the growth of the resident set's peak (VmHWM in /proc/self/status) over Trainer.Step with a
// ResNet-50 in float32: from 128×128 to 320×320 pixels 1.1 kB per pixel, and from 10 to 200
// proposals 1.6 MB per proposal, which needBytes derives from the sizes of the tensors.
const trainPixelBytes = 1500

// LimitError says that a step needs more memory than Options.MaxBytes, by an estimate
// before it begins.
type LimitError struct {
	Pictures, Width, Height int // of the batch, or of its part; the largest picture's sides
	Proposals               int // of each picture
	Bytes, Limit            int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("train: a batch of %d pictures of %d×%d pixels with %d proposals needs about %.1f GB of memory, the limit is %.1f GB: "+
		"use smaller batches, crops or fewer proposals, or raise Options.MaxBytes",
		e.Pictures, e.Width, e.Height, e.Proposals, float64(e.Bytes)/1e9, float64(e.Limit)/1e9)
}

// maxBytes resolves Options.MaxBytes; 0 for none.
func (o Options) maxBytes(device torch.Device) int64 {
	if o.MaxBytes == 0 && device.IsCUDA() {
		return 0 // a GPU that is full is an error, not the end of the process
	}
	return max(cmp.Or(o.MaxBytes, defaultMaxBytes()), 0)
}

// checkMemory refuses a batch that needs more memory than the limit.
func checkMemory(c diffusioninst.Config, limit int64, samples []data.Sample) error {
	e := &LimitError{Pictures: len(samples), Proposals: c.Proposals, Limit: limit}
	for _, s := range samples {
		e.Width, e.Height = max(e.Width, s.Width), max(e.Height, s.Height)
	}
	need := needBytes(c, float64(e.Pictures), float64(e.Width)*float64(e.Height))
	e.Bytes = int64(min(need, math.MaxInt64/2))
	if limit > 0 && e.Bytes > limit {
		return e
	}
	return nil
}

// needBytes estimates the memory of a step: the backbone's features, and of every stage of
// the decoder the dynamic matrices, pooled features and attention weights of all proposals.
func needBytes(c diffusioninst.Config, pictures, pixels float64) float64 {
	d, n, bins := float64(c.Decoder.Hidden), float64(c.Proposals), float64(c.Decoder.Bins)
	proposal := 2*d*float64(c.Decoder.Dynamic) + 3*bins*bins*d + 2*float64(c.Decoder.FeedForward) + 16*d
	stage := n * (proposal + 2*float64(c.Decoder.Heads)*n + 3*float64(len(c.Classes)))
	return pictures * (trainPixelBytes*pixels + 4*float64(c.Decoder.Stages)*stage)
}
