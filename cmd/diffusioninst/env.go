package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/libtorchenv"
)

func newEnvCommand() *cobra.Command {
	var asJSON bool
	var lean string
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the cgo flags to build against the LibTorch on this machine",
		Long: `Env finds LibTorch and prints the variables that go build needs to use it, for a shell:

    eval "$(diffusioninst env)"

It takes the folder that $LIBTORCH names (an unzipped libtorch, or Python's torch
package); otherwise the torch package of the active virtual environment or of python3;
otherwise the system's. In a clone, before the program can be built, this prints the same:

    CGO_ENABLED=0 go run ./cmd/diffusioninst env

Debian 12's LibTorch lists OpenCV, FFmpeg and ZeroMQ without using them, and with them come
243 libraries: to load them takes a third of the time to the first result of a small
picture. With --lean, env makes a folder of libraries without symbols under the names of
those that no symbol is taken from, and prints a GOFLAGS that lets go build make programs
which look there first. The parentheses keep it from others:

    ( eval "$(diffusioninst env --lean lib)"; go build . )

Programs need the folder at its place: without it they load all libraries again. Nobody
else may write there. A program that uses one of them itself does not start, and says
which symbol is missing; build it without. An -ldflags of go build's own replaces that
of GOFLAGS.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := libtorchenv.FromEnvironment().Find(cmd.Context())
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			if err != nil {
				return fmt.Errorf("%w (diffusioninst doctor says what to install)", err)
			}
			cxxflags, ldflags, err := in.Flags().Environment()
			if err != nil {
				return err
			}
			var flags libtorchenv.LeanFlags
			if cmd.Flags().Changed("lean") {
				if flags, err = in.Lean(cmd.Context(), lean); err != nil {
					return fmt.Errorf("--lean: %w", err)
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					*libtorchenv.Installation
					CXXFlags string `json:"CGO_CXXFLAGS"`
					LDFlags  string `json:"CGO_LDFLAGS"`
					libtorchenv.LeanFlags
				}{in, cxxflags, ldflags, flags})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "# LibTorch %s in %s\n", in.Version, in.Root)
			_, err = fmt.Fprintf(out, "export CGO_CXXFLAGS=%s\nexport CGO_LDFLAGS=%s\n%s",
				libtorchenv.ShellQuote(cxxflags), libtorchenv.ShellQuote(ldflags), flags.Export())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: the LibTorch and the flags")
	cmd.Flags().StringVar(&lean, "lean", "", "`folder` to make for a faster start, without the libraries that LibTorch does not use")
	return cmd
}
