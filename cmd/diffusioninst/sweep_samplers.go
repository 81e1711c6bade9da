//go:build cgo

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/sampler"
)

// samplers are the samplers of sweep by name.
var samplers = []struct {
	name string
	make func(eta float64) sampler.Sampler
	eta  bool    // whether ":η" may follow the name
	with float64 // η if it does not
}{
	{"ddim", func(eta float64) sampler.Sampler { return sampler.DDIM{Eta: eta} }, true, 1},
	{"ddpm", func(float64) sampler.Sampler { return sampler.DDPM{} }, false, 0},
	{"euler", func(float64) sampler.Sampler { return sampler.Euler{} }, false, 0},
	{"heun", func(float64) sampler.Sampler { return sampler.Heun{} }, false, 0},
	{"dpm++2m", func(eta float64) sampler.Sampler { return sampler.DPMSolver2M{Eta: eta} }, true, 0},
	{"dpm++2m-sde", func(float64) sampler.Sampler { return sampler.DPMSolver2M{Eta: 1} }, false, 0},
	{"restart", func(float64) sampler.Sampler { return sampler.Restart{} }, false, 0},
}

func init() {
	for _, s := range samplers {
		samplerNames = append(samplerNames, s.name)
	}
}

// parseSampler returns the sampler of a name such as ddim or, with its η, ddim:0.5.
func parseSampler(text string) (sampler.Sampler, error) {
	name, value, given := strings.Cut(strings.ToLower(strings.TrimSpace(text)), ":")
	for _, known := range samplers {
		if known.name != name {
			continue
		}
		eta := known.with
		if given {
			var err error
			if eta, err = strconv.ParseFloat(value, 64); err != nil || !known.eta {
				return nil, fmt.Errorf("sampler %q: only ddim and dpm++2m take a number, η, as in ddim:0.5", text)
			}
		}
		made := known.make(eta)
		if c, ok := made.(sampler.Checker); ok {
			if err := c.Check(); err != nil {
				return nil, err
			}
		}
		return made, nil
	}
	return nil, fmt.Errorf("sampler %q: not one of %s", text, strings.Join(samplerNames, ", "))
}
