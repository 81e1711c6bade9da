//go:build cgo

package nuclei

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
	"github.com/diffusioninst/go/picture"
)

// One field of 30 nuclei in the forms in which cameras and programs write it: the model finds
// them whatever the form.
func TestMicroscopeFormats(t *testing.T) {
	const side = 200
	img, truth := simulate.Nuclei(simulate.Options{Width: side, Height: side, Count: 30, Radius: 10.7, Seed: 4})
	require.Len(t, truth, 30)
	grey := make([]uint8, side*side)
	for i := range grey {
		grey[i] = img.Pix[4*i]
	}
	m := load(t)
	known := map[[32]byte]int{} // pictures that are the same to the network are segmented once
	for name, file := range tifftest.Microscope(grey, side, side) {
		t.Run(name, func(t *testing.T) {
			o := picture.Options{}
			if name == "page2of3.tif" {
				o.Page = 2
			}
			p, err := picture.Decode(bytes.NewReader(file), o)
			require.NoError(t, err)
			seen, warning, err := picture.Auto.Apply(p)
			require.NoError(t, err)
			require.Empty(t, warning)
			sum := sha256.Sum256(picture.RGB(seen))
			if _, ok := known[sum]; !ok {
				result, err := m.Segment(context.Background(), p, diffusioninst.Options{Scales: oneSize})
				require.NoError(t, err)
				for _, object := range truth {
					for _, in := range result.Instances {
						iou, err := object.Mask.IoU(in.Mask)
						require.NoError(t, err)
						if iou >= 0.5 {
							known[sum]++
							break
						}
					}
				}
			}
			t.Logf("%d of 30", known[sum])
			require.GreaterOrEqual(t, known[sum], 29)
		})
	}
}
