package journal_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/train/journal"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(journal.Journal), journal.Open, journal.Read,
	)
}
