package diffusioninst

import (
	"context"
	"image"
	"image/color"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func TestSegmentGivesPlainResults(t *testing.T) {
	m := smallModel(t)
	img := pattern(150, 90)
	r, err := m.Segment(context.Background(), img, all)
	require.NoError(t, err)
	require.Equal(t, [2]int{150, 90}, [2]int{r.Width, r.Height})
	require.NotEmpty(t, r.Instances)
	for i, in := range r.Instances {
		require.Equal(t, []string{"circle", "square"}[in.Class], in.Name)
		require.Equal(t, image.Rect(0, 0, 150, 90), in.Mask.Bounds())
		require.Equal(t, in.Area(), in.Mask.Area())
		require.True(t, in.Box.X1 >= 0 && in.Box.X1 < in.Box.X2 && in.Box.X2 <= 150 && in.Box.Y1 >= 0 && in.Box.Y1 < in.Box.Y2 && in.Box.Y2 <= 90, in.Box)
		if in.Area() > 0 {
			box := image.Rect(int(in.Box.X1), int(in.Box.Y1), int(in.Box.X2)+1, int(in.Box.Y2)+1)
			require.True(t, in.Mask.Box().In(box), "the mask %v leaves its box %v", in.Mask.Box(), box)
		}
		if i > 0 {
			require.LessOrEqual(t, in.Score, r.Instances[i-1].Score)
		}
	}
	overlay, err := mask.Overlay(img, r.OverlayItems(), mask.OverlayOptions{})
	require.NoError(t, err)
	require.NotEqual(t, img.Pix, overlay.Pix)
	labels, err := r.LabelMap()
	require.NoError(t, err)
	for y := range 90 {
		for x := range 150 {
			want := slices.IndexFunc(r.Instances, func(in Instance) bool { return in.Mask.Get(x, y) }) + 1
			require.Equal(t, uint16(want), labels.Gray16At(x, y).Y, "the best score is on top")
		}
	}
}

func TestSegmentFollowsItsOptions(t *testing.T) {
	m := smallModel(t)
	ctx, img := context.Background(), pattern(100, 100)
	everything, err := m.Segment(ctx, img, all)
	require.NoError(t, err)
	limited, err := m.Segment(ctx, img, Options{Score: -1, Limit: 3})
	require.NoError(t, err)
	require.Equal(t, everything.Instances[:3], limited.Instances)
	unlimited, err := m.Segment(ctx, img, Options{Score: -1, Limit: -1})
	require.NoError(t, err)
	require.Equal(t, everything, unlimited)

	least := everything.Instances[2].Score
	scored, err := m.Segment(ctx, img, Options{Score: float64(least)})
	require.NoError(t, err)
	require.Equal(t, everything.Instances[:3], scored.Instances)

	none, err := m.Segment(ctx, img, Options{})
	require.NoError(t, err)
	require.Empty(t, none.Instances, "an untrained model finds nothing above one half")

	other, err := m.Segment(ctx, img, Options{Score: -1, Seed: 7})
	require.NoError(t, err)
	require.NotEqual(t, everything, other)

	few, err := m.Segment(ctx, img, Options{Score: -1, Proposals: 5})
	require.NoError(t, err)
	require.LessOrEqual(t, len(few.Instances), 5)

	steps, err := m.Segment(ctx, img, Options{Score: -1, Steps: 3, Sampling: &sampler.Config{Renewal: sampler.NoRenewal{}}})
	require.NoError(t, err)
	require.NotEqual(t, everything, steps)
}

func TestBatchEqualsSingleCalls(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	// Of one size in the network: padding would change the features near the border.
	images := []image.Image{pattern(128, 64), pattern(256, 128), pattern(100, 50)}
	for _, steps := range []int{1, 3} {
		o := Options{Score: -1, Seed: 40, Steps: steps}
		batch, err := m.SegmentBatch(ctx, images, o)
		require.NoError(t, err)
		for i, img := range images {
			o.Seed = 40 + uint64(i)
			single, err := m.Segment(ctx, img, o)
			require.NoError(t, err)
			matchResults(t, single, batch[i])
		}
	}
	mixed, err := m.SegmentBatch(ctx, []image.Image{pattern(128, 64), pattern(30, 64), pattern(64, 64)}, Options{Score: -1, Steps: 2})
	require.NoError(t, err)
	for i, w := range []int{128, 30, 64} {
		require.Equal(t, w, mixed[i].Width)
		require.NotEmpty(t, mixed[i].Instances)
	}
	empty, err := m.SegmentBatch(ctx, nil, all)
	require.NoError(t, err)
	require.Empty(t, empty)
}

// matchResults allows the rounding that padding to another size brings.
func matchResults(t *testing.T, want, got *Result) {
	t.Helper()
	require.Equal(t, [2]int{want.Width, want.Height}, [2]int{got.Width, got.Height})
	found := 0
	for _, w := range want.Instances {
		for _, g := range got.Instances {
			iou, err := mask.BoxIoU([][4]float64{xywh(w.Box)}, [][4]float64{xywh(g.Box)}, nil)[0][0], error(nil)
			require.NoError(t, err)
			if w.Class == g.Class && iou > 0.98 && w.Score-g.Score < 1e-3 && g.Score-w.Score < 1e-3 {
				found++
				break
			}
		}
	}
	require.GreaterOrEqual(t, float64(found), 0.9*float64(len(want.Instances)))
}

func xywh(b Box) [4]float64 {
	return [4]float64{float64(b.X1), float64(b.Y1), float64(b.Width()), float64(b.Height())}
}

func TestSegmentRefusesBadInput(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	for name, c := range map[string]struct {
		img    image.Image
		o      Options
		reason string
	}{
		"no picture":       {nil, all, "no picture"},
		"an empty picture": {image.NewRGBA(image.Rect(0, 0, 0, 5)), all, "empty"},
		"one pixel":        {pattern(1, 1), all, "at least 2×2"},
		"a line":           {pattern(1, 20000), all, "at least 2×2"},
		"a whole plane":    {image.NewUniform(color.White), all, "pixels"},
		"a large input":    {image.Rect(0, 0, 9000, 9000), Options{Scale: 16}, "144000×144000"},
		"negative steps":   {pattern(9, 9), Options{Steps: -1}, "Steps"},
		"too many steps":   {pattern(9, 9), Options{Steps: 1001}, "Steps"},
		"negative boxes":   {pattern(9, 9), Options{Proposals: -1}, "Proposals"},
		"too many boxes":   {pattern(9, 9), Options{Proposals: 1 << 30}, "Proposals"},
		"an absurd score":  {pattern(9, 9), Options{Score: 1.5}, "Score"},
		"no score":         {pattern(9, 9), Options{Score: math.NaN()}, "Score"},
		"an absurd scale":  {pattern(9, 9), Options{Scale: 17}, "Scale"},
		"no scale":         {pattern(9, 9), Options{Scale: math.NaN()}, "Scale"},
		"two sizes":        {pattern(9, 9), Options{Scale: 1, Augment: Augment{Scales: []int{64}}}, "Scale"},
		"a small tile":     {pattern(9, 9), Options{Scale: 1, Tile: 31}, "Tile"},
	} {
		_, err := m.Segment(ctx, c.img, c.o)
		var ie *ImageError
		var oe *OptionError
		require.True(t, errorAs(err, &ie) || errorAs(err, &oe), "%s: %v", name, err)
		require.ErrorContains(t, err, c.reason, name)
	}
	_, err := m.SegmentBatch(ctx, []image.Image{pattern(9, 9), nil}, all)
	require.ErrorContains(t, err, "picture 1")
	var ie *ImageError
	require.ErrorAs(t, err, &ie)
}

func TestSegmentCanBeCancelled(t *testing.T) {
	m := smallModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{Score: -1, Steps: 1000}
	steps := 0
	o.Sampling = &sampler.Config{Sampler: counting{&steps, func() {
		if steps == 2 {
			cancel()
		}
	}}}
	_, err := m.Segment(ctx, pattern(64, 64), o)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, steps, "it ends at the next step")
	_, err = m.Segment(ctx, pattern(64, 64), all)
	require.ErrorIs(t, err, context.Canceled)
}

