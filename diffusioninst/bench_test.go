package diffusioninst

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// still draws parameters from a seed, but predicts no box movement, so that the
// noise's boxes stay where they are and as many instances survive as are asked for.
type still struct{ nn.Source }

func (st still) Parameter(s *torch.Scope, name string, shape []int, init nn.Init) (*torch.Tensor, error) {
	if strings.Contains(name, ".bboxes_delta.") {
		init = nn.Constant(0)
	}
	return st.Source.Parameter(s, name, shape, init)
}

// BenchmarkSegment is the paper's ResNet-50 on a picture of 1216×800 pixels with 500
// proposals, untrained: none survives the least score, or 500 do. Beside the time it
// reports the process's peak memory so far, the rate of a large matrix product in
// the same run, and how many such products one picture costs.
func BenchmarkSegment(b *testing.B) {
	for _, c := range []struct {
		name    string
		options Options
	}{
		{"1step", Options{}},
		{"4steps", Options{Steps: 4}},
		{"1step-500instances", Options{Score: -1, Proposals: 530, Limit: 500}},
	} {
		for _, device := range modeltest.Devices() {
			b.Run(c.name+"/"+device.String(), func(b *testing.B) { benchmarkSegment(b, device, c.options) })
		}
	}
}

func benchmarkSegment(b *testing.B, device torch.Device, options Options) {
	config := ResNet50COCO()
	config.NMS = -1
	m, err := NewFrom(context.Background(), config, still{nn.FromSeed(1)}, device)
	require.NoError(b, err)
	defer m.Close()
	img := pattern(1216, 800)
	found := 0
	for b.Loop() {
		r, err := m.Segment(context.Background(), img, options)
		require.NoError(b, err)
		found = len(r.Instances)
	}
	b.ReportMetric(float64(found), "instances")
	b.ReportMetric(peakMemory(b), "peak-MB")
	product := matrixProduct(b, device)
	b.ReportMetric(2*512*2048*2048/product.Seconds()/1e9, "product-GFLOP/s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/product.Seconds(), "products")
}

// matrixProduct times (512×2048)·(2048×2048) in float32, the best of five.
func matrixProduct(b *testing.B, device torch.Device) time.Duration {
	best := time.Hour
	require.NoError(b, torch.Do(context.Background(), func(s *torch.Scope) error {
		g := torch.NewGenerator(1)
		x, y := s.Randn(g, torch.Float32, 512, 2048).To(device), s.Randn(g, torch.Float32, 2048, 2048).To(device)
		for range 5 {
			mark := s.Mark()
			start := time.Now()
			x.Matmul(y).Select(0, 0).Select(0, 0).Item() // waits for the device
			best = min(best, time.Since(start))
			s.Release(mark)
		}
		return nil
	}))
	return best
}

// peakMemory is the largest resident memory of this process so far, in MB; 0 where
// the system does not tell.
func peakMemory(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return float64(field(b, string(text), "VmHWM")) / 1e3
}

// BenchmarkPrecisions is a picture of 1216×800 pixels through the paper's ResNet-50 in float32 and, by turns with it, in the other precisions of
// the processor, untrained and on one thread; times is float32's time divided by theirs, the least of each.
func BenchmarkPrecisions(b *testing.B) {
	config, calibrator := ResNet50COCO(), &nn.Calibrator{}
	img := pattern(1216, 800)
	least := map[Precision]time.Duration{}
	load := func(p Precision, calibrator *nn.Calibrator) *Model {
		m, err := LoadSource(context.Background(), still{nn.FromSeed(1)}, LoadOptions{Config: &config, Precision: p, Calibrator: calibrator})
		require.NoError(b, err)
		return m
	}
	segment := func(m *Model) time.Duration {
		start := time.Now()
		_, err := m.Segment(context.Background(), img, Options{})
		require.NoError(b, err)
		return time.Since(start)
	}
	m := load(PrecisionFloat32, calibrator)
	segment(m)
	require.NoError(b, m.Close())
	config.Int8 = calibrator.Calibration()
	models := []*Model{load(PrecisionFloat32, nil)}
	if torch.HasInt8() {
		models = append(models, load(PrecisionInt8, nil))
	}
	if torch.CPU.CheckPrecision(context.Background(), torch.BFloat16) == nil {
		models = append(models, load(PrecisionBFloat16, nil))
	}
	for _, m := range models {
		defer m.Close()
		segment(m)
	}
	for b.Loop() {
		for _, m := range models {
			took := segment(m)
			if old, ok := least[m.Precision()]; !ok || took < old {
				least[m.Precision()] = took
			}
		}
	}
	for p, took := range least {
		b.ReportMetric(took.Seconds(), p.String()+"-s")
		if p != PrecisionFloat32 {
			b.ReportMetric(least[PrecisionFloat32].Seconds()/took.Seconds(), p.String()+"-times")
		}
	}
}
