//go:build cgo

package main

import (
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"

	"github.com/diffusioninst/go/train/journal"
)

// drawRun writes a journal of a number of steps, with a spike, a NaN and evaluations, and plots it.
func drawRun(t *testing.T, folder string, count, every int) {
	j, err := journal.Open(folder, 0, trainTable, evaluationTable)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for step := range count {
		done := float64(step) / float64(count)
		noise := math.Exp(0.25 * r.NormFloat64())
		loss := (2 + 20*math.Exp(-6*done)) * noise
		if step == count/2 {
			loss = 5e4
		}
		if step == count/3 {
			loss = math.NaN()
		}
		require.NoError(t, j.Add(trainTable, step, at, []journal.Scalar{
			{Name: lossColumn, Value: loss}, {Name: "loss_ce", Value: loss / 9}, {Name: "loss_bbox", Value: loss / 13}, {Name: "loss_giou", Value: loss / 12},
			{Name: "loss_masks", Value: loss / 7}, {Name: "loss_ce_0", Value: loss / 8},
			{Name: normColumn, Value: 3 * noise * noise}, {Name: rateColumn, Value: 3e-4 * min(1, 20*done) * (1 + math.Cos(math.Pi*done))},
		}))
		if step%every == every-1 {
			ap := 0.5*(1-math.Exp(-4*done)) + 0.01*r.NormFloat64()
			require.NoError(t, j.Add(evaluationTable, step, at, []journal.Scalar{
				{Name: "AP", Value: ap}, {Name: "AP50", Value: min(1, 1.6*ap)}, {Name: "AP75", Value: 1.05 * ap}, {Name: "APs", Value: -1},
				{Name: "AP_4_steps", Value: 1.2 * ap}, {Name: "AP50_4_steps", Value: min(1, 1.7*ap)},
			}))
		}
	}
	require.NoError(t, j.Close())
	require.NoError(t, plotRun(folder))
}

func decodePNG(t *testing.T, path ...string) image.Image {
	t.Helper()
	f, err := os.Open(filepath.Join(path...))
	require.NoError(t, err)
	defer f.Close()
	img, err := png.Decode(f)
	require.NoError(t, err)
	return img
}

func TestPlotRun(t *testing.T) {
	for _, c := range []struct{ steps, every int }{{1, 1}, {2, 1}, {3, 9}, {7, 3}, {5000, 250}} {
		folder := t.TempDir()
		drawRun(t, folder, c.steps, c.every)
		inked := map[string]int{}
		for _, name := range []string{"train.png", "evaluation.png"} {
			if name == "evaluation.png" && c.steps < c.every {
				require.NoFileExists(t, filepath.Join(folder, name))
				continue
			}
			img := decodePNG(t, folder, name)
			for y := range img.Bounds().Dy() {
				for x := range img.Bounds().Dx() {
					if r, g, b, _ := img.At(x, y).RGBA(); max(r, g, b)-min(r, g, b) > 0x4000 {
						inked[name]++ // coloured: of a curve, not of an axis
					}
				}
			}
			require.Positive(t, inked[name], "%s of %d steps", name, c.steps)
		}
	}
}

func TestPlotRunWithoutValues(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, plotRun(folder), "no journal yet")
	j, err := journal.Open(folder, 0, trainTable, evaluationTable)
	require.NoError(t, err)
	require.NoError(t, j.Add(trainTable, 0, time.Now(), []journal.Scalar{{Name: lossColumn, Value: math.NaN()}, {Name: normColumn, Value: math.Inf(1)}}))
	require.NoError(t, j.Add(evaluationTable, 0, time.Now(), []journal.Scalar{{Name: "AP", Value: -1}}))
	require.NoError(t, j.Close())
	require.NoError(t, plotRun(folder))
	require.NoFileExists(t, filepath.Join(folder, "train.png"))
	require.NoFileExists(t, filepath.Join(folder, "evaluation.png"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "train.csv"), []byte("a,b\n"), 0o666))
	require.ErrorContains(t, plotRun(folder), "train.csv, line 1")
}

func TestMovingMedian(t *testing.T) {
	points := plotter.XYs{{X: 0, Y: 1}, {X: 1, Y: 4}, {X: 2, Y: 1e9}, {X: 5, Y: 7}, {X: 6, Y: 8}}
	require.Equal(t, points, movingMedian(points, 0, 9))
	require.Equal(t, plotter.XYs{{X: 0, Y: 2.5}, {X: 1, Y: 4}, {X: 2, Y: 7}, {X: 5, Y: 8}, {X: 6, Y: 7.5}}, movingMedian(points, 1, 5))
	require.Equal(t, plotter.XYs{{X: 0, Y: 2.5}, {X: 2, Y: 7}, {X: 6, Y: 7.5}}, movingMedian(points, 1, 3))
	require.Equal(t, plotter.XYs{{X: 0, Y: 7}}, movingMedian(points, 9, 1))
	require.Empty(t, movingMedian(nil, 3, 5))
	require.Equal(t, 1., points[0].Y)
}

func TestExtremesKeepSpikes(t *testing.T) {
	points := make(plotter.XYs, 10_000)
	for i := range points {
		points[i] = plotter.XY{X: float64(i), Y: 1}
	}
	points[1234].Y, points[1300].Y, points[9999].Y = 50, -7, 3
	got := extremes(points, 100)
	require.LessOrEqual(t, len(got), 200)
	for _, want := range []int{1234, 1300, 9999} {
		require.Contains(t, got, points[want])
	}
	for i := 1; i < len(got); i++ {
		require.Greater(t, got[i].X, got[i-1].X)
	}
	require.Equal(t, points[:20], extremes(points[:20], 10))
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      []string
	}{
		{0.9, 12, []string{"1", "2", "5", "10"}}, {2.1, 8, []string{"5"}}, {0.004, 40, []string{"0.01", "0.1", "1", "10"}}, {900, 30_000, []string{"1000", "2000", "5000", "10000", "20000"}},
	} {
		var got []string
		for _, tick := range (logTicks{}).Ticks(c.low, c.high) {
			if tick.Label != "" {
				got = append(got, tick.Label)
			}
		}
		require.Equal(t, c.want, got)
	}
	for _, c := range []struct {
		low, high float64
		want      []string
	}{
		{0, 1, []string{"0", "1"}}, {0, 449, []string{"0", "100", "200", "300", "400"}}, {100, 89_999, []string{"20k", "40k", "60k", "80k"}},
		{0, 6_000_000, []string{"0", "1M", "2M", "3M", "4M", "5M", "6M"}}, {-1, 1, []string{"-1", "0", "1"}},
	} {
		var got []string
		for _, tick := range (roundTicks{least: 1, label: steps}).Ticks(c.low, c.high) {
			got = append(got, tick.Label)
		}
		require.Equal(t, c.want, got, "%v to %v", c.low, c.high)
	}
}
