package train

import (
	"fmt"
	"os"
	"testing"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/torch"
)

// asRank turns the test program into a process that trains with others and writes what it learns into
// the folder that the variable names.
const asRank = "DIFFUSIONINST_TEST_TRAIN_RANK"

var learnAsRank func(folder string) error // in tests of processes

func TestMain(m *testing.M) {
	if folder := os.Getenv(asRank); folder != "" {
		if err := learnAsRank(folder); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	torch.SetThreads(1) // the models are tiny, and other packages' tests run beside
	leak.Main(m)
}
