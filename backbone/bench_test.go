package backbone

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// BenchmarkForward times backbone and pyramid on a picture of 800×1216 pixels.
func BenchmarkForward(b *testing.B) {
	for _, c := range []struct {
		name  string
		build Builder
	}{
		{"Swin-T", SwinFPN{}},
		{"Swin-B-384", SwinFPN{Swin: Swin{Size: "B-22k-384"}}},
		{"ResNet-50", ResNetFPN{ResNet: ResNet{Depth: 50}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			modeltest.Do(b, func(s *torch.Scope) {
				store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
				defer store.Close()
				net, err := c.build.Build(store.Root())
				require.NoError(b, err)
				x := s.Randn(torch.NewGenerator(1), torch.Float32, 1, 3, 800, 1216)
				mark := s.Mark()
				for b.Loop() {
					net.Forward(x)
					s.Release(mark)
				}
			})
		})
	}
}
