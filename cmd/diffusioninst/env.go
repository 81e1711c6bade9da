package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/libtorchenv"
)

func newEnvCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the cgo flags to build against the LibTorch on this machine",
		Long: `Env finds LibTorch and prints the variables that go build needs to use it, for a shell:

    eval "$(diffusioninst env)"

It takes the folder that $LIBTORCH names (an unzipped libtorch, or Python's torch
package); otherwise the torch package of the active virtual environment or of python3;
otherwise the system's. In a clone, before the program can be built, this prints the same:

    CGO_ENABLED=0 go run ./cmd/diffusioninst env`,
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
			out := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					*libtorchenv.Installation
					CXXFlags string `json:"CGO_CXXFLAGS"`
					LDFlags  string `json:"CGO_LDFLAGS"`
				}{in, cxxflags, ldflags})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "# LibTorch %s in %s\n", in.Version, in.Root)
			_, err = fmt.Fprintf(out, "export CGO_CXXFLAGS=%s\nexport CGO_LDFLAGS=%s\n",
				libtorchenv.ShellQuote(cxxflags), libtorchenv.ShellQuote(ldflags))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: the LibTorch and the flags")
	return cmd
}
