package coco

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

func TestGolden(t *testing.T) {
	golden.Each(t, golden.Evaluation, func(t *testing.T, dir string) {
		data, err := Load(filepath.Join(dir, "gt.json"))
		require.NoError(t, err)
		results, err := LoadResults(filepath.Join(dir, "dets.json"))
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		require.NoError(t, err)
		var expected map[string]any
		require.NoError(t, json.Unmarshal(text, &expected))
		options := Options{Style: COCO}
		if source, _ := expected["source"].(string); strings.Contains(strings.ToLower(source), "lvis") {
			options.Style = LVIS
		}
		compared := 0
		for _, iou := range []IoU{Segm, BBox, Boundary} {
			want, ok := expected[string(iou)].(map[string]any)
			if !ok {
				continue
			}
			options.IoU = iou
			report, err := Evaluate(t.Context(), data, results, options)
			require.NoError(t, err)
			text, err := json.Marshal(report)
			require.NoError(t, err)
			var got map[string]any
			require.NoError(t, json.Unmarshal(text, &got))
			compared += sameNumbers(t, string(iou), want, got)
		}
		require.NotZero(t, compared)
	})
}

// sameNumbers compares the numbers of want with got's and counts them.
func sameNumbers(t *testing.T, path string, want, got map[string]any) int {
	n := 0
	for name, w := range want {
		at := path + "." + name
		g, ok := got[name]
		require.True(t, ok, "%s is missing", at)
		switch w := w.(type) {
		case map[string]any:
			n += sameNumbers(t, at, w, g.(map[string]any))
		case float64:
			require.IsType(t, w, g, at)
			require.InDelta(t, w, g, 1e-9, at)
			n++
		default:
			require.Equal(t, w, g, at)
			n++
		}
	}
	return n
}
