package diffusioninst

import "github.com/diffusioninst/go/backbone"

// maxParameters bounds what the sizes of a configuration multiply to: 16 GB in float32.
const maxParameters = 4e9

// checkSizes refuses configurations, with their defaults filled in, whose networks no
// memory holds. A backbone of another package is its own affair.
func (c Config) checkSizes() error {
	d := c.Decoder
	type bound struct {
		name      string
		size, top int
	}
	sizes := []bound{
		{"decoder channels", d.Hidden, 1 << 14}, {"dynamic channels", d.Dynamic, 1 << 14}, {"feed-forward channels", d.FeedForward, 1 << 18},
		{"decoder stages", d.Stages, 100}, {"class layers", d.ClassLayers, 100}, {"box layers", d.BoxLayers, 100},
		{"bins", d.Bins, 64}, {"samples of a bin", d.Samples, 64},
		{"channels of mask features", c.MaskHead.Channels, 256}, {"mask head layers", c.MaskHead.Layers, 100},
		{"mask branch channels", c.MaskBranch.Width, 1 << 14}, {"mask branch convolutions", c.MaskBranch.Convs, 100},
	}
	channels := 0
	switch b := c.Backbone.(type) {
	case backbone.ResNetFPN:
		channels = max(b.Channels, b.ResNet.StemChannels, b.ResNet.Res2Channels, b.ResNet.Width)
	case backbone.SwinFPN:
		channels = max(b.Channels, b.Swin.EmbedDim)
		for i, n := range b.Swin.Depths {
			channels = max(channels, b.Swin.Heads[i])
			sizes = append(sizes, bound{"blocks of a backbone stage", n, 1000})
		}
	}
	sizes = append(sizes, bound{"backbone channels", channels, 1 << 14})
	for _, s := range sizes {
		if s.size > s.top {
			return configError("%d %s: want at most %d", s.size, s.name, s.top)
		}
	}
	h, bins := float64(d.Hidden), float64(d.Bins)
	stage := h * (4*h + 2*float64(d.FeedForward) + 2*h*float64(d.Dynamic) + bins*bins*h + h*float64(max(d.ClassLayers, 0)+max(d.BoxLayers, 0)) +
		float64(d.Classes) + float64(d.FilterParams))
	if n := float64(d.Stages) * stage; n > maxParameters {
		return configError("a decoder of %.1f billion parameters: want at most %.0f", n/1e9, maxParameters/1e9)
	}
	if n := float64(channels) * float64(channels) * 9; n > maxParameters {
		return configError("a backbone of convolutions with %.1f billion parameters: want at most %.0f", n/1e9, maxParameters/1e9)
	}
	return nil
}
