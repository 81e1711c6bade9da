package beamseg

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/picture"
)

func TestMain(m *testing.M) { ptest.Main(m) }

// tiny names a model with random weights.
const tiny = "tiny"

// loadTiny lets weights named tiny be a small model that is not trained, and returns how often it was loaded.
func loadTiny(t *testing.T) *atomic.Int64 {
	var loaded atomic.Int64
	whole := load
	load = func(ctx context.Context, weights string, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
		if weights != tiny {
			return whole(ctx, weights, o)
		}
		loaded.Add(1)
		return diffusioninst.New(ctx, diffusioninst.Config{
			Backbone:   backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Width: 8}},
			Decoder:    decoder.Config{Dynamic: 4, FeedForward: 32, Heads: 2, Hidden: 16, Stages: 2},
			MaskBranch: maskhead.BranchConfig{Width: 8},
			Classes:    []string{"circle", "square"},
			Proposals:  30,
			Input:      diffusioninst.Input{Short: 64, Longest: 128},
		}, 1, o.Device)
	}
	models.Clear()
	t.Cleanup(func() { load = whole; models.Clear() })
	return &loaded
}

// everything keeps what an untrained model finds, which has low scores.
var everything = Options{Weights: tiny, Score: -1, Limit: 5, Seed: 7}

// draw writes n pictures of bright discs into a folder and returns them.
func draw(t *testing.T, folder string, n int) []Picture {
	t.Helper()
	var out []Picture
	for i := range n {
		m := image.NewGray(image.Rect(0, 0, 64, 48))
		for y := range 48 {
			for x := range 64 {
				if dx, dy := x-12-(5*i)%40, y-10-(7*i)%28; dx*dx+dy*dy < 36 {
					m.SetGray(x, y, color.Gray{Y: 200})
				}
			}
		}
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		out = append(out, Picture{int64(i + 1), filepath.Join(folder, fmt.Sprintf("%02d.png", i))})
		require.NoError(t, os.WriteFile(out[i].Path, b.Bytes(), 0o666))
	}
	return out
}

// alone returns the results of pictures without Beam, one per line.
func alone(t *testing.T, pictures []Picture) (out []string) {
	t.Helper()
	model, err := load(t.Context(), tiny, diffusioninst.LoadOptions{})
	require.NoError(t, err)
	defer model.Close()
	for _, p := range pictures {
		img, err := picture.Open(p.Path, picture.Options{})
		require.NoError(t, err)
		found, err := model.Segment(t.Context(), img.Image, diffusioninst.Options{Score: -1, Limit: 5, Seed: 7})
		require.NoError(t, err)
		text, err := cocoLines(evaluation.LabeledImage(found, p.ID, p.Path, evaluation.Categories(model.Config().Classes)))
		require.NoError(t, err)
		require.NotEmpty(t, text)
		out = append(out, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	}
	return out
}

// written returns the results and the failures of the files of a prefix, which must be all there is.
func written(t *testing.T, prefix string, shards int) (results []string, failed []failure) {
	t.Helper()
	for i := range shards {
		name := fmt.Sprintf("%s-%05d-of-%05d", prefix, i, shards)
		text, err := os.ReadFile(name + ".json")
		require.NoError(t, err)
		var all []json.RawMessage
		require.NoError(t, json.Unmarshal(text, &all))
		for _, r := range all {
			results = append(results, string(r))
		}
		text, err = os.ReadFile(name + ".failed.json")
		require.NoError(t, err)
		var more []failure
		require.NoError(t, json.Unmarshal(text, &more))
		failed = append(failed, more...)
	}
	files, err := filepath.Glob(prefix + "*")
	require.NoError(t, err)
	require.Len(t, files, 2*shards, "nothing is left of files that were written aside")
	return results, failed
}

// Prism finds in each picture, once, what the model finds without Beam. Broken pictures are recorded.
func TestPipeline(t *testing.T) {
	loaded := loadTiny(t)
	folder := t.TempDir()
	drawn := draw(t, folder, 6)
	broken, missing := filepath.Join(folder, "broken.png"), filepath.Join(folder, "missing.png")
	require.NoError(t, os.WriteFile(broken, []byte("nothing"), 0o666))
	list := strings.Join([]string{folder + "/0*.png", "", broken, drawn[2].Path, missing, folder + "/*.tif"}, "\n")
	pictures, err := List(t.Context(), strings.NewReader(list))
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(drawn), Picture{7, broken}, Picture{8, missing}, Picture{9, folder + "/*.tif"}), pictures)

	prefix := filepath.Join(folder, "out", "results")
	require.NoError(t, ptest.Run(Pipeline(pictures, everything, prefix, 3)))
	require.EqualValues(t, 1, loaded.Load())
	results, failed := written(t, prefix, 3)
	require.ElementsMatch(t, alone(t, drawn), results)
	require.Len(t, failed, 3)
	slices.SortFunc(failed, func(a, b failure) int { return int(a.ID - b.ID) })
	for i, f := range failed {
		require.Equal(t, pictures[6+i], Picture{f.ID, f.Path})
		require.NotEmpty(t, f.Error)
	}
}

