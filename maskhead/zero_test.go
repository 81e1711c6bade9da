package maskhead_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/maskhead"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(maskhead.Branch), new(maskhead.Head), maskhead.NewBranch,
	)
}
