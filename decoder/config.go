package decoder

import "fmt"

// Config describes the decoder. The zero value of a field means the paper's.
type Config struct {
	Classes      int     // scores a proposal gets; required
	FilterParams int     // numbers in a filter; 153 for three layers of eight channels
	Hidden       int     // d, the size of proposal features: 256; the pyramid must have as many channels
	Dynamic      int     // inner width of the dynamic convolution: 64
	FeedForward  int     // inner width of the feed-forward network: 2048
	Heads        int     // of the self-attention: 8; they divide Hidden
	Stages       int     // refinements of the boxes: 6
	ClassLayers  int     // layers before class_logits: 1
	BoxLayers    int     // layers before bboxes_delta and controller: 3
	Bins         int     // a side of a pooled box: 7
	Samples      int     // bilinear samples a side of a bin: 2
	Prior        float64 // an untrained model's scores: 0.01
	FilterState  bool    // noisy filters are part of the state, beside the boxes; see Decoder.ForwardState
}

// WithDefaults fills in the paper's values and checks the result.
func (c Config) WithDefaults() (Config, error) {
	for _, f := range []struct {
		field    *int
		standard int
	}{
		{&c.FilterParams, 153}, {&c.Hidden, 256}, {&c.Dynamic, 64}, {&c.FeedForward, 2048}, {&c.Heads, 8},
		{&c.Stages, 6}, {&c.ClassLayers, 1}, {&c.BoxLayers, 3}, {&c.Bins, 7}, {&c.Samples, 2},
	} {
		if *f.field == 0 {
			*f.field = f.standard
		}
		if *f.field < 0 {
			return c, fmt.Errorf("decoder: a negative size: %+v", c)
		}
	}
	if c.Prior == 0 {
		c.Prior = 0.01
	}
	switch {
	case c.Classes < 1:
		return c, fmt.Errorf("decoder: %d classes", c.Classes)
	case c.Hidden%c.Heads != 0:
		return c, fmt.Errorf("decoder: %d heads do not divide a hidden size of %d", c.Heads, c.Hidden)
	case c.Hidden%2 != 0 || c.Hidden < 4:
		return c, fmt.Errorf("decoder: hidden size %d: the time embedding needs an even one of at least 4", c.Hidden)
	case c.Prior <= 0 || c.Prior >= 1:
		return c, fmt.Errorf("decoder: prior probability %v", c.Prior)
	}
	return c, nil
}
