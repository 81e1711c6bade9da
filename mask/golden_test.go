package mask_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/mask"
)

type maskCase struct {
	Polygons []struct {
		Size       [2]int // height, width
		Polygons   [][]float64
		CountsEach []string `json:"counts_each"`
		Counts     string
		Area       int
		BBox       [4]float64 `json:"bbox"`
	}
	IoU []struct {
		Size                [2]int
		DT, GT              []string
		IsCrowd             []int
		IoU                 [][]float64
		Intersection, Union string
	}
}

func TestGolden(t *testing.T) {
	golden.Each(t, golden.Masks, func(t *testing.T, dir string) {
		text, err := os.ReadFile(filepath.Join(dir, "rle.json"))
		require.NoError(t, err)
		var c maskCase
		require.NoError(t, json.Unmarshal(text, &c))
		require.NotZero(t, len(c.Polygons)+len(c.IoU))

		for i, p := range c.Polygons {
			height, width := p.Size[0], p.Size[1]
			for j, polygon := range p.Polygons {
				r, err := mask.FromPolygon(polygon, width, height)
				require.NoError(t, err)
				require.Equal(t, p.CountsEach[j], r.String(), "polygons %d, part %d", i, j)
			}
			r, err := mask.FromPolygons(p.Polygons, width, height)
			require.NoError(t, err)
			require.Equal(t, p.Counts, r.String(), "polygons %d", i)
			require.Equal(t, p.Area, r.Area(), "polygons %d", i)
			var box [4]float64
			box[0], box[1], box[2], box[3] = r.BBox()
			require.Equal(t, p.BBox, box, "polygons %d", i)
			require.Equal(t, r, r.Bitmap().RLE(), "polygons %d", i)
		}

		for i, c := range c.IoU {
			dt, gt := parseAll(t, c.Size, c.DT), parseAll(t, c.Size, c.GT)
			crowd := make([]bool, len(c.IsCrowd))
			for j, v := range c.IsCrowd {
				crowd[j] = v != 0
			}
			iou, err := mask.IoU(dt, gt, crowd)
			require.NoError(t, err)
			require.Len(t, iou, len(c.IoU))
			for d := range iou {
				closetest.Slices(t, c.IoU[d], iou[d], 1e-12, "iou %d, detection %d", i, d)
			}
			for intersect, want := range map[bool]string{true: c.Intersection, false: c.Union} {
				r, err := mask.Merge(dt[:2], intersect)
				require.NoError(t, err)
				require.Equal(t, want, r.String(), "iou %d, intersect %v", i, intersect)
			}
		}
	})
}

func parseAll(t *testing.T, size [2]int, strings []string) []mask.RLE {
	t.Helper()
	out := make([]mask.RLE, len(strings))
	for i, s := range strings {
		var err error
		out[i], err = mask.ParseRLE(size[1], size[0], s)
		require.NoError(t, err)
		require.Equal(t, s, out[i].String())
		require.Equal(t, out[i], out[i].Bitmap().RLE())
	}
	return out
}
