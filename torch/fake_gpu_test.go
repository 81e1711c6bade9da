package torch_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/fakecuda"
)

// What tests of this package do on a GPU they also do on a fake one.
func TestOnAFakeGPU(t *testing.T) {
	if fakecuda.Inside() {
		t.Skip("is on one")
	}
	fakecuda.Run(t, fakecuda.Build(t), "^(TestBatchNormTrainingOfAGroupOnAGPU|TestBuckets|TestDownload|TestEvents|TestNMSRows)$")
}
