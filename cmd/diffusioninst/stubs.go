package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// A libTorchCommand is a command that needs LibTorch.
type libTorchCommand struct{ name, short string }

// needLibTorch are the commands that a program built without cgo lacks. It lists them all the
// same: its companion has them, or nobody shall take them for misspelt.
var needLibTorch = []libTorchCommand{
	{"bench", "Time a model on this machine"},
	{"export", "Rewrite a checkpoint: another format, smaller, with its configuration inside"},
	{"segment", "Find the instances in pictures"},
	{"serve", "Answer HTTP requests with what a model finds in pictures"},
	{"sweep", "Compare samplers, steps and proposals on a data set"},
	{"test", "Run a model over a data set and print its average precision"},
	{"train", "Train a model on a data set, or continue a training run"},
}

// newStubs returns commands that only say what they would need. If missing is false, the
// companion has them, and they are only listed.
func newStubs(missing bool) []*cobra.Command {
	note := ""
	if missing {
		note = " (not in this build: needs LibTorch)"
	}
	var out []*cobra.Command
	for _, c := range needLibTorch {
		out = append(out, &cobra.Command{
			Use:                c.name,
			Short:              c.short + note,
			DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				why := fmt.Sprintf("this diffusioninst was built without LibTorch (CGO_ENABLED=0), which %s needs: "+
					"build it with CGO_ENABLED=1; diffusioninst doctor says what that takes", c.name)
				if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), c.short+"; "+why)
					return err
				}
				return errors.New(why)
			},
		})
	}
	return out
}
