package diffusioninst

import (
	"fmt"

	"github.com/diffusioninst/go/sampler"
)

// Options of one call. The zero value of a field means the model's own setting.
type Options struct {
	Steps     int             // denoising steps; more are slower and may be better
	Proposals int             // boxes that are denoised at once
	Score     float64         // least score of an instance: 0.5; negative for none
	Limit     int             // at most so many instances: 0 for all
	Seed      uint64          // of the noise; picture i of a batch uses Seed+i
	Tile      int             // side of the tiles in which larger pictures are segmented, see Input.Tile; negative for none
	Sampling  *sampler.Config // in place of the model's; Steps above 0 goes before its Steps
	Ensemble  *Ensemble       // in place of the model's
}

// OptionError says which option is impossible.
type OptionError struct {
	Option string
	Reason string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("diffusioninst: option %s: %s", e.Option, e.Reason)
}

// resolve fills in the model's settings.
func (o Options) resolve(c Config) (Options, sampler.Config, error) {
	sampling := c.Sampling
	if o.Sampling != nil {
		sampling = *o.Sampling
	}
	if o.Steps < 0 {
		return o, sampling, &OptionError{"Steps", fmt.Sprintf("%d: at least one step is required", o.Steps)}
	}
	if o.Steps > 0 {
		sampling.Steps = o.Steps
	}
	sampling, err := sampling.WithDefaults()
	if err != nil {
		option := "Steps"
		if o.Sampling != nil {
			option = "Sampling"
		}
		return o, sampling, &OptionError{option, err.Error()}
	}
	if o.Tile > 0 && (c.Input.Scale == 0 || o.Tile < 32) {
		return o, sampling, &OptionError{"Tile", fmt.Sprintf("%d: at least 32 pixels and a model with Input.Scale are required", o.Tile)}
	}
	if o.Ensemble == nil {
		o.Ensemble = &c.Ensemble
	}
	if err := o.Ensemble.check(); err != nil {
		return o, sampling, &OptionError{"Ensemble", err.Error()}
	}
	if o.Proposals == 0 {
		o.Proposals = c.Proposals
	}
	if o.Score == 0 {
		o.Score = 0.5
	}
	if c.Quirks == Reference {
		o.Score, o.Limit = -1, 0
	}
	switch {
	case o.Proposals < 1 || o.Proposals > maxProposals:
		return o, sampling, &OptionError{"Proposals", fmt.Sprintf("%d: want 1 to %d", o.Proposals, maxProposals)}
	case !(o.Score <= 1):
		return o, sampling, &OptionError{"Score", fmt.Sprintf("%v: no score exceeds 1", o.Score)}
	case o.Limit < 0:
		return o, sampling, &OptionError{"Limit", fmt.Sprintf("%d is negative", o.Limit)}
	}
	return o, sampling, nil
}

// maxProposals bounds the memory of the self-attention, which grows with the square.
const maxProposals = 20000
