//go:build cgo

package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write commands.json anew")

// What a program without LibTorch says of the commands that need it is what they say themselves.
func TestCommandTexts(t *testing.T) {
	var commands []*cobra.Command
	for _, command := range modelCommands {
		commands = append(commands, command())
	}
	slices.SortFunc(commands, func(a, b *cobra.Command) int { return cmp.Compare(a.Name(), b.Name()) })
	if *update {
		var texts []commandText
		for _, c := range commands {
			texts = append(texts, textOf(c))
		}
		file, err := os.Create("commands.json")
		require.NoError(t, err)
		e := json.NewEncoder(file)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		require.NoError(t, e.Encode(texts))
		require.NoError(t, file.Close())
		return
	}
	stubs := newStubs(false)
	require.Len(t, stubs, len(commands))
	for i, c := range commands {
		const advice = "commands.json is not up to date: go generate ./cmd/diffusioninst"
		require.Equal(t, textOf(c), textOf(stubs[i]), advice)
		for _, cmd := range []*cobra.Command{c, stubs[i]} {
			root := &cobra.Command{Use: "diffusioninst"}
			root.AddCommand(cmd)
			completeFlags(root)
		}
		require.Equal(t, c.UsageString(), stubs[i].UsageString(), advice)
	}
}

func textOf(cmd *cobra.Command) commandText {
	c := commandText{Use: cmd.Use, Short: cmd.Short, Long: cmd.Long, Example: cmd.Example}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		text := flagText{
			Name: f.Name, Shorthand: f.Shorthand, Type: f.Value.Type(), Usage: f.Usage, Default: f.DefValue, NoOptDefVal: f.NoOptDefVal,
			Required: len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0,
		}
		if f.Name == "samplers" {
			text.Values = samplerNames
		}
		c.Flags = append(c.Flags, text)
	})
	return c
}

// Help fits a terminal of 100 columns, examples aside, and calls types by words.
func TestHelpIsReadable(t *testing.T) {
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		for line := range strings.Lines(c.Long) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 100, "%s: %s", c.CommandPath(), line)
		}
		require.NotRegexp(t, `(?m)\(default \[\]\)|^ +(-., )?--[a-z-]+ \w+Slice\b`, c.UsageString())
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRoot())
}
