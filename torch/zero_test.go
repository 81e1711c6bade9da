package torch_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/torch"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(torch.AdamW), new(torch.BatchNormTraining), new(torch.BoxPrediction), new(torch.Buckets), new(torch.DType),
		new(torch.Device), new(torch.DeviceError), new(torch.Error), new(torch.Event), new(torch.Generator), new(torch.Graph),
		new(torch.LayerNormAround), new(torch.Scope), new(torch.StageLosses), new(torch.SyncGroup), new(torch.Team),
		new(torch.Tensor), torch.Do, torch.ParseDevice, torch.RecordGraph,
	)
}
