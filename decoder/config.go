package decoder

import (
	"errors"
	"fmt"
)

// A Config describes a decoder. A field that is zero has the paper's value.
type Config struct {
	Classes      int     // class scores per proposal, K; required
	FilterParams int     // length of a filter; default 153, for three layers of eight channels
	Hidden       int     // size of proposal features, d; default 256; the pyramid must have as many channels
	Dynamic      int     // inner width of the dynamic convolution; default 64
	FeedForward  int     // inner width of the feed-forward network; default 2048
	Heads        int     // attention heads, a divisor of Hidden; default 8
	Stages       int     // refinements of the boxes, S; default 6
	ClassLayers  int     // layers before class_logits; default 1, negative for none
	BoxLayers    int     // layers before bboxes_delta and controller; default 3, negative for none
	Bins         int     // bins per side of a pooled box; default 7
	Samples      int     // bilinear samples per side of a bin; default 2
	Prior        float64 // class scores of an untrained model, above 0 and below 1; default 0.01
	FilterState  bool    // whether noisy filters are part of the state; see Decoder.ForwardState
	// Coordinates is how many numbers are predicted beside a filter, for relative coordinates; see Decoder.Place.
	Coordinates int `json:",omitzero"`
	// SelfConditioning tells the first stage what the decoder itself estimated last of each proposal; see Conditioning.
	SelfConditioning bool `json:",omitzero"`
}

// WithDefaults returns c with the paper's values in place of zeros. It returns an
// error if c describes no decoder that can be built.
func (c Config) WithDefaults() (Config, error) {
	for _, f := range []struct {
		name     string
		field    *int
		standard int
		none     bool // negative means none
	}{
		{"FilterParams", &c.FilterParams, 153, false}, {"Hidden", &c.Hidden, 256, false},
		{"Dynamic", &c.Dynamic, 64, false}, {"FeedForward", &c.FeedForward, 2048, false},
		{"Heads", &c.Heads, 8, false}, {"Stages", &c.Stages, 6, false},
		{"ClassLayers", &c.ClassLayers, 1, true}, {"BoxLayers", &c.BoxLayers, 3, true},
		{"Bins", &c.Bins, 7, false}, {"Samples", &c.Samples, 2, false},
	} {
		if *f.field == 0 {
			*f.field = f.standard
		}
		if *f.field < 0 && !f.none {
			return c, fmt.Errorf("decoder: %s is %d: want a positive number, or 0 for the default", f.name, *f.field)
		}
	}
	if c.Prior == 0 {
		c.Prior = 0.01
	}
	switch {
	case c.Coordinates < 0:
		return c, fmt.Errorf("decoder: Coordinates is %d: want a number of weights, or 0 for none", c.Coordinates)
	case c.Coordinates > 0 && c.FilterState:
		return c, errors.New("decoder: Coordinates (REL_COORDS) with FilterState (FILTER_RANGE): filters that depend on their boxes are not diffused")
	case c.Classes == 0:
		return c, errors.New("decoder: Classes is not set")
	case c.Classes < 0:
		return c, fmt.Errorf("decoder: Classes is %d: want a positive number", c.Classes)
	case c.Hidden%c.Heads != 0:
		return c, fmt.Errorf("decoder: Heads is %d, which does not divide Hidden, %d", c.Heads, c.Hidden)
	case c.Hidden%2 != 0 || c.Hidden < 4:
		return c, fmt.Errorf("decoder: Hidden is %d: the time embedding needs an even number of at least 4", c.Hidden)
	case !(c.Prior > 0 && c.Prior < 1):
		return c, fmt.Errorf("decoder: Prior is %v: want a probability above 0 and below 1", c.Prior)
	}
	return c, nil
}
