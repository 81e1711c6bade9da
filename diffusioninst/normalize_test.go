package diffusioninst

import (
	"context"
	"encoding/json"
	"image"
	"image/color"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
)

// A picture of 16 bits is seen as the program sees it, which normalizes when it reads.
func TestDeepPicturesAreNormalizedOnce(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	grey := image.NewGray16(image.Rect(0, 0, 90, 70))
	colour := image.NewRGBA64(grey.Rect)
	floats := make([]float64, 90*70)
	for y := range 70 {
		for x := range 90 {
			v := uint16(1000 + 13*x + x*y%61)
			grey.SetGray16(x, y, color.Gray16{Y: v})
			colour.SetRGBA64(x, y, color.RGBA64{R: v, G: v / 2, B: uint16(y), A: 65535})
			floats[y*90+x] = float64(v) / 3
		}
	}
	for _, img := range []image.Image{grey, colour, picture.NewFloat(floats, 90, 70, 1)} {
		for _, n := range []picture.Normalize{"", picture.None, "1,99.8", "900,2000"} {
			want, _, err := n.Apply(img)
			require.NoError(t, err)
			first, err := m.Segment(ctx, img, Options{Score: -1, Normalize: n})
			require.NoError(t, err)
			second, err := m.Segment(ctx, want, Options{Score: -1, Normalize: picture.None})
			require.NoError(t, err)
			require.Equal(t, second.Instances, first.Instances, "%T %q", img, n)
			through, err := m.Segment(ctx, &picture.Picture{Image: img}, Options{Score: -1, Normalize: n})
			require.NoError(t, err)
			require.Equal(t, first, through)
		}
	}
	dark, err := m.Segment(ctx, grey, Options{Score: -1, Normalize: picture.None})
	require.NoError(t, err)
	require.Contains(t, dark.Warning, "less than an eighth")
	stretched, err := m.Segment(ctx, grey, all)
	require.NoError(t, err)
	require.Empty(t, stretched.Warning)
	var bad *ImageError
	_, err = m.Segment(ctx, &picture.Float{Samples: 1, Rect: grey.Rect, Pix: floats[:50]}, all)
	require.ErrorAs(t, err, &bad)
	_, err = m.Segment(ctx, &picture.Picture{}, all)
	require.ErrorAs(t, err, &bad)
	_, err = m.Segment(ctx, grey, Options{Normalize: "bright"})
	var option *OptionError
	require.ErrorAs(t, err, &option)
	require.Equal(t, "Normalize", option.Option)
}

func TestNormalizeTravelsWithTheConfiguration(t *testing.T) {
	c := small()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.False(t, strings.Contains(string(text), "Normalize"), "older versions read what needs no setting")
	c.Input.Normalize = "1,99.8"
	text, err = json.Marshal(c)
	require.NoError(t, err)
	var read Config
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, picture.Normalize("1,99.8"), read.Input.Normalize)
	m, err := New(t.Context(), read, 1, smallModel(t).Device()) // its text is on the heap, which cgo must not see
	require.NoError(t, err)
	_, err = m.Segment(t.Context(), image.NewGray(image.Rect(0, 0, 64, 64)), Options{})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	c.Input.Normalize = "bright"
	_, err = New(context.Background(), c, 1, smallModel(t).Device())
	var config *ConfigError
	require.ErrorAs(t, err, &config)
}
