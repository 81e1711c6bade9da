package diffusioninst

import (
	"context"
	"image"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/torch"
)

func TestScalesOverTheModels(t *testing.T) {
	var none *Scales
	s, err := none.over(nil)
	require.NoError(t, err)
	require.Equal(t, Scales{Factors: []float64{1}, Consensus: 0.65, Largest: 0.375, Area: 300, Weight: 0.6, NMS: 0.4, Small: 0.05}, s)
	own := &Scales{Factors: []float64{2, 1}, Consensus: -1, Area: 500, NMS: -1}
	s, err = none.over(own)
	require.NoError(t, err)
	require.Equal(t, Scales{Factors: []float64{1, 2}, Consensus: -1, Largest: 0.375, Area: 500, Weight: 0.6, NMS: -1, Small: 0.05}, s)
	require.Equal(t, []float64{2, 1}, own.Factors, "the model's list stays")
	s, err = (&Scales{Factors: []float64{1}, Area: -1}).over(own)
	require.NoError(t, err)
	require.Equal(t, Scales{Factors: []float64{1}, Consensus: -1, Largest: 0.375, Area: -1, Weight: 0.6, NMS: -1, Small: 0.05}, s)

	nan := math.NaN()
	for _, bad := range []Scales{
		{Factors: []float64{0}}, {Factors: []float64{nan}}, {Factors: []float64{17}}, {Factors: []float64{1, 1}}, {Factors: make([]float64, 17)},
		{Area: nan}, {Area: math.Inf(1)}, {Weight: 2}, {Weight: nan}, {NMS: 1.1}, {Consensus: 1.1}, {Consensus: nan}, {Largest: 1.1}, {Small: nan},
	} {
		_, err := Options{Scales: &bad}.resolve(mustDefaults(t, small()))
		var e *OptionError
		require.ErrorAs(t, err, &e, "%v", bad)
		require.Equal(t, "Scales", e.Option)
		c := small()
		c.Input.Scales = &bad
		_, err = c.WithDefaults()
		var ce *ConfigError
		require.ErrorAs(t, err, &ce)
	}
	for _, o := range []Options{
		{Scales: &Scales{Factors: []float64{1, 2}, Weight: 0.5}}, {Scales: &Scales{Factors: []float64{1, 2}, NMS: -1}},
		{Scales: &Scales{Factors: []float64{1, 2}, Consensus: -1, Largest: 0.5}},
		{Scales: &Scales{Factors: []float64{1, 2}}, Augment: Augment{Flip: true, IoU: 0.4}},
	} {
		_, err := o.resolve(mustDefaults(t, small()))
		var e *OptionError
		require.ErrorAs(t, err, &e, "%v: an option without an effect", o.Scales)
		if c := small(); o.Augment.IoU == 0 {
			c.Input.Scales = o.Scales
			_, err = c.WithDefaults()
			var ce *ConfigError
			require.ErrorAs(t, err, &ce, "%v", o.Scales)
		}
		o.Scales.Factors = []float64{1}
		_, err = o.resolve(mustDefaults(t, small()))
		require.NoError(t, err, "one size: nothing is merged")
	}
	_, err = Options{Scales: &Scales{Factors: []float64{1, 2}}, Augment: Augment{Scales: []int{64}}}.resolve(mustDefaults(t, small()))
	require.ErrorContains(t, err, "Augment.Scales says the size")
	c := small()
	c.Input.Scales = own
	r, err := Options{Augment: Augment{Scales: []int{64, 80}}}.resolve(mustDefaults(t, c))
	require.NoError(t, err)
	require.Len(t, r.looks, 2, "Augment.Scales overrides the model's own")
	r, err = Options{Augment: Augment{Flip: true}}.resolve(mustDefaults(t, c))
	require.NoError(t, err)
	require.Len(t, r.looks, 4)
}

// Nobody asked for a model's own sizes: what a request's Scale makes impossible is left out.
func TestOwnSizesThatAreTooLarge(t *testing.T) {
	c := small()
	c.Input = Input{Scale: 1, Tile: 64, Scales: &Scales{Factors: []float64{1.5, 1, 2}}}
	for scale, want := range map[float64][]float64{0: {1, 1.5, 2}, 10: {1, 1.5}, 16: {1}} {
		s, err := Options{Scale: scale}.resolve(mustDefaults(t, c))
		require.NoError(t, err)
		require.Equal(t, want, s.scales.Factors)
	}
	_, err := Options{Scale: 10, Scales: &Scales{Factors: []float64{1, 2}}}.resolve(mustDefaults(t, c))
	require.ErrorContains(t, err, "factor 2")
	c.Input.Scales.Factors = []float64{2}
	s, err := Options{Scale: 10}.resolve(mustDefaults(t, c))
	require.NoError(t, err)
	require.Equal(t, []float64{1}, s.scales.Factors)
}

