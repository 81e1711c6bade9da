package pipeline

import (
	"testing"

	"github.com/diffusioninst/go/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
