package diffusioninst

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// filled is a configuration all of whose fields are set, to what is not the paper's.
func filled() Config {
	return Config{
		Backbone: backbone.ResNetFPN{Channels: 64, ResNet: backbone.ResNet{
			Depth: 18, StemChannels: 16, Res2Channels: 32, Width: 8, StrideIn1x1: true, Norm: nn.BatchNorm,
		}},
		Decoder: decoder.Config{
			Classes: 2, FilterParams: 33, Hidden: 64, Dynamic: 16, FeedForward: 128, Heads: 4, Stages: 3, ClassLayers: 2, BoxLayers: 1,
			Bins: 5, Samples: 1, Prior: 0.05, FilterState: true,
		},
		MaskBranch: maskhead.BranchConfig{Width: 32, Channels: 4, Levels: 2, Convs: 1, Upsample: 2},
		MaskHead:   maskhead.Head{Channels: 4, Layers: 2},
		Sampling: sampler.Config{
			Schedule: sampler.Sigmoid(100), Sampler: sampler.DPMSolver2M{Eta: 0.5}, Grid: sampler.KarrasGrid{Rho: 5, Max: 30, Min: 0.01},
			Steps: 4, Renewal: sampler.TopFraction(0.75), Float64: true,
		},
		Ensemble:    Ensemble{LastOnly: true, Vote: 0.75, Voters: 3},
		Classes:     []string{"nucleus", `"Zelle" <ü>`},
		Proposals:   120,
		SignalScale: 1.5,
		FilterRange: 2.5,
		SizePrior:   SizePrior{Mean: 0.1, Std: 0.05},
		NMS:         -1,
		Input:       Input{Short: 256, Longest: 512, Mean: [3]float64{1, 2, 0.1}, Std: [3]float64{4, 5, 6}, BGR: true},
		Quirks:      Reference,
	}
}

func roundTrip(t *testing.T, c Config) Config {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var got Config
	require.NoError(t, json.Unmarshal(text, &got))
	return got
}

func TestConfigurationsAreTheSameAfterJSON(t *testing.T) {
	require.Empty(t, cmp.Diff(filled(), roundTrip(t, filled())))
	swin := ResNet101LVIS()
	swin.Backbone = backbone.SwinFPN{Channels: 32, Swin: backbone.Swin{Size: "S", EmbedDim: 24, Depths: [4]int{1, 2, 3, 4}, Heads: [4]int{1, 2, 4, 8}, Window: 5, MLPRatio: 2.5, DropRate: -1}}
	require.Empty(t, cmp.Diff(swin, roundTrip(t, swin)))
	full, err := swin.WithDefaults()
	require.NoError(t, err)
	again, err := roundTrip(t, full).WithDefaults()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(full, again))
	for _, s := range []sampler.Sampler{sampler.DDIM{Eta: 1}, sampler.DDPM{}, sampler.Euler{}, sampler.Heun{}, sampler.Restart{}} {
		for _, g := range []sampler.Grid{sampler.LinearGrid{}, sampler.QuadraticGrid{}, sampler.Times{900, 3}, nil} {
			for _, r := range []sampler.Renewal{sampler.NoRenewal{}, sampler.Threshold(0.3), nil} {
				c := Config{Sampling: sampler.Config{Sampler: s, Grid: g, Renewal: r}}
				require.Empty(t, cmp.Diff(c, roundTrip(t, c)))
			}
		}
	}
	pointer := Config{Backbone: &backbone.SwinFPN{Channels: 8}}
	require.Equal(t, backbone.SwinFPN{Channels: 8}, roundTrip(t, pointer).Backbone)
}

// The text is what files have: it may grow, but what it has must keep its name and meaning.
func TestConfigurationText(t *testing.T) {
	c := filled()
	c.Sampling.Schedule, c.Input.Short, c.Input.Scale, c.Input.Tile, c.Input.Overlap = sampler.Cosine(1000), 0, 0.5, 256, 48
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"Version": 1,
		"Backbone": {"ResNetFPN": {"Channels": 64, "ResNet": {
			"Depth": 18, "StemChannels": 16, "Res2Channels": 32, "Width": 8, "StrideIn1x1": true, "Norm": 2}}},
		"Decoder": {
			"Classes": 2, "FilterParams": 33, "Hidden": 64, "Dynamic": 16, "FeedForward": 128, "Heads": 4, "Stages": 3, "ClassLayers": 2,
			"BoxLayers": 1, "Bins": 5, "Samples": 1, "Prior": 0.05, "FilterState": true},
		"MaskBranch": {"Width": 32, "Channels": 4, "Levels": 2, "Convs": 1, "Upsample": 2},
		"MaskHead": {"Channels": 4, "Layers": 2},
		"Sampling": {
			"Sampler": {"DPMSolver2M": {"Eta": 0.5}}, "Grid": {"KarrasGrid": {"Rho": 5, "Max": 30, "Min": 0.01}},
			"Steps": 4, "Renewal": {"TopFraction": 0.75}, "Float64": true},
		"Ensemble": {"LastOnly": true, "Vote": 0.75, "Voters": 3},
		"Classes": ["nucleus", "\"Zelle\" <ü>"],
		"Proposals": 120, "SignalScale": 1.5, "FilterRange": 2.5, "SizePrior": {"Mean": 0.1, "Std": 0.05}, "NMS": -1,
		"Input": {"Short": 0, "Scale": 0.5, "Tile": 256, "Overlap": 48, "Longest": 512, "Mean": [1, 2, 0.1], "Std": [4, 5, 6], "BGR": true},
		"Quirks": 1}`, string(text))
}

// mine is a part of a user's own.
type mine struct{ sampler.Euler }

func (mine) Step(s *sampler.Step) (*torch.Tensor, error) { return s.X0, nil }

func TestUnreadableConfigurations(t *testing.T) {
	own, err := json.Marshal(Config{Sampling: sampler.Config{Sampler: mine{}}})
	require.NoError(t, err)
	for text, want := range map[string]string{
		string(own):                            "diffusioninst.mine is not a Sampler of this module",
		`{"Version":2}`:                        "version 2",
		`{}`:                                   "version 0",
		`{"Version":1,"Colour":true}`:          "Colour",
		`{"Version":1,"Backbone":{"DDIM":{}}}`: "DDIM is not a Builder",
		`{"Version":1,"Backbone":{"ResNetFPN":{"Levels":4}}}`:      "Levels",
		`{"Version":1,"Backbone":{"ResNetFPN":{},"SwinFPN":{}}}`:   "2 parts",
		`{"Version":1,"Backbone":7}`:                               "cannot unmarshal",
		`{"Version":1,"Sampling":{"Schedule":[1,"a"]}}`:            "cannot unmarshal",
		`{"Version":1,"Sampling":{"Sampler":{"DDIM":{"Eta":[]}}}}`: "cannot unmarshal",
	} {
		var c Config
		err := json.Unmarshal([]byte(text), &c)
		var e *ConfigError
		require.ErrorAs(t, err, &e, text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzConfigJSON(f *testing.F) {
	text, err := json.Marshal(filled())
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(strings.Replace(string(text), "KarrasGrid", "Times", 1))
	f.Add(`{"Version":1,"Sampling":{"Sampler":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c Config
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		require.Empty(t, cmp.Diff(c, roundTrip(t, c)))
		_, _ = c.WithDefaults()
	})
}
