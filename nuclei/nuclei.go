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

// Load makes the model. A nil o.Config, which is best, takes the configuration that it
// was trained with. The caller closes it. Errors are diffusioninst.LoadFrom's.
func Load(ctx context.Context, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
	r := Checkpoint()
	return diffusioninst.LoadFrom(ctx, r, r.Size(), o)
}

// Checkpoint is the model's safetensors file, to inspect it or to continue training.
// Its metadata holds the configuration and says what the data are, their license, the
// command of the training, and the accuracy.
func Checkpoint() *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(weights), 0, int64(len(weights)))
}
