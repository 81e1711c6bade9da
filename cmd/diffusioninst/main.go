// Command diffusioninst segments pictures, inspects checkpoints and data sets, and
// evaluates results. Built with CGO_ENABLED=0 it has the commands that need no
// LibTorch, among them env and doctor, which help to find one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// modelCommands are those that need LibTorch; empty without cgo.
var modelCommands []func() *cobra.Command

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "diffusioninst",
		Short:         "Instance segmentation as a noise-to-filter diffusion process",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, command := range modelCommands {
		root.AddCommand(command())
	}
	root.AddCommand(newInfoCommand(), newEvalCommand(), newDataCommand(), newConvertCommand(), newDoctorCommand(), newEnvCommand())
	return root
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
