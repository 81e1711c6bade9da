package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/libtorchenv"
)

// liveCheck runs tensor operations and says on what. It is nil in a program built without cgo.
var liveCheck func() (string, error)

// speedCheck compares products with what the processor can do. It is nil in a program built without cgo.
var speedCheck func(context.Context) libtorchenv.Check

// processesCheck measures how several processes reach each other; it is nil in a program built without cgo.
// others reports whether this process has nothing else to say.
var processesCheck func(cmd *cobra.Command, n int) (c libtorchenv.Check, others bool, err error)

var errUnfit = errors.New("something is missing: see the lines that begin with \"missing\"")

// A diagnosis is what doctor prints.
type diagnosis struct {
	OK       bool                      `json:"ok"`
	Checks   []libtorchenv.Check       `json:"checks"`
	LibTorch *libtorchenv.Installation `json:"libtorch"` // null if none is found
}

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	var processes int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine: what is there, what is missing, how to fix it",
		Long: `Doctor checks what the module needs to be built and run: Go, a C++20 compiler,
LibTorch and its flags, a fast BLAS, processor, memory and GPU. It times a convolution and
matrix products, and compares them with what the processor can do at best. Lines begin with ok,
warning (it works, but slowly or in part) or missing (without it nothing works); the
exit status is 1 if something is missing.

With --processes it also checks how the processes of train meet, and how fast their
messages are: under torchrun, srun or mpirun those that were started, otherwise 2
(or as many as --processes=N says) on this machine.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.Flags().Changed("processes") {
				return fmt.Errorf("write --processes=%s", args[0])
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			var more []libtorchenv.Check
			if cmd.Flags().Changed("processes") {
				if processesCheck == nil {
					return errors.New("--processes: this program was built without LibTorch (CGO_ENABLED=0)")
				}
				c, others, err := processesCheck(cmd, processes)
				if others || err != nil {
					return err
				}
				more = append(more, c)
			}
			d, err := await(cmd.Context(), func() (diagnosis, error) {
				checks, in := libtorchenv.Diagnose(cmd.Context(), libtorchenv.FromEnvironment())
				works := live(liveCheck)
				checks = append(checks, works)
				if works.State == libtorchenv.OK && speedCheck != nil {
					checks = append(checks, speedCheck(cmd.Context()))
				}
				return diagnosis{OK: true, Checks: append(checks, more...), LibTorch: in}, cmd.Context().Err()
			})
			if err != nil {
				return err
			}
			for _, c := range d.Checks {
				d.OK = d.OK && c.State != libtorchenv.Missing
			}
			write := writeDiagnosis
			if asJSON {
				write = writeDiagnosisJSON
			}
			if err := write(cmd.OutOrStdout(), d); err != nil {
				return err
			}
			if !d.OK {
				return errUnfit
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&processes, "processes", 0, "check also how this many processes of train reach each other")
	cmd.Flags().Lookup("processes").NoOptDefVal = "2"
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// live returns the outcome of liveCheck.
func live(check func() (string, error)) libtorchenv.Check {
	c := libtorchenv.Check{Name: "this program", State: libtorchenv.OK}
	if check == nil {
		c.State = libtorchenv.Warning
		c.Detail = "built without LibTorch (CGO_ENABLED=0): it cannot segment or train"
		c.Fix = "CGO_ENABLED=1 go install ./cmd/diffusioninst"
		return c
	}
	var err error
	if c.Detail, err = check(); err != nil {
		c.State = libtorchenv.Missing
		c.Detail = "LibTorch does not work: " + err.Error()
		c.Fix = `eval "$(diffusioninst env)", then build it again`
	}
	return c
}

func writeDiagnosis(w io.Writer, d diagnosis) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range d.Checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.State, c.Name, c.Detail)
		if c.Fix != "" {
			fmt.Fprintf(table, "\t\tfix: %s\n", c.Fix)
		}
	}
	return table.Flush()
}

func writeDiagnosisJSON(w io.Writer, d diagnosis) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}
