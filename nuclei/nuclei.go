package nuclei

import (
	"context"
	_ "embed"
	"io"
	"strings"

	"github.com/diffusioninst/go/diffusioninst"
)

//go:embed nuclei.safetensors
var weights string

// Load returns the model, which the caller closes. If o.Config is nil, which is best, it
// has the configuration that it was trained with. Errors are those of
// [diffusioninst.LoadFrom].
func Load(ctx context.Context, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
	r := Checkpoint()
	return diffusioninst.LoadFrom(ctx, r, r.Size(), o)
}

// Checkpoint returns the model's safetensors file, to inspect it or to continue training.
// Its metadata holds the configuration, the data and their licence, the command that
// trained it, and the accuracy.
func Checkpoint() *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(weights), 0, int64(len(weights)))
}