// counting is DDIM that reports its steps.
type counting struct {
	steps *int
	after func()
}

func (c counting) String() string { return "counting" }

func (c counting) Step(s *sampler.Step) (*torch.Tensor, error) {
	*c.steps++
	c.after()
	return sampler.DDIM{Eta: 1}.Step(s)
}

func TestClosedModel(t *testing.T) {
	m, err := New(context.Background(), small(), 1, torch.CPU)
	require.NoError(t, err)
	require.Greater(t, m.Parameters(), int64(1000))
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = m.Segment(context.Background(), pattern(9, 9), all)
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, m.Parameters())
}

// One model, many goroutines: the same seed gives the same result, and threads,
// tensors and memory stay flat.
func TestManyGoroutines(t *testing.T) {
	m := smallModel(t)
	ctx := context.Background()
	const goroutines = 64
	calls := 256
	if testing.Short() {
		calls = 128
	}
	images := []image.Image{pattern(64, 64), pattern(90, 64), pattern(64, 120)}
	var want [4][]*Result
	for seed := range want {
		for _, img := range images {
			r, err := m.Segment(ctx, img, Options{Score: -1, Seed: uint64(seed), Steps: 2})
			require.NoError(t, err)
			want[seed] = append(want[seed], r)
		}
	}
	run := func(calls int) {
		jobs := make(chan int)
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range jobs {
					seed, img := i%len(want), i%len(images)
					r, err := m.Segment(ctx, images[img], Options{Score: -1, Seed: uint64(seed), Steps: 2})
					if err != nil {
						t.Error(err)
					} else if !sameResult(want[seed][img], r) {
						t.Errorf("call %d: another result for the same seed", i)
					}
				}
			})
		}
		for i := range calls {
			jobs <- i
		}
		close(jobs)
		wg.Wait()
	}
	run(calls / 4)
	tensors, threads, memory := torch.Live(), status(t, "Threads"), status(t, "VmRSS")
	run(calls)
	t.Logf("%d calls from %d goroutines: tensors %d → %d, threads %d → %d, resident memory %d → %d kB",
		calls, goroutines, tensors, torch.Live(), threads, status(t, "Threads"), memory, status(t, "VmRSS"))
	require.Equal(t, tensors, torch.Live())
	if threads > 0 {
		require.LessOrEqual(t, status(t, "Threads"), threads+leak.MoreThreads())
		require.LessOrEqual(t, status(t, "VmRSS"), memory+memory/10)
	}
}

func sameResult(a, b *Result) bool {
	if len(a.Instances) != len(b.Instances) {
		return false
	}
	for i := range a.Instances {
		x, y := a.Instances[i], b.Instances[i]
		if x.Class != y.Class || x.Score != y.Score || x.Box != y.Box || !x.Mask.Equal(y.Mask) {
			return false
		}
	}
	return true
}

// status is a number of this process from the kernel, 0 where it does not tell.
func status(t *testing.T, name string) int {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return field(t, string(text), name)
}

// field is a number in kB or without unit from the text of /proc/self/status.
func field(t testing.TB, text, name string) int {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			require.NoError(t, err)
			return n
		}
	}
	return 0
}

func TestSegmentWithTheClassesOfLVIS(t *testing.T) {
	c := small()
	c.Classes = ResNet50LVIS().Classes
	m, err := New(context.Background(), c, 1, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	r, err := m.Segment(context.Background(), pattern(64, 64), all)
	require.NoError(t, err)
	require.NotEmpty(t, r.Instances)
	for _, in := range r.Instances {
		require.Equal(t, c.Classes[in.Class], in.Name)
	}
	require.Len(t, c.Classes, 1203)
}
