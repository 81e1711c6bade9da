package picture

import (
	"testing"

	"github.com/diffusioninst/go/internal/fliptest"
)

func TestDamagedPictures(t *testing.T) {
	fliptest.Run(t, 10_000, fuzzDecode, "testdata/*.*", "testdata/plain/*.*", "testdata/tiff/*.tif", "testdata/imagej/*.tif")
}
