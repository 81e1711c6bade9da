package diffusioninst

import (
	"encoding/json"

	"github.com/diffusioninst/go/backbone"
)

// withMetadata completes a configuration inferred from a checkpoint's parameters by the
// one in its metadata. Sizes stay as the parameters have them: metadata alone must not
// make a model larger than its file.
func (c Config) withMetadata(text string) (Config, error) {
	var m Config
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return Config{}, err
	}
	if len(m.Classes) != len(c.Classes) {
		return Config{}, configError("the metadata names %d classes, the parameters are of %d", len(m.Classes), len(c.Classes))
	}
	sizes := c.Decoder
	c.Decoder = m.Decoder
	c.Decoder.Hidden, c.Decoder.Dynamic, c.Decoder.FeedForward = sizes.Hidden, sizes.Dynamic, sizes.FeedForward
	c.Decoder.Stages, c.Decoder.ClassLayers, c.Decoder.BoxLayers, c.Decoder.Bins = sizes.Stages, sizes.ClassLayers, sizes.BoxLayers, sizes.Bins
	c.MaskBranch.Upsample = m.MaskBranch.Upsample
	m.Decoder, m.MaskBranch, m.MaskHead = c.Decoder, c.MaskBranch, c.MaskHead
	switch b := c.Backbone.(type) {
	case backbone.ResNetFPN:
		if of, ok := m.Backbone.(backbone.ResNetFPN); ok {
			b.ResNet.StrideIn1x1, b.ResNet.Norm = of.ResNet.StrideIn1x1, of.ResNet.Norm
		}
		m.Backbone = b
	case backbone.SwinFPN:
		if of, ok := m.Backbone.(backbone.SwinFPN); ok {
			b.Swin.DropRate = of.Swin.DropRate
		}
		m.Backbone = b
	}
	return m, nil
}
