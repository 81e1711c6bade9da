package sampler

import (
	"fmt"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// A Config describes how to sample. A field that is zero has the paper's value.
type Config struct {
	Schedule Schedule // nil is Cosine(1000)
	Sampler  Sampler  // nil is DDIM{Eta: 1}
	Grid     Grid     // nil is LinearGrid{}
	Steps    int      // denoising steps; default 1, or the length of a Grid of type Times
	Renewal  Renewal  // nil is Threshold(0.5); NoRenewal{} for none
	Float64  bool     // keeps the state in float64 after the first step, as the reference does
}

// WithDefaults returns c with the paper's values in place of zeros. It returns an error
// if a part's Check does or if the grid has no times for that many steps.
func (c Config) WithDefaults() (Config, error) {
	if c.Schedule == nil {
		c.Schedule = Cosine(1000)
	}
	if c.Sampler == nil {
		c.Sampler = DDIM{Eta: 1}
	}
	if c.Grid == nil {
		c.Grid = LinearGrid{}
	}
	if c.Renewal == nil {
		c.Renewal = Threshold(0.5)
	}
	if c.Steps == 0 {
		c.Steps = 1
		if list, ok := c.Grid.(Times); ok {
			c.Steps = len(list)
		}
	}
	for _, part := range []any{c.Schedule, c.Sampler, c.Grid, c.Renewal} {
		if nilcheck.Is(part) {
			return c, fmt.Errorf("sampler: a nil %T in the configuration: leave the field out for the default", part)
		}
		if part, ok := part.(Checker); ok {
			if err := part.Check(); err != nil {
				return c, err
			}
		}
	}
	_, err := c.Times()
	return c, err
}

// Times returns the times at which a run denoises the state, the noisiest first. c must
// be a result of WithDefaults.
func (c Config) Times() ([]int, error) {
	if c.Steps < 1 {
		return nil, fmt.Errorf("sampler: Steps is %d: want a positive number, or 0 for the default", c.Steps)
	}
	times, err := c.Grid.Times(c.Schedule, c.Steps)
	if err != nil {
		return nil, err
	}
	return times, checkTimes(times, c.Schedule, c.Steps)
}
