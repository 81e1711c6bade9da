package main

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandTexts is what help and completion say of the commands that need LibTorch, so that a
// program without it answers for them, and in milliseconds. TestCommandTexts compares it with the
// commands.
//
//go:generate go test . -run ^TestCommandTexts$ -update
//go:embed commands.json
var commandTexts []byte

// A commandText describes a command that needs LibTorch.
type commandText struct {
	Use, Short    string
	Long, Example string `json:",omitempty"`
	Flags         []flagText
}

type flagText struct {
	Name, Shorthand      string `json:",omitempty"`
	Type, Usage          string
	Default, NoOptDefVal string   `json:",omitempty"`
	Required             bool     `json:",omitempty"`
	Values               []string `json:",omitempty"` // for a shell, if only the command knows them
}

// needLibTorch are the commands that a program built without cgo lacks. It lists them all the
// same: its companion has them, or else they would look misspelt.
func needLibTorch() (out []commandText) {
	if err := json.Unmarshal(commandTexts, &out); err != nil {
		panic(err) // the file is part of the program
	}
	return out
}

// newStubs returns commands with the help and the flags of those that need LibTorch. To run them
// is an error that says what is missing. If missing is false, the companion runs them.
func newStubs(missing bool) []*cobra.Command {
	note := ""
	if missing {
		note = " (not in this build: needs LibTorch)"
	}
	var out []*cobra.Command
	for _, c := range needLibTorch() {
		cmd := &cobra.Command{Use: c.Use, Short: c.Short + note, Long: c.Long, Example: c.Example, Annotations: map[string]string{started: "yes"}}
		why := fmt.Errorf("this diffusioninst was built without LibTorch (CGO_ENABLED=0), which %s needs: "+
			"build it with CGO_ENABLED=1; diffusioninst doctor says what that takes", cmd.Name())
		if missing && c.Long != "" {
			cmd.Long += "\n\nBut " + why.Error() + "."
		}
		// Before flags are checked: none is right or wrong here.
		cmd.SetFlagErrorFunc(func(*cobra.Command, error) error { return why })
		cmd.PreRunE = func(*cobra.Command, []string) error { return why }
		cmd.RunE = cmd.PreRunE
		for _, f := range c.Flags {
			f.add(cmd)
		}
		out = append(out, cmd)
	}
	return out
}

// add gives a command the flag, which looks as the real one does in help and to a shell.
func (f flagText) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	switch f.Type { // of pflag, which knows the zeros of its own types
	case "bool":
		flags.BoolP(f.Name, f.Shorthand, false, f.Usage)
	case "int":
		flags.IntP(f.Name, f.Shorthand, 0, f.Usage)
	case "duration":
		flags.DurationP(f.Name, f.Shorthand, 0, f.Usage)
	case "stringSlice":
		flags.StringSliceP(f.Name, f.Shorthand, nil, f.Usage)
	case "intSlice":
		flags.IntSliceP(f.Name, f.Shorthand, nil, f.Usage)
	case "stringArray":
		flags.StringArrayP(f.Name, f.Shorthand, nil, f.Usage)
	default:
		flags.VarP(&textValue{kind: f.Type}, f.Name, f.Shorthand, f.Usage)
	}
	flag := flags.Lookup(f.Name)
	flag.DefValue, flag.NoOptDefVal = f.Default, f.NoOptDefVal
	if f.Values != nil {
		completeValues(cmd, flag, fixed(f.Values...))
	}
	if f.Required {
		_ = cmd.MarkFlagRequired(f.Name)
	}
}

// textValue is the value of a flag of any type.
type textValue struct{ kind, text string }

func (v *textValue) String() string     { return v.text }
func (v *textValue) Set(s string) error { v.text = s; return nil }
func (v *textValue) Type() string       { return v.kind }

var _ pflag.Value = (*textValue)(nil)
