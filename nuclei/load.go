//go:build cgo

package nuclei

import (
	"context"

	"github.com/diffusioninst/go/diffusioninst"
)

// Load returns the model, which the caller closes. If o.Config is nil, which is best, it
// has the configuration that it was trained with. Errors are as with
// [diffusioninst.LoadFrom].
func Load(ctx context.Context, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
	r := Checkpoint()
	return diffusioninst.LoadFrom(ctx, r, r.Size(), o)
}
