package diffusioninst

import (
	"testing"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/torch"
)

// TestMain gives an operator one thread: the models are tiny, and other packages' tests run beside.
func TestMain(m *testing.M) {
	torch.SetThreads(1)
	leak.Main(m)
}
