package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// runProgram runs the program and returns what it printed.
func runProgram(stdin []byte, args ...string) (stdout, stderr string, err error) {
	root := newRoot()
	var out, errs bytes.Buffer
	root.SetIn(bytes.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err = root.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

// program runs the program and returns what it printed on standard output.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	stdout, _, err := runProgram(nil, args...)
	return stdout, err
}

func TestEvalGolden(t *testing.T) {
	golden.Each(t, golden.Evaluation, func(t *testing.T, dir string) {
		text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		require.NoError(t, err)
		var expected map[string]any
		require.NoError(t, json.Unmarshal(text, &expected))
		style := "coco"
		if strings.Contains(strings.ToLower(expected["source"].(string)), "lvis") {
			style = "lvis"
		}
		for iou, want := range expected {
			if iou == "source" {
				continue
			}
			out, err := program(t, "eval", "--gt", filepath.Join(dir, "gt.json"), "--dets", filepath.Join(dir, "dets.json"), "--iou", iou, "--style", style, "--json")
			require.NoError(t, err)
			var got map[string]map[string]any
			require.NoError(t, json.Unmarshal([]byte(out), &got))
			require.Len(t, got, 1)
			for name, w := range want.(map[string]any) {
				g, ok := got[iou][name]
				require.True(t, ok, name)
				if w, ok := w.(float64); ok {
					require.InDelta(t, w, g, 1e-9, name)
				}
				if w, ok := w.(map[string]any); ok {
					require.Len(t, g, len(w))
				}
			}
		}
	})
}

func TestEvalPlotsAndClasses(t *testing.T) {
	dir, plots := golden.Dir("cocoeval"), filepath.Join(t.TempDir(), "plots")
	files := []string{"--gt", filepath.Join(dir, "gt.json"), "--dets", filepath.Join(dir, "dets.json")}
	out, err := program(t, append([]string{"eval", "--iou", "segm,bbox", "--per-class", "--plots", plots, "--max-dets", "5,20"}, files...)...)
	require.NoError(t, err)
	for _, text := range []string{"segm, COCO", "bbox, COCO", "AR20", "disc", "absent"} {
		require.Contains(t, out, text)
	}
	for _, name := range []string{"segm_precision_recall.png", "segm_errors.png", "bbox_categories.png"} {
		text, err := os.ReadFile(filepath.Join(plots, name))
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(text, []byte("\x89PNG")), name)
	}
	text, err := os.ReadFile(filepath.Join(plots, "segm_errors.json"))
	require.NoError(t, err)
	var errors struct {
		AP     float64
		Errors []struct{ Kind string }
	}
	require.NoError(t, json.Unmarshal(text, &errors))
	require.Len(t, errors.Errors, 6)
}

func TestEvalErrors(t *testing.T) {
	dir := golden.Dir("cocoeval")
	truth, dets := filepath.Join(dir, "gt.json"), filepath.Join(dir, "dets.json")
	other := filepath.Join(t.TempDir(), "other.json")
	require.NoError(t, os.WriteFile(other, []byte(`[{"image_id": 999, "category_id": 1, "score": 1, "bbox": [0, 0, 1, 1]}]`), 0o666))
	for name, c := range map[string]struct{ args, want string }{
		"no files":      {"", "required flag"},
		"other results": {"--gt " + truth + " --dets " + other + " --iou bbox", "result 0 (image 999)"},
		"swapped":       {"--gt " + dets + " --dets " + truth, "it is a list, as files of results (detections) are"},
		"a data set":    {"--gt " + truth + " --dets " + truth, "convert --gt " + truth + " --to results " + truth},
		"iou":           {"--gt " + truth + " --dets " + dets + " --iou iou", "not segm"},
		"style":         {"--gt " + truth + " --dets " + dets + " --style voc", "not coco"},
		"not LVIS":      {"--gt " + truth + " --dets " + dets + " --style lvis", "neg_category_ids"},
		"missing":       {"--gt none.json --dets " + dets, "none.json"},
	} {
		_, err := program(t, append([]string{"eval"}, strings.Fields(c.args)...)...)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestEvalCountsPicturesWithoutDetections(t *testing.T) {
	file, _ := drawn(t)
	results := filepath.Join(t.TempDir(), "results.json")
	_, err := program(t, "convert", "--to", "results", file, results)
	require.NoError(t, err)
	stdout, stderr, err := runProgram(nil, "eval", "--gt", file, "--dets", results)
	require.NoError(t, err)
	require.Equal(t, "1 of 2 pictures have no detections\n", stderr)
	require.Contains(t, stdout, "segm, COCO")
}
