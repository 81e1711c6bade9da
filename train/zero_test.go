package train_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/train"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(train.LimitError), new(train.OutOfMemoryError), new(train.Pretrained), new(train.ProcessError),
		new(train.Random), new(train.Recipe), new(train.Run), new(train.StateError), new(train.Trainer), train.LoadRecipe,
		train.New, train.NewPretrained, train.NewRecipe, train.OpenPretrained, train.ReadPretrained,
	)
}
