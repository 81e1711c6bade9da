package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// A few hundred bytes cannot ask for gigabytes.
func TestClaimedSizesAreBounded(t *testing.T) {
	dir := t.TempDir()
	write := func(size, counts string) string {
		file := filepath.Join(dir, "small.json")
		text := fmt.Sprintf(`{"images": [{"id": 1, %s, "file_name": "a.png"}], "categories": [{"id": 1, "name": "a"}],
"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": %s}]}`, size, counts)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	huge := `"width": 65535, "height": 65535`
	polygon := `[[1, 1, 65000, 1, 65000, 65000, 1, 65000]]`
	for name, file := range map[string][2]string{
		"polygon":      {huge, polygon},
		"runs":         {huge, `{"size": [65535, 65535], "counts": [5, 4294836220]}`},
		"long runs":    {`"width": 8, "height": 8`, `{"size": [8, 8], "counts": [5, 4294836220]}`},
		"many runs":    {`"width": 8, "height": 8`, `{"size": [8, 8], "counts": [4294967295, 4294967295, 66]}`},
		"no size":      {`"width": -3, "height": 9`, polygon},
		"overflow":     {`"width": 4294967296, "height": 4294967296`, polygon},
		"largest size": {`"width": 2147483647, "height": 2147483647`, polygon},
		"a line":       {`"width": 2147483647, "height": 1`, polygon},
	} {
		for _, to := range []string{"masks", "labelmap", "labelme", "overlay"} {
			_, err := program(t, "convert", "--to", to, "--images", dir, write(file[0], file[1]), filepath.Join(dir, "out"))
			require.Error(t, err, "%s to %s", name, to)
			require.Regexp(t, "limit|sides reach|not a size|run 1 of|runs|annotation 1", err.Error(), "%s to %s", name, to)
		}
		in := write(file[0], file[1])
		_, err := program(t, "data", "show", in, "--images", dir, "--out", filepath.Join(dir, "shown"))
		require.Error(t, err, name)
	}
	results := filepath.Join(dir, "results.json")
	require.NoError(t, os.WriteFile(results, []byte(`[{"image_id": 1, "category_id": 1, "score": 1, "segmentation": {"size": [65535, 65535], "counts": [5, 4294836220]}}]`), 0o600))
	_, err := program(t, "eval", "--gt", write(huge, polygon), "--dets", results, "--iou", "boundary")
	require.ErrorContains(t, err, "the limit is")
}

func TestCheckPixels(t *testing.T) {
	p := &coco.LabeledImage{FileName: "a", Width: 20_000, Height: 6_000}
	require.ErrorContains(t, checkPixels(p, 0), "20000×6000 pixels, the limit is 100000000 pixels")
	require.NoError(t, checkPixels(p, 200_000_000))
	require.NoError(t, checkPixels(p, -1))
	p.Height, p.Instances = 5_000, make([]coco.LabeledInstance, 700)
	for i := range p.Instances {
		p.Instances[i].Mask = mask.RLE{Width: 20_000, Height: 5_000, Counts: []uint32{0, 100_000_000}}
	}
	require.ErrorContains(t, checkPixels(p, 0), "700 masks on 20000×5000 pixels take 8.8 GB, the limit is 8.0 GB")
	for i := range p.Instances { // masks take what their boxes do
		p.Instances[i].Mask.Counts = []uint32{5_000_000, 40, 94_999_960}
	}
	require.NoError(t, checkPixels(p, 0))
	p.Height = -1
	require.Error(t, checkPixels(p, -1))
}
