package diffusioninst

import (
	"context"
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// plane is a picture of one colour of any size, without memory.
type plane struct{ image.Rectangle }

func (p plane) Bounds() image.Rectangle { return p.Rectangle }
func (plane) ColorModel() color.Model   { return color.GrayModel }
func (plane) At(int, int) color.Color   { return color.Gray{Y: 90} }

func TestRequestsTooLargeAreRefusedWithTheirFigure(t *testing.T) {
	m := smallModel(t)
	one := func(w, h int) []image.Image { return []image.Image{plane{image.Rect(0, 0, w, h)}} }
	scales := make([]int, 60_000)
	for i := range scales {
		scales[i] = 64
	}
	for name, c := range map[string]struct {
		images []image.Image
		o      Options
		option string
	}{
		"proposals":               {one(64, 64), Options{Proposals: 20000, MaxBytes: 4 << 30}, "MaxBytes"},
		"steps of many proposals": {one(64, 64), Options{Proposals: 15000, Steps: 1000}, "MaxBytes"},
		"a large view":            {one(6000, 6000), Options{Scale: 1, Tile: -1}, "MaxBytes"},
		"tiny tiles":              {one(46000, 46000), Options{Scale: 1, Tile: 32}, "MaxViews"},
		"tiny tiles of a line":    {one(math.MaxInt32/2, 2), Options{Scale: 1, Tile: 32}, "MaxViews"},
		"tiny tiles enlarged":     {one(46000, 46000), Options{Scale: 16, Tile: 32}, "MaxViews"},
		"many scales":             {one(64, 64), Options{Augment: Augment{Scales: scales, Flip: true}}, "MaxViews"},
		"tiles of a batch":        {[]image.Image{one(4000, 4000)[0], one(4000, 4000)[0], one(4000, 4000)[0]}, Options{Scale: 1, Tile: 32, MaxViews: 50_000}, "MaxViews"},
		"an own limit":            {one(64, 64), Options{MaxBytes: 1 << 20}, "MaxBytes"},
	} {
		_, err := m.SegmentBatch(context.Background(), c.images, c.o)
		var e *LimitError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.option, e.Option, name)
		figure := e.Need.Bytes
		if e.Option == "MaxViews" {
			figure = e.Need.Views
		}
		require.Greater(t, figure, e.Limit, name)
		require.ErrorContains(t, err, "Options."+c.option, name)
	}
	for name, o := range map[string]Options{
		"raised": {Proposals: 300, MaxBytes: 1 << 40}, "none": {Proposals: 300, MaxBytes: -1, MaxViews: -1}, "default": {Proposals: 300},
	} {
		_, err := m.SegmentBatch(context.Background(), one(64, 64), o)
		require.NoError(t, err, name)
	}
}

func TestOptionsThatAreNoNumbersAreRefused(t *testing.T) {
	m := smallModel(t)
	inf, nan := math.Inf(1), math.NaN()
	for name, o := range map[string]Options{
		"scale": {Scale: inf}, "negative scale": {Scale: -1}, "least scale": {Scale: -inf}, "NaN scale": {Scale: nan},
		"score": {Score: inf}, "NaN IoU": {Augment: Augment{IoU: nan}}, "IoU": {Augment: Augment{IoU: inf}},
		"large scales": {Augment: Augment{Scales: []int{1_000_000_000}}}, "ten million scales": {Augment: Augment{Scales: make([]int, 10_000_000)}},
		"largest scales": {Augment: Augment{Scales: []int{math.MaxInt}}},
		"vote":           {Ensemble: &Ensemble{Vote: nan}}, "proposals": {Proposals: math.MaxInt}, "negative proposals": {Proposals: math.MinInt},
		"steps": {Steps: math.MaxInt}, "sampling": {Sampling: &sampler.Config{Steps: math.MaxInt}},
	} {
		var e *OptionError
		require.ErrorAs(t, m.Check(o), &e, name)
		_, err := m.Segment(context.Background(), pattern(9, 9), o)
		require.ErrorAs(t, err, &e, name)
	}
}

// A tile that no picture fills is the picture.
func TestLargestTileIsOne(t *testing.T) {
	m := smallModel(t)
	img := pattern(90, 60)
	for _, scale := range []float64{0.3, 1.7} {
		want, err := m.Segment(context.Background(), img, Options{Score: -1, Scale: scale, Tile: -1})
		require.NoError(t, err)
		for _, tile := range []int{1000, math.MaxInt - 1, math.MaxInt} {
			got, err := m.Segment(context.Background(), img, Options{Score: -1, Scale: scale, Tile: tile})
			require.NoError(t, err)
			require.Equal(t, want, got, "%d", tile)
		}
	}
}

// Masks take what their boxes do; too many in all views together are refused when they are found.
func TestMasksThatTakeTooMuch(t *testing.T) {
	m := smallModel(t)
	img := image.NewGray(image.Rect(0, 0, 200, 200))
	o := Options{Score: -1, Proposals: 30, MaxBytes: 100 << 20}
	_, err := m.Segment(context.Background(), img, o)
	require.NoError(t, err)
	o.OnStep = func(*StepResult) { t.Error("no step of a picture is whole") }
	s, err := o.resolve(m.config)
	require.NoError(t, err)
	q, err := newRequest(s, []image.Image{img})
	require.NoError(t, err)
	q.held = 100<<20 - 100 // by views before
	_, err = q.run(context.Background(), m)
	var e *LimitError
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "more masks beside 0.1 GB")
	require.Greater(t, e.Need.Bytes, e.Limit)
	require.Less(t, e.Need.Bytes, e.Limit+30*200*32, "a mask takes its box")
}

