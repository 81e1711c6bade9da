package data

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// Whatever is learnt from changes the checksum; the folder does not, nor what is not learnt from.
func TestChecksum(t *testing.T) {
	a := `{"id": 1, "image_id": 4, "category_id": 9, "bbox": [1.5, 2, 3.25, 4], "segmentation": [[2, 2, 4, 2, 4, 6, 2, 6]]}`
	b := `{"id": 3, "image_id": 4, "category_id": 2, "segmentation": {"size": [10, 20], "counts": [150, 10, 40]}}`
	crowd := `{"id": 7, "image_id": 4, "category_id": 9, "iscrowd": 1, "segmentation": {"size": [10, 20], "counts": [0, 200]}}`
	want := square(t, a, b).Checksum()
	require.Equal(t, want, square(t, a, b).Checksum())
	require.Equal(t, want, square(t, a, b, crowd).Checksum())
	seen := map[string]string{want: ""}
	differ := func(c *COCO, how string) {
		t.Helper()
		sum := c.Checksum()
		require.NotContains(t, seen, sum, how)
		seen[sum] = how
	}
	differ(square(t, b, a), "order")
	for _, change := range [][2]string{{"[1.5, 2", "[1.25, 2"}, {"4, 6, 2, 6", "4, 7, 2, 7"}, {`"bbox": [1.5, 2, 3.25, 4], `, ""}, {`"id": 1`, `"id": 2`}, {`"category_id": 9`, `"category_id": 2`}} {
		require.Contains(t, a, change[0])
		differ(square(t, strings.Replace(a, change[0], change[1], 1), b), change[1])
	}
	differ(square(t, a, strings.Replace(b, "150, 10, 40", "150, 9, 41", 1)), "counts")
	differ(square(t, a, strings.Replace(b, "[150, 10, 40]", `"`+compressed(t)+`"`, 1)), "compressed")
	for _, change := range [][2]string{{"a.png", "b.png"}, {`"id": 4,`, `"id": 5,`}, {`"name": "b"`, `"name": "c"`}, {`"width": 20`, `"width": 21`}} {
		file, folder := squareFile(t)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), change[0])
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o666))
		c, err := OpenCOCO(file, folder)
		require.NoError(t, err)
		differ(c, change[1])
	}
}

// compressed returns run lengths for a picture of 20×10 pixels.
func compressed(t *testing.T) string {
	t.Helper()
	r, err := coco.Segmentation{Height: 10, Width: 20, Counts: []uint32{150, 11, 39}}.RLE(20, 10)
	require.NoError(t, err)
	return r.String()
}