// A list that a worker reads gives the files of one that is part of the graph. Shards without pictures take the place of those
// of an earlier run.
func TestListsOfWorkers(t *testing.T) {
	loadTiny(t)
	folder := t.TempDir()
	drawn := draw(t, folder, 3)
	prefix, list := filepath.Join(folder, "out", "results"), filepath.Join(folder, "list.txt")
	of := func(text string) (results []string, failed []failure) {
		require.NoError(t, os.WriteFile(list, []byte(text), 0o666))
		require.NoError(t, ptest.Run(ListPipeline(list, everything, prefix, 3)))
		return written(t, prefix, 3)
	}
	results, failed := of(folder + "/0*.png\n" + drawn[1].Path + "\n" + folder + "/none.png")
	require.ElementsMatch(t, alone(t, drawn), results)
	require.Len(t, failed, 1)
	require.EqualValues(t, 4, failed[0].ID)
	results, failed = of(drawn[0].Path)
	require.Equal(t, alone(t, drawn[:1]), results)
	require.Empty(t, failed)
	err := ptest.Run(ListPipeline(filepath.Join(folder, "none.txt"), everything, prefix, 3))
	require.ErrorContains(t, err, "beamseg: the list: ")
}

// GeoJSON has a line per picture, tables a row per instance, of what has pixels.
func TestFormats(t *testing.T) {
	loadTiny(t)
	folder := t.TempDir()
	drawn := append(draw(t, folder, 3), Picture{4, filepath.Join(folder, "missing.png")})
	files := func(format, ending string) (texts []string) { // of shards 0 and 5 without pictures, too
		with := everything
		with.Format = format
		prefix := filepath.Join(folder, format)
		require.NoError(t, ptest.Run(Pipeline(drawn, with, prefix, 6)))
		for i := range 6 {
			text, err := os.ReadFile(fmt.Sprintf("%s-%05d-of-00006%s", prefix, i, ending))
			require.NoError(t, err)
			texts = append(texts, string(text))
		}
		return texts
	}
	drawable := map[int64]int{} // both leave out what has no pixels
	model, err := load(t.Context(), tiny, diffusioninst.LoadOptions{})
	require.NoError(t, err)
	defer model.Close()
	for _, p := range drawn[:3] {
		img, err := picture.Open(p.Path, picture.Options{})
		require.NoError(t, err)
		found, err := model.Segment(t.Context(), img.Image, everything.model())
		require.NoError(t, err)
		for _, in := range found.Instances {
			if in.Area() > 0 {
				drawable[p.ID]++
			}
		}
	}
	seen := map[int64]int{}
	for _, text := range files("geojson", ".geojsonl") {
		for line := range strings.Lines(text) {
			var c struct {
				Image struct {
					ID int64
				}
				Features []json.RawMessage
			}
			require.NoError(t, json.Unmarshal([]byte(line), &c))
			seen[c.Image.ID] += len(c.Features)
		}
	}
	require.Equal(t, drawable, seen)
	clear(seen)
	for _, text := range files("csv", ".csv") {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"image_id", "file_name"}, rows[0][:2])
		for _, row := range rows[1:] {
			id, err := strconv.ParseInt(row[0], 10, 64)
			require.NoError(t, err)
			seen[id]++
		}
	}
	require.Equal(t, drawable, seen)
	with := everything
	with.Format = "xml"
	require.ErrorContains(t, ptest.Run(Pipeline(drawn, with, filepath.Join(folder, "xml"), 1)), "want coco, geojson or csv")
}

// Eight bundles at the same time, which Beam sets up on their own, share one model.
func TestOneModelPerProcess(t *testing.T) {
	loaded := loadTiny(t)
	folder := t.TempDir()
	drawn := draw(t, folder, 8)
	p, s := beam.NewPipelineWithRoot()
	var found []beam.PCollection
	for _, one := range drawn {
		found = append(found, Segment(s, beam.CreateList(s, []Picture{one}), everything))
	}
	prefix := filepath.Join(folder, "results")
	Write(s, beam.Flatten(s, found...), "coco", prefix, 1)
	require.NoError(t, ptest.Run(p))
	require.EqualValues(t, 1, loaded.Load())
	results, failed := written(t, prefix, 1)
	require.Equal(t, alone(t, drawn), results)
	require.Empty(t, failed)
}

// What is wrong with all pictures fails the pipeline.
func TestSettingsThatFail(t *testing.T) {
	loadTiny(t)
	folder := t.TempDir()
	drawn := draw(t, folder, 1)
	for _, o := range []Options{{Weights: filepath.Join(folder, "none.pth")}, {Weights: tiny, Steps: -1}, {Weights: tiny, Device: "cuda:99"}, {Weights: tiny, Device: "moon"}} {
		require.ErrorContains(t, ptest.Run(Pipeline(drawn, o, filepath.Join(folder, "results"), 1)), "beamseg: ")
	}
	_, err := List(t.Context(), strings.NewReader("\n"))
	require.ErrorContains(t, err, "no picture")
}