func mustDefaults(t *testing.T, c Config) Config {
	t.Helper()
	c, err := c.WithDefaults()
	require.NoError(t, err)
	return c
}

func TestEnlargedInput(t *testing.T) {
	for in, want := range map[Input]Input{
		{Short: 800, Longest: 1333}:                {Short: 1600, Longest: 2666},
		{Short: 800, Longest: -1}:                  {Short: 1600, Longest: -1},
		{Scale: 0.5, Tile: 256, Overlap: 64}:       {Scale: 1, Tile: 256, Overlap: 64},
		{Scale: 1, Longest: 99, Scales: &Scales{}}: {Scale: 2, Longest: 198},
	} {
		got, err := in.enlarged(2)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := Input{Scale: 9}.enlarged(2)
	require.ErrorContains(t, err, "at most 16")
	_, err = Input{Short: 40000}.enlarged(2)
	require.ErrorContains(t, err, "65536")
}

// disc is a found square of a side.
func disc(score float32, x, side int) Instance {
	return found(0, score, Box{X1: float32(x), Y1: 0, X2: float32(x + side), Y2: float32(side)}, image.Rect(x, 0, x+side, side))
}

// An object of 20×20 pixels belongs to the plain size, one of 10×10 to the doubled one.
func TestAcrossSizes(t *testing.T) {
	o, err := (&Scales{Factors: []float64{1, 2}, Consensus: -1}).over(nil)
	require.NoError(t, err)
	sizes := []sized{
		{1, 0, []Instance{disc(0.8, 0, 20), disc(0.7, 40, 10), disc(0.5, 60, 10)}},
		{4, 0, []Instance{disc(0.9, 1, 20), disc(0.6, 40, 10), disc(0.3, 80, 20)}},
	}
	got := o.across(sizes, -1)
	var scores []float32
	for _, in := range got {
		scores = append(scores, in.Score)
	}
	require.Len(t, got, 4)
	closetest.Slices(t, []float32{0.8, 0.6, 0.3, 0.18}, scores, 1e-6,
		"of the large one 0.9 becomes 0.54 and goes; of the small one 0.7 becomes 0.42 and goes; the others were seen once")
	require.Len(t, o.across(sizes, 0.25), 3)
	require.InDelta(t, 0.8, sizes[0].instances[0].Score, 1e-6, "what was found stays")
	o.NMS = -1
	require.Len(t, o.across(sizes, -1), 6)
	o.Weight = -1
	require.Len(t, o.across(sizes, -1), 2)
	o.Area = -1
	require.Len(t, o.across(sizes, -1), 3, "all belong to the plain size")
	other := disc(0.9, 0, 20)
	other.Class = 1
	o, _ = (&Scales{Consensus: -1}).over(nil)
	require.Len(t, o.across([]sized{{1, 0, []Instance{disc(0.8, 0, 20), other}}, {4, 0, nil}}, -1), 2, "of two classes")

	three := []sized{{pixels: 0.25}, {pixels: 1}, {pixels: 4}}
	for area, want := range map[int]int{1200: 0, 1199: 1, 300: 1, 299: 2, 75: 2, 1: 2} {
		require.Equal(t, want, o.belongs(area, three), "%d pixels", area)
	}
}

// The score of an object is the mean over the sizes, and its mask that of most of the score.
func TestSizesAgree(t *testing.T) {
	o, err := (&Scales{Factors: []float64{1, 1.5, 2}}).over(nil)
	require.NoError(t, err)
	other := disc(0.9, 0, 20)
	other.Class = 1
	sizes := []sized{
		{1, 0, []Instance{disc(0.9, 0, 20), disc(0.3, 2, 18), disc(0.6, 40, 10)}},
		{2.25, 0, []Instance{disc(0.6, 1, 20), disc(0.6, 80, 20)}},
		{4, 0, []Instance{disc(0.6, 1, 20), disc(0.6, 45, 10), other}},
	}
	got := o.across(sizes, -1)
	var scores []float32
	for _, in := range got {
		scores = append(scores, in.Score)
	}
	require.Len(t, got, 5)
	closetest.Slices(t, []float32{0.7, 0.3, 0.2, 0.2, 0.2}, scores, 1e-6,
		"0.9, 0.6 and 0.6 agree, the worse 0.3 of the first size does not count; an overlap of a third does not; nor does another class")
	require.Equal(t, image.Rect(1, 0, 21, 20), got[0].Mask.Box(), "column 0 has 0.9 of 2.1 of the score, column 20 has 1.2")
	require.InDelta(t, 1.2/2.1, got[0].Box.X1, 1e-6)
	require.Equal(t, 1, got[1].Class)
	require.Len(t, o.across(sizes, 0.25), 2)
	require.InDelta(t, 0.9, sizes[0].instances[0].Score, 1e-6, "what was found stays")

	alone := o.across(sizes[:1], 0.5)
	require.Len(t, alone, 2, "larger sizes were left out: their scores stand")
	require.InDelta(t, 0.9, alone[0].Score, 1e-6)
}

// A size whose tiles cut an object neither counts nor votes.
func TestTilesThatCutDoNotCount(t *testing.T) {
	o, err := (&Scales{Factors: []float64{1, 1.5, 2}}).over(nil)
	require.NoError(t, err)
	large, shifted, small := disc(0.9, 0, 40), disc(0.8, 2, 40), disc(0.6, 60, 24)
	sizes := []sized{
		{1, 0, []Instance{large, small}},
		{2.25, 40, []Instance{shifted}},
		{4, 24, []Instance{disc(0.6, 1, 40), small, disc(0.7, 0, 15), disc(0.9, 50, 48)}},
	}
	got := o.across(sizes, -1)
	var scores []float32
	for _, in := range got {
		scores = append(scores, in.Score)
	}
	require.Len(t, got, 3)
	closetest.Slices(t, []float32{(0.9 + 0.8) / 2, (0.6 + 0 + 0.6) / 3, 0.7 / 3}, scores, 1e-6,
		"the last size does not count for 40 pixels, and what it alone finds of 48 is left out")
	require.Equal(t, image.Rect(1, 0, 40, 40), got[0].Mask.Box(), "the mean box begins at 0.94; columns 40 and 41 have 0.8 of 1.7 of the score")
	sizes[2].largest = 0
	require.InDelta(t, (0.9+0.8+0.6)/3, o.across(sizes, -1)[0].Score, 1e-6)
}

// The first size and whole pictures count for all objects, tiles for objects of up to 3/8 of their side.
func TestWhichSizesCount(t *testing.T) {
	c := small()
	c.Input = Input{Scale: 1, Tile: 64}
	for _, test := range []struct {
		width, height int
		largest       float64
		want          []float32
	}{
		{80, 40, 0, []float32{0, 12}}, // in tiles of 32 pixels of the picture
		{80, 40, 1, []float32{0, 32}},
		{80, 40, -1, []float32{0, 0}},
		{32, 20, 0, []float32{0, 0}},
	} {
		s, err := Options{Scales: &Scales{Factors: []float64{1, 2}, Largest: test.largest}}.resolve(mustDefaults(t, c))
		require.NoError(t, err)
		views := s.views(0, image.Pt(test.width, test.height))
		var got []float32
		for _, size := range s.sizes(views, make([][]Instance, len(views))) {
			got = append(got, size.largest)
		}
		require.Equal(t, test.want, got, "%+v", test)
	}
}

// Mirrored looks count as further sizes; without a consensus the best look stands.
func TestLooksAgree(t *testing.T) {
	for consensus, want := range map[float64]float32{0.65: (0.9 + 0.6 + 0.7) / 4, -1: 0.9} {
		s, err := Options{Scales: &Scales{Factors: []float64{1, 2}, Consensus: consensus}, Augment: Augment{Flip: true}}.resolve(mustDefaults(t, small()))
		require.NoError(t, err)
		q, err := newRequest(s, []image.Image{pattern(100, 50)})
		require.NoError(t, err)
		require.Len(t, q.byPicture[0], 4)
		got := s.merge(q.byPicture[0], [][]Instance{{disc(0.9, 0, 40)}, {disc(0.6, 0, 40)}, {disc(0.7, 0, 40)}, nil}).Instances
		require.Len(t, got, 1)
		require.InDelta(t, want, got[0].Score, 1e-6)
	}
}

func TestEnoughSizes(t *testing.T) {
	o, err := (&Scales{}).over(nil)
	require.NoError(t, err)
	large, small, unsure := disc(0.9, 0, 20), disc(0.9, 40, 10), disc(0.4, 60, 10)
	for _, test := range []struct {
		found []Instance
		want  bool
	}{
		{nil, false}, {[]Instance{unsure}, false}, {[]Instance{large}, true}, {[]Instance{large, unsure}, true},
		{[]Instance{large, small}, false}, {append(slices.Repeat([]Instance{large}, 20), small), true}, {append(slices.Repeat([]Instance{large}, 18), small), false},
	} {
		require.Equal(t, test.want, o.enough([]sized{{1, 0, test.found}}))
	}
	require.False(t, o.enough([]sized{{0.1, 0, []Instance{large}}}), "40 pixels in that size")
}

// scaled is a small model that keeps the size of pictures, in tiles of 64 pixels.
func scaledModel(t *testing.T) *Model {
	t.Helper()
	c := small()
	c.Input = Input{Scale: 1, Tile: 64}
	m, err := New(context.Background(), c, 1, torch.CPU)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// A request in two sizes finds in each what a request of that size alone does.
func TestSizesAreViews(t *testing.T) {
	m, ctx := scaledModel(t), context.Background()
	img := pattern(70, 40)
	segment := func(o Options) *Result {
		o.Score = -1
		r, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		return r
	}
	plain := segment(Options{Seed: 3})
	require.True(t, sameResult(plain, segment(Options{Seed: 3, Scales: &Scales{Factors: []float64{1}}})))
	double := segment(Options{Seed: 3, Scale: 2})
	require.True(t, sameResult(double, segment(Options{Seed: 3, Scales: &Scales{Factors: []float64{2}}})))
	require.False(t, sameResult(plain, double))

	both := segment(Options{Seed: 3, Scales: &Scales{Factors: []float64{2, 1}}})
	require.False(t, sameResult(plain, both))
	first := segment(Options{Seed: 3, Scales: &Scales{Factors: []float64{2, 1}, Consensus: -1, Area: -1, Weight: -1, NMS: -1}})
	require.True(t, sameResult(plain, first), "what the smallest size finds")
	flipped := segment(Options{Seed: 3, Scales: &Scales{Factors: []float64{1, 2}}, Augment: Augment{Flip: true}})
	require.NotEmpty(t, flipped.Instances)
	results, err := m.SegmentBatch(ctx, []image.Image{pattern(30, 24), img}, Options{Seed: 2, Score: -1, Scales: &Scales{Factors: []float64{1, 2}}})
	require.NoError(t, err)
	require.True(t, sameResult(both, results[1]), "the other picture changes nothing")
}

// Detections of a low score count in a mean that a result's score is.
func TestSizesSeeLowScores(t *testing.T) {
	for score, want := range map[float64]float64{0: leastVote, 0.01: 0.01, -1: -1} {
		s, err := Options{Score: score, Scales: &Scales{Factors: []float64{1, 2}}}.resolve(mustDefaults(t, small()))
		require.NoError(t, err)
		require.Equal(t, want, s.viewScore)
		s, err = Options{Score: score, Scales: &Scales{Factors: []float64{1, 2}, Consensus: -1}}.resolve(mustDefaults(t, small()))
		require.NoError(t, err)
		require.Equal(t, s.score, s.viewScore)
	}
}

// A picture of large objects is not looked at enlarged, and its result is the plain one.
func TestSizesAreSkipped(t *testing.T) {
	s, err := Options{Scales: &Scales{Factors: []float64{1, 2, 3}, Consensus: -1}}.resolve(mustDefaults(t, small()))
	require.NoError(t, err)
	var steps []*StepResult
	s.onStep = func(r *StepResult) { steps = append(steps, r) }
	q, err := newRequest(s, []image.Image{pattern(100, 80), pattern(100, 80)})
	require.NoError(t, err)
	require.Len(t, q.passes, 3)
	found := [][][]Instance{{{disc(0.9, 0, 40)}}, {{disc(0.9, 0, 5)}}}
	record := &recorder{request: q, steps: map[[3]int]*recorded{}}
	for p := range 2 {
		record.steps[[3]int{p, 0, 0}] = &recorded{result: StepResult{Picture: p}, found: found[p]}
	}
	require.Len(t, q.wanted(q.passes[0], found, record), 2)
	left := q.wanted(q.passes[1], found, record)
	require.Len(t, left, 1)
	require.Equal(t, 1, left[0].picture)
	require.Empty(t, steps, "a third size may follow")
	found[1] = append(found[1], []Instance{disc(0.9, 0, 40)})
	require.Len(t, q.wanted(q.passes[2], found, record), 1)
	require.Len(t, steps, 1)
	require.Zero(t, steps[0].Picture)
	require.Len(t, q.byPicture[0], 1)
	require.Len(t, q.byPicture[1], 3)
	q.scales.Consensus = 0.5
	found[1][1] = slices.Repeat([]Instance{disc(0.9, 0, 40)}, 40)
	require.Len(t, q.wanted(q.passes[2], found, record), 1, "sizes that agree are judged by the smallest")
	require.Equal(t, found[0][0], q.merge(q.byPicture[0], found[0]).Instances)
	q.viewScore = leastVote // as of sizes that agree
	found[0][0] = append(found[0][0], disc(0.4, 0, 50))
	require.Equal(t, found[0][0][:1], q.merge(q.byPicture[0], found[0]).Instances, "scores below the request's")
}