// The result of a tiled picture holds its instances, not a picture for each.
func TestTiledResultHoldsBoxes(t *testing.T) {
	m := smallModel(t)
	const side = 1000
	r, err := m.Segment(context.Background(), image.NewGray(image.Rect(0, 0, side, side)), Options{Score: -1, Proposals: 30, Scale: 0.1, Tile: 32})
	require.NoError(t, err)
	require.Greater(t, len(r.Instances), 100)
	for _, in := range r.Instances {
		require.NoError(t, in.Mask.Validate())
		require.Equal(t, image.Rect(0, 0, side, side), in.Mask.Bounds())
		outer := in.Box.Outer()
		require.True(t, in.Mask.Rect.In(outer), "%v is stored for the box %v", in.Mask.Rect, in.Box)
		require.LessOrEqual(t, len(in.Mask.Words), outer.Dy()*(outer.Dx()+127)/64)
	}
}

// The paper's model takes what was measured: 800×1344 pixels and 500 proposals 0.6 GB.
func TestNeedOfThePapersModel(t *testing.T) {
	c, err := ResNet50COCO().WithDefaults()
	require.NoError(t, err)
	need := func(o Options, pictures ...image.Point) Need {
		s, err := o.resolve(c)
		require.NoError(t, err)
		var all []view
		for i, size := range pictures {
			all = append(all, s.views(i, size)...)
		}
		return s.need(all, c, 32)
	}
	usual := need(Options{}, image.Pt(1333, 800))
	require.EqualValues(t, 1344*800, usual.Pixels)
	require.EqualValues(t, 500, usual.Proposals)
	require.InDelta(t, 0.8e9, usual.Bytes, 0.2e9)
	batch := need(Options{}, image.Pt(1333, 800), image.Pt(800, 1333))
	require.EqualValues(t, 2*1344*1344, batch.Pixels, "padded to a common size")
	require.Greater(t, need(Options{Proposals: 20000}, image.Pt(64, 64)).Bytes, int64(20e9))
	require.Less(t, need(Options{Proposals: 5000}, image.Pt(64, 64)).Bytes, int64(mostBytes))
	require.Greater(t, need(Options{Steps: 1000, Proposals: 9000}, image.Pt(64, 64)).Bytes, int64(mostBytes))
	require.Positive(t, need(Options{Scale: 16}, image.Pt(math.MaxInt32, math.MaxInt32)).Bytes, "no overflow")
}

func TestSpanCountIsTheNumberOfSpans(t *testing.T) {
	for length := 1; length < 200; length += 7 {
		for tile := 1; tile < 60; tile += 3 {
			for overlap := range tile {
				require.Len(t, spans(length, tile, overlap), spanCount(length, tile, overlap))
			}
		}
	}
}

func TestConfigsTooLargeAreRefused(t *testing.T) {
	const huge = 1 << 40
	for name, change := range map[string]func(c *Config){
		"hidden":      func(c *Config) { c.Decoder.Hidden = huge },
		"dynamic":     func(c *Config) { c.Decoder.Dynamic = huge },
		"feed":        func(c *Config) { c.Decoder.FeedForward = math.MaxInt },
		"stages":      func(c *Config) { c.Decoder.Stages = huge },
		"layers":      func(c *Config) { c.Decoder.BoxLayers = huge },
		"bins":        func(c *Config) { c.Decoder.Bins = huge },
		"product":     func(c *Config) { c.Decoder.Hidden, c.Decoder.Dynamic = 1<<14, 1<<14 },
		"head":        func(c *Config) { c.MaskHead.Channels = huge },
		"head layers": func(c *Config) { c.MaskHead.Layers = math.MaxInt },
		"branch":      func(c *Config) { c.MaskBranch.Width = huge },
		"backbone":    func(c *Config) { c.Backbone = backbone.ResNetFPN{ResNet: backbone.ResNet{Depth: 18, Width: huge}} },
		"swin":        func(c *Config) { c.Backbone = backbone.SwinFPN{Swin: backbone.Swin{EmbedDim: huge}} },
		"proposals":   func(c *Config) { c.Proposals = huge },
		"short":       func(c *Config) { c.Input.Short = huge },
		"scale":       func(c *Config) { c.Input = Input{Scale: math.Inf(1)} },
		"NaN scale":   func(c *Config) { c.Input = Input{Scale: math.NaN()} },
		"steps":       func(c *Config) { c.Sampling.Steps = huge },
	} {
		c := small()
		change(&c)
		_, err := New(context.Background(), c, 1, torch.CPU)
		var e *ConfigError
		require.ErrorAs(t, err, &e, name)
	}
}

// In a container of a few GiB the default leaves room for what is not in the estimate.
func TestMaxBytesWithin(t *testing.T) {
	require.EqualValues(t, 8<<30, maxBytesWithin(0))
	require.EqualValues(t, 8<<30, maxBytesWithin(64<<30))
	require.EqualValues(t, 3<<30, maxBytesWithin(4<<30))
}
