// Command lean is what scripts/with-libtorch needs of diffusioninst env --lean for the system's
// LibTorch. On a new machine it is compiled in a third of the whole program's time.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/diffusioninst/go/internal/libtorchenv"
)

func main() {
	in, err := libtorchenv.Inspect("/usr")
	var flags libtorchenv.LeanFlags
	if err == nil {
		flags, err = in.Lean(context.Background(), os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(flags.Export())
}
