package nuclei

import (
	_ "embed"
	"io"
	"strings"
)

//go:embed nuclei.safetensors
var weights string

// Checkpoint returns the model's safetensors file, to inspect it or to continue training.
// Its metadata holds the configuration, the data and their licence, the command that
// trained it, and the accuracy.
func Checkpoint() *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(weights), 0, int64(len(weights)))
}
