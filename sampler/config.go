package sampler

import "fmt"

// Config is a way to sample. The zero value of a field means the paper's.
type Config struct {
	Schedule Schedule // nil is Cosine(1000)
	Sampler  Sampler  // nil is DDIM{Eta: 1}
	Grid     Grid     // nil is LinearGrid{}
	Steps    int      // 0 is 1, or as many as Grid lists
	Renewal  Renewal  // nil is Threshold(0.5); see NoRenewal
	Float64  bool     // keep the state in float64 after the first step, as the reference does
}

// WithDefaults fills in the paper's values and refuses impossible ones.
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
		if part, ok := part.(Checker); ok {
			if err := part.Check(); err != nil {
				return c, err
			}
		}
	}
	_, err := c.Times()
	return c, err
}

// Times are the times at which a run denoises the state, from the noisiest. c must
// have gone through WithDefaults.
func (c Config) Times() ([]int, error) {
	if c.Steps < 1 {
		return nil, fmt.Errorf("sampler: %d steps: at least one is required", c.Steps)
	}
	times, err := c.Grid.Times(c.Schedule, c.Steps)
	if err != nil {
		return nil, err
	}
	return times, checkTimes(times, c.Schedule, c.Steps)
}
