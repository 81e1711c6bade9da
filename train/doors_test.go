package train_test

import (
	"bytes"
	"context"
	"image"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

// pointerSource is a Source that needs its pointer, and nothing a Builder without result.
type (
	pointerSource struct{ fs.FS }
	nothing       struct{}
)

func (s *pointerSource) Names() []string { _ = s.FS; return nil }
func (s *pointerSource) Parameter(*torch.Scope, string, []int, nn.Init) (*torch.Tensor, error) {
	_ = s.FS
	return nil, nil
}

func (nothing) Build(nn.Path) (backbone.Backbone, error) { return nil, nil }

// Whatever door of the module gets nothing (nil, a nil pointer in an interface, a zero value
// that a function should have made), it returns an error.
func TestNothingAtEveryDoor(t *testing.T) {
	ctx, seed := context.Background(), nn.FromSeed(1)
	small := diffusioninst.Config{
		Backbone:   backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Width: 8}},
		Decoder:    decoder.Config{Dynamic: 4, FeedForward: 32, Heads: 2, Hidden: 16, Stages: 2},
		MaskBranch: maskhead.BranchConfig{Width: 8}, Classes: []string{"a"}, Proposals: 9,
	}
	before := torch.Live()
	type door = func() error
	built := func(b backbone.Builder) door {
		return func() error {
			c := small
			c.Backbone = b
			_, err := diffusioninst.New(ctx, c, 1, torch.CPU)
			return err
		}
	}
	sampled := func(c sampler.Config) door {
		return func() error {
			c := diffusioninst.Config{Backbone: small.Backbone, Classes: small.Classes, Sampling: c}
			_, err := c.WithDefaults()
			return err
		}
	}
	trained := func(source nn.Source, o train.Options) door {
		return func() error { _, err := train.New(ctx, small, source, torch.CPU, o); return err }
	}
	inside := func(f func(s *torch.Scope)) door {
		return func() error { return torch.Do(ctx, func(s *torch.Scope) error { f(s); return nil }) }
	}
	flat := image.NewGray(image.Rect(0, 0, 9, 9))
	short := &image.Gray16{Rect: flat.Rect}
	var model diffusioninst.Model
	for name, open := range map[string]door{
		"a model's reader": func() error { _, err := diffusioninst.LoadFrom(ctx, nil, 9, diffusioninst.LoadOptions{}); return err },
		"its pointer": func() error {
			_, err := diffusioninst.LoadFrom(ctx, (*bytes.Reader)(nil), 9, diffusioninst.LoadOptions{})
			return err
		},
		"a model's source": func() error { _, err := diffusioninst.NewFrom(ctx, small, nil, torch.CPU); return err },
		"its pointer, too": func() error {
			_, err := diffusioninst.NewFrom(ctx, small, (*pointerSource)(nil), torch.CPU)
			return err
		},
		"the zero Model":        func() error { _, err := model.Segment(ctx, flat, diffusioninst.Options{}); return err },
		"backbone":              built(nil),
		"backbone's pointer":    built((*backbone.ResNetFPN)(nil)),
		"backbone's function":   built(backbone.BuilderFunc(nil)),
		"a builder of nothing":  built(nothing{}),
		"sampler":               sampled(sampler.Config{Sampler: (*sampler.DDIM)(nil)}),
		"grid":                  sampled(sampler.Config{Grid: (*sampler.KarrasGrid)(nil)}),
		"times":                 sampled(sampler.Config{Grid: (*sampler.Times)(nil)}),
		"no times":              sampled(sampler.Config{Grid: sampler.Times(nil)}),
		"fraction":              sampled(sampler.Config{Renewal: (*sampler.TopFraction)(nil)}),
		"renewal without check": sampled(sampler.Config{Renewal: (*sampler.NoRenewal)(nil)}),
		"noise": func() error {
			_, err := sampler.Config{}.Run(ctx, nil, torch.CPU, []int{1, 1, 4}, nil, nil)
			return err
		},
		"training's source":   trained(nil, train.Options{}),
		"its pointer as well": trained((*pointerSource)(nil), train.Options{}),
		"optimiser":           trained(seed, train.Options{Optimizer: func([]nn.ParamGroup) nn.Optimizer { return nil }}),
		"start of training":   func() error { _, err := train.NewPretrained(ctx, nil, small, 1); return err },
		"its reader":          func() error { _, err := train.ReadPretrained(ctx, nil, 9, small, 1); return err },
		"recipe":              func() error { _, err := train.NewRecipe(nil, nil); return err },
		"run":                 func() error { return (&train.Run{}).Do(ctx) },
		"loader":              func() error { _, err := data.NewLoader(nil, data.LoaderOptions{Batch: 1}); return err },
		"loader's pointer":    func() error { _, err := data.NewLoader((*data.COCO)(nil), data.LoaderOptions{Batch: 1}); return err },
		"collection":          func() error { _, err := data.Collect(nil, nil); return err },
		"not empty":           func() error { _, err := data.NonEmpty(ctx, nil); return err },
		"subset":              func() error { _, err := data.Subset(nil, []int{1}); return err },
		"counts":              func() error { _, err := data.ClassCounts(ctx, nil); return err },
		"repeats":             func() error { _, err := data.RepeatFactors(ctx, nil, 0.1); return err },
		"chain":               func() error { _, err := data.Chain{nil}.Apply(data.Sample{}, nil); return err },
		"sample":              func() error { return data.Sample{}.Check(1) },
		"evaluation": func() error {
			_, _, err := (&evaluation.Set{Images: []evaluation.Image{{}}}).Run(ctx, nil, diffusioninst.Options{}, nil)
			return err
		},
		"its data":            func() error { return (&evaluation.Set{}).Match([]string{"a"}, nil) },
		"its image":           func() error { _, err := (evaluation.Image{}).Open(); return err },
		"data set":            func() error { _, err := coco.Read(nil); return err },
		"results":             func() error { _, err := coco.ReadResults((*bytes.Reader)(nil)); return err },
		"LabelMe":             func() error { _, err := coco.ReadLabelMe(nil, coco.LabelMeReadOptions{}); return err },
		"label map":           func() error { _, err := coco.ReadLabelMap(nil, nil); return err },
		"masks":               func() error { _, err := coco.ReadMasks(nil, "a"); return err },
		"COCO's truth":        func() error { _, err := coco.Evaluate(ctx, nil, nil, coco.Options{}); return err },
		"its analysis":        func() error { _, err := coco.Analyze(ctx, nil, nil, coco.Options{}); return err },
		"label map's picture": func() error { return coco.WriteLabelMap(io.Discard, io.Discard, nil) },
		"LabelMe's picture":   func() error { return coco.WriteLabelMe(io.Discard, nil, coco.LabelMeOptions{}) },
		"masks' files":        func() error { return coco.WriteMasks(nil, &coco.LabeledImage{Width: 1, Height: 1}) },
		"builder's picture":   func() error { return coco.NewBuilder(nil).Add(nil) },
		"picture":             func() error { _, err := picture.Decode(nil, picture.Options{}); return err },
		"stream":              func() error { _, err := picture.NewStream(nil, picture.Options{}).Next(); return err },
		"range":               func() error { _, _, err := picture.Auto.Apply(nil); return err },
		"range's pointer":     func() error { _, _, err := picture.Auto.Apply((*image.Gray16)(nil)); return err },
		"range's pixels":      func() error { _, _, err := picture.Auto.Apply(short); return err },
		"mask":                func() error { return (*mask.Bitmap)(nil).Validate() },
		"font": func() error {
			_, err := mask.Overlay(flat, []mask.OverlayItem{{Label: "a", Box: flat.Rect}}, mask.OverlayOptions{FontSize: 1e9})
			return err
		},
		"work":               func() error { return torch.Do(ctx, nil) },
		"tensor":             inside(func(*torch.Scope) { (*torch.Tensor)(nil).Sum() }),
		"generator":          inside(func(s *torch.Scope) { s.Rand(nil, torch.Float32, 1) }),
		"the zero Generator": inside(func(s *torch.Scope) { s.Randn(&torch.Generator{}, torch.Float32, 1) }),
		"generator's state":  inside(func(*torch.Scope) { (&torch.Generator{}).State() }),
		"dice":               inside(func(*torch.Scope) { torch.MaskDice(nil, nil, nil, nil, nil, 1) }),
		"the zero Team":      func() error { return new(torch.Team).Do(ctx, 1, nil)[0] },
	} {
		require.NotPanics(t, func() { require.Error(t, open(), name) }, name)
	}
	require.NoError(t, model.Close())
	require.Zero(t, model.Parameters())
	require.NoError(t, new(coco.Builder).Add(&coco.LabeledImage{FileName: "a", Width: 1, Height: 1}))
	require.Equal(t, before, torch.Live())
}
