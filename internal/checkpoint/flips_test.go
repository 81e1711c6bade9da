package checkpoint

import (
	"testing"

	"github.com/diffusioninst/go/internal/fliptest"
)

func TestDamagedCheckpoints(t *testing.T) {
	fliptest.Run(t, 10_000, fuzzRead, "testdata/*.pth", "testdata/*.pkl", "../golden/testdata/*/*.safetensors")
}
