package diffusioninst

import (
	"image"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Errors name the package and the picture once.
func TestErrorsOfPicturesAreSaidOnce(t *testing.T) {
	m := smallModel(t)
	small := Options{Score: -1, Scale: 1e-9}
	const tiny = "the network would see it with 1×1 pixels, too few to find anything: use a larger Scale, or larger Scales"
	for want, pictures := range map[string][]image.Image{
		"diffusioninst: picture: there is no picture":                                           {nil},
		"diffusioninst: picture 1: there is no picture":                                         {pattern(9, 9), nil},
		"diffusioninst: picture of 1×9 pixels: at least 2×2 pixels are needed to find anything": {pattern(1, 9)},
		"diffusioninst: picture 2: 1×9 pixels: at least 2×2 pixels are needed to find anything": {pattern(9, 9), pattern(9, 9), pattern(1, 9)},
	} {
		_, err := m.SegmentBatch(t.Context(), pictures, all)
		require.EqualError(t, err, want)
		require.ErrorAs(t, err, new(*ImageError))
	}
	_, err := m.Segment(t.Context(), pattern(90, 70), small)
	require.EqualError(t, err, "diffusioninst: picture of 90×70 pixels: "+tiny)
	_, err = m.SegmentBatch(t.Context(), []image.Image{pattern(90, 70), pattern(90, 70)}, small)
	require.EqualError(t, err, "diffusioninst: picture 0: 90×70 pixels: "+tiny)
	require.EqualError(t, &ViewError{Scale: 64, Factor: 2, Mirrored: true, Err: &ImageError{Reason: "x"}}, "diffusioninst: view of scale 64 mirrored and factor 2: picture: x")
	require.EqualError(t, &ViewError{Scale: 64}, "diffusioninst: view of scale 64")
}

// A picture is not made so small that nothing of it is left, but one that is small by itself is seen.
func TestPicturesThatAreMadeTooSmall(t *testing.T) {
	m := smallModel(t)
	for _, o := range []Options{{Scale: 1e-9}, {Scale: 0.03}, {Scale: 1, Scales: &Scales{Factors: []float64{1e-9, 1}}}, {Augment: Augment{Scales: []int{1}}}} {
		o.Score = -1
		_, err := m.Segment(t.Context(), pattern(90, 70), o)
		var e *ImageError
		require.ErrorAs(t, err, &e, "%+v", o)
		require.Contains(t, e.Reason, "too few to find anything")
	}
	for size, scale := range map[image.Point]float64{{2, 2}: 1, {3, 2}: 1, {8, 8}: 0.5, {200, 2}: 0.1} {
		_, err := m.Segment(t.Context(), pattern(size.X, size.Y), Options{Score: -1, Scale: scale})
		require.NoError(t, err, "%v × %v", size, scale)
	}
}

// An overlap for merging views is of no use with one.
func TestOverlapOfOneView(t *testing.T) {
	m := smallModel(t)
	apart := &Scales{Factors: []float64{1, 2}, Consensus: -1}
	for _, o := range []Options{{Augment: Augment{IoU: 0.6}}, {Augment: Augment{IoU: -1, Scales: []int{64}}}, {Scale: 1, Scales: apart, Augment: Augment{IoU: 0.6}}} {
		require.ErrorContains(t, m.Check(o), "diffusioninst: option Augment.IoU: ")
		require.ErrorContains(t, m.Check(o), "there is one view")
	}
	for _, o := range []Options{{Augment: Augment{IoU: 0.6, Flip: true}}, {Augment: Augment{IoU: -1, Scales: []int{64, 64}}}, {Scale: 1, Scales: apart, Augment: Augment{IoU: 0.6, Flip: true}}} {
		require.NoError(t, m.Check(o))
	}
}

func TestNothingToLoad(t *testing.T) {
	_, err := Load(t.Context(), "", LoadOptions{})
	require.EqualError(t, err, "nn: the path of the checkpoint is empty: "+fs.ErrNotExist.Error())
	require.ErrorIs(t, err, fs.ErrNotExist)
	config := small()
	for name, load := range map[string]func(source nn.Source) (*Model, error){
		"LoadSource": func(source nn.Source) (*Model, error) {
			return LoadSource(t.Context(), source, LoadOptions{Config: &config})
		},
		"NewFrom": func(source nn.Source) (*Model, error) { return NewFrom(t.Context(), config, source, torch.CPU) },
	} {
		for _, source := range []nn.Source{nil, (*nilSource)(nil)} {
			_, err := load(source)
			require.EqualError(t, err, "nn: the Source of the parameters is nil", name)
			require.ErrorAs(t, err, new(*LoadError))
		}
	}
}

type nilSource struct{ nn.Source }
