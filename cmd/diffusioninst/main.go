// Command diffusioninst segments pictures, trains and measures models, and looks into
// checkpoints and data sets. Built with CGO_ENABLED=0 it keeps the commands that need no
// LibTorch, among them env and doctor, which help to find one; the others are run by the
// companion that make build puts beside it, or say what they need.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// modelCommands make the commands that need LibTorch; empty in a program built without cgo.
var modelCommands []func() *cobra.Command

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "diffusioninst",
		Short:         "Instance segmentation as a noise-to-filter diffusion process",
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	for _, command := range modelCommands {
		root.AddCommand(command())
	}
	if len(modelCommands) == 0 {
		root.AddCommand(newStubs(companionPath() == "")...)
	}
	root.AddCommand(newInfoCommand(), newEvalCommand(), newDataCommand(), newConvertCommand(), newResultsCommand(), newDoctorCommand(), newEnvCommand())
	completeFlags(root)
	hideEmptyLists(root)
	noteStart(root)
	return root
}

// hideEmptyLists lets the help of all commands not print [] as the default of a list, which pflag does for some types.
func hideEmptyLists(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.DefValue == "[]" {
			f.DefValue = ""
		}
	})
	for _, sub := range c.Commands() {
		hideEmptyLists(sub)
	}
}

// started is the annotation of a command whose arguments were right, so that it ran.
const started = "started"

// noteStart makes all commands note that they run, and their errors name flags.
func noteStart(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			cmd.Annotations = map[string]string{started: "yes"}
			return inFlags(run(cmd, args))
		}
	}
	for _, sub := range c.Commands() {
		noteStart(sub)
	}
}

func main() { os.Exit(run()) }

// run returns the exit status: 0, 1 for an error, or 128 plus the number of the signal that
// stopped the command.
func run() int {
	if err := forward(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	ctx, release := withSignals(context.Background())
	defer release()
	cmd, err := newRoot().ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if by, ok := context.Cause(ctx).(signalError); ok {
		fmt.Fprintln(os.Stderr, visible(by.explain(err)))
		return by.status()
	}
	fmt.Fprintln(os.Stderr, "Error:", visible(err.Error()))
	if cmd.Annotations[started] == "" {
		fmt.Fprintf(os.Stderr, "%s --help says what it takes\n", cmd.CommandPath())
	}
	return 1
}
