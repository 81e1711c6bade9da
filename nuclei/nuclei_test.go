//go:build cgo

package nuclei

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/torch"
)

var measure = flag.Bool("measure", false, "measure the accuracy in several sizes, in one, and in four steps, over five seeds: an hour")

// load is the model, which must leave no tensor behind.
func load(t *testing.T) *diffusioninst.Model {
	t.Helper()
	before := torch.Live()
	m, err := Load(context.Background(), diffusioninst.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Equal(t, before, torch.Live())
	})
	return m
}

func metadata(t *testing.T) map[string]string {
	t.Helper()
	r := Checkpoint()
	f, err := checkpoint.Read(r, r.Size())
	require.NoError(t, err)
	for _, tensor := range f.Tensors {
		require.Equal(t, len(tensor.Shape) > 1, tensor.DType == checkpoint.Float16, tensor.Name)
	}
	return f.Metadata
}

func TestWhatIsInThePackage(t *testing.T) {
	require.LessOrEqual(t, len(weights), 20_000_000)
	m := load(t)
	c := m.Config()
	require.Equal(t, []string{"nucleus"}, c.Classes)
	require.Positive(t, c.Input.Scale, "pictures keep their size")
	known := metadata(t)
	for _, key := range []string{"data", "license", "training", "accuracy", checkpoint.ConfigKey} {
		require.NotEmpty(t, known[key], "metadata %q", key)
	}
	require.Contains(t, known["license"], "CC0 1.0")
	require.Contains(t, known["training"], "diffusioninst train ")
}

// oneSize is --scales 1: a tenth of the pixels of the model's own setting.
var oneSize = &diffusioninst.Scales{Factors: []float64{1}}

// found is what the model finds in the pictures of a data set, as the program's test
// command does with --score 0.05 --limit 500 --max-dets 1,10,500.
func found(t *testing.T, m *diffusioninst.Model, file, folder string, o diffusioninst.Options) *coco.Report {
	t.Helper()
	set, err := evaluation.Open(file, folder, 0)
	require.NoError(t, err)
	require.NoError(t, set.Match(m.Config().Classes, func(format string, args ...any) { t.Errorf(format, args...) }))
	o.Score, o.Limit = 0.05, 500
	results, took, err := set.Run(context.Background(), m.Segment, o, func() {})
	require.NoError(t, err)
	report, err := coco.Evaluate(context.Background(), set.Data, results, coco.Options{MaxDets: []int{1, 10, 500}})
	require.NoError(t, err)
	t.Logf("%s, %v, %d steps, seed %d: AP %.4f, AP50 %.4f, %v", filepath.Base(file), o.Scales, o.Steps, o.Seed, metric(t, report, "AP"), metric(t, report, "AP50"), took)
	return report
}

func metric(t *testing.T, r *coco.Report, name string) float64 {
	t.Helper()
	v, ok := r.Metric(name)
	require.True(t, ok)
	return v
}

// The demonstration works: most of the drawn picture's nuclei are found, and their masks are better in
// the sizes of the model's own setting than in one.
func TestDrawnPicture(t *testing.T) {
	folder := filepath.Join("..", "examples", "segment_image")
	file := filepath.Join(folder, "nuclei.json")
	m := load(t)
	own, one := found(t, m, file, folder, diffusioninst.Options{}), found(t, m, file, folder, diffusioninst.Options{Scales: oneSize})
	require.Greater(t, metric(t, own, "AP50"), 0.8)
	require.Greater(t, metric(t, one, "AP50"), 0.8)
	require.Greater(t, metric(t, own, "AP"), metric(t, one, "AP"))
}

// The accuracy in the metadata is that of the model: the first seed's one step in one size comes
// close to the recorded mean. With -measure, everything is measured and must be equal.
func TestAccuracy(t *testing.T) {
	folder := os.Getenv("DIFFUSIONINST_DSB2018")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared", "data", "dsb2018")
	}
	truth := filepath.Join(folder, "val.json")
	if _, err := os.Stat(truth); err != nil {
		t.Skip("the data set's pictures are not in the module; DIFFUSIONINST_DSB2018 names their folder")
	}
	m, recorded := load(t), metadata(t)["accuracy"]
	if !*measure {
		if testing.Short() {
			t.Skip("runs over 59 pictures")
		}
		got := found(t, m, truth, filepath.Join(folder, "images"), diffusioninst.Options{Scales: oneSize, Steps: 1})
		numbers := regexp.MustCompile(`AP (0\.\d+) ± 0\.\d+ and AP50 (0\.\d+) ± 0\.\d+ in one size and 1 step;`).FindStringSubmatch(recorded)
		require.Len(t, numbers, 3, "accuracy %q", recorded)
		for i, name := range []string{"AP", "AP50"} {
			want, err := strconv.ParseFloat(numbers[i+1], 64)
			require.NoError(t, err)
			require.InDelta(t, want, metric(t, got, name), 0.02, name)
		}
		return
	}
	text := "on the 59 pictures of val.json, masks, at most 500 per picture:"
	for _, setting := range []struct {
		name    string
		options diffusioninst.Options
	}{
		{"its own sizes and 1 step", diffusioninst.Options{Steps: 1}},
		{"one size and 1 step", diffusioninst.Options{Scales: oneSize, Steps: 1}},
		{"one size and 4 steps", diffusioninst.Options{Scales: oneSize, Steps: 4}},
	} {
		var ap, ap50 []float64
		for seed := range uint64(seeds) {
			setting.options.Seed = seed
			r := found(t, m, truth, filepath.Join(folder, "images"), setting.options)
			ap, ap50 = append(ap, metric(t, r, "AP")), append(ap50, metric(t, r, "AP50"))
		}
		text += fmt.Sprintf(" AP %s and AP50 %s in %s;", spread(ap), spread(ap50), setting.name)
	}
	text += fmt.Sprintf(" mean and deviation of seeds 0 to %d", seeds-1)
	t.Log("accuracy=" + text)
	require.Equal(t, text, recorded, "put it into the file: diffusioninst export --note")
}

// seeds is over how many the accuracy is measured.
const seeds = 5

// spread is the mean and the standard deviation.
func spread(values []float64) string {
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return fmt.Sprintf("%.3f ± %.3f", mean, math.Sqrt(squares))
}

// The configuration can be changed, such as for pictures of other magnification.
func TestAnotherScale(t *testing.T) {
	c := load(t).Config()
	c.Input.Scale *= 0.5
	m, err := Load(context.Background(), diffusioninst.LoadOptions{Config: &c})
	require.NoError(t, err)
	require.Equal(t, c, m.Config())
	require.NoError(t, m.Close())
}
