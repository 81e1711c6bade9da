package train

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// BenchmarkStep is a step of a model of 3.9 million parameters on four pictures of
// 192×192 pixels with 30 objects each. The rate of matrix products of the same machine
// stands beside it, since shared machines differ from minute to minute.
func BenchmarkStep(b *testing.B) {
	for _, device := range modeltest.Devices() {
		b.Run(device.String(), func(b *testing.B) { benchmarkStep(b, device, 4, Options{}) })
	}
}

// BenchmarkStepGPU is BenchmarkStep with more pictures and other precisions on a GPU.
func BenchmarkStepGPU(b *testing.B) {
	if torch.CUDADevices() == 0 {
		b.Skip("no GPU here")
	}
	for _, pictures := range []int{4, 16, 64} {
		for _, precision := range []torch.DType{torch.Float32, torch.BFloat16, torch.Float16} {
			b.Run(fmt.Sprintf("pictures=%d/%v", pictures, precision), func(b *testing.B) {
				benchmarkStep(b, torch.CUDA(0), pictures, Options{Precision: precision})
			})
		}
	}
}

// BenchmarkStepReplicas is BenchmarkStep with the pictures shared out.
func BenchmarkStepReplicas(b *testing.B) {
	for _, replicas := range []int{2, 4} {
		for _, synchronised := range []bool{false, true} {
			b.Run(fmt.Sprintf("replicas=%d/sync=%v", replicas, synchronised), func(b *testing.B) {
				benchmarkStep(b, torch.CPU, 4, Options{Replicas: replicas, SyncBatchNorm: synchronised})
			})
		}
	}
}

// BenchmarkStepBFloat16 is BenchmarkStep in mixed precision.
func BenchmarkStepBFloat16(b *testing.B) {
	for _, replicas := range []int{1, 2} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			benchmarkStep(b, torch.CPU, 4, Options{Precision: torch.BFloat16, Replicas: replicas, SyncBatchNorm: true})
		})
	}
}

func benchmarkStep(b *testing.B, device torch.Device, pictures int, o Options) {
	o.Frozen = []string{}
	c := diffusioninst.Config{
		Backbone: backbone.ResNetFPN{Channels: 64, ResNet: backbone.ResNet{
			Depth: 50, StemChannels: 32, Width: 16, Res2Channels: 64, Norm: nn.BatchNorm,
		}},
		Decoder:   decoder.Config{Hidden: 64, Dynamic: 16, FeedForward: 256, Heads: 4, Stages: 3},
		Classes:   []string{"nucleus"},
		Proposals: 120,
	}
	trainer, err := New(context.Background(), c, nn.FromSeed(1), device, o)
	require.NoError(b, err)
	defer trainer.Close()
	var boxes []diffusioninst.Box
	for i := range 30 {
		x, y := float32(i%6)*30+4, float32(i/6)*36+4
		boxes = append(boxes, diffusioninst.Box{X1: x, Y1: y, X2: x + 22, Y2: y + 26})
	}
	var batch []data.Sample
	for range pictures {
		batch = append(batch, picture("bench", 192, 192, 1, boxes...))
	}
	for b.Loop() {
		_, err := trainer.Step(context.Background(), batch)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(pictures*b.N)/b.Elapsed().Seconds(), "pictures/s")
}

// BenchmarkMatrixProduct is 2·10⁹ operations. OpenBLAS chooses its kernels by the
// processor's model and takes slow ones for a model that it does not know: Debian 12's
// (0.3.21) is 1.7 times as fast on Zen 5 with OPENBLAS_CORETYPE=SKYLAKEX.
func BenchmarkMatrixProduct(b *testing.B) {
	require.NoError(b, torch.Do(context.Background(), func(s *torch.Scope) error {
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 1000, 1000)
		for b.Loop() {
			mark := s.Mark()
			x.Matmul(x)
			s.Release(mark)
		}
		return nil
	}))
}
