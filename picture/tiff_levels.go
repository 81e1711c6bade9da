package picture

import (
	"fmt"

	"github.com/diffusioninst/go/internal/tiff"
)

// level returns a page, or its n-th smaller copy: of those that its tag SubIFDs lists, as in
// OME-TIFF, or of the pages behind it that say that they are smaller copies.
func (t *tiffFile) level(page, n int) (*tiff.Page, error) {
	if n == 0 {
		return t.Page(page)
	}
	if p, err := t.Level(page, n); p != nil || err != nil {
		return p, err
	}
	if at := page + n; at < t.Len() {
		smaller := true
		for i := page + 1; i <= at; i++ {
			smaller = smaller && t.Reduced(i)
		}
		if smaller {
			return t.Page(at)
		}
	}
	return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no level %d of this page; smaller copies that do not say that they are ones are pages: choose one with Options.Page", n)}
}
