package decoder_test

import (
	"testing"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(decoder.Config), new(decoder.Decoder), decoder.New, decoder.NotFinite,
	)
}
