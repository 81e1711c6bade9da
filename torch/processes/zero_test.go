package processes_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/torch/processes"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(processes.Group), new(processes.LostError), new(processes.Plan), new(processes.Store), processes.FromEnvironment,
		processes.Join,
	)
}
