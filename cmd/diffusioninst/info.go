package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/checkpoint"
)

// tensorInfo is a tensor as info prints it.
type tensorInfo struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape"`
}

// checkpointInfo is what info prints of a checkpoint.
type checkpointInfo struct {
	Path       string            `json:"path"`
	Format     string            `json:"format"`
	Tensors    int               `json:"tensors"`
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	List       []tensorInfo      `json:"list,omitempty"`
}

func newInfoCommand() *cobra.Command {
	var asJSON, list bool
	var weights string
	c := &cobra.Command{
		Use:   "info CHECKPOINT",
		Short: "Show what is in a checkpoint: .pth, .pkl or safetensors, or built in",
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n > 1 || (n == 1) == (weights != "") {
				return errors.New("one checkpoint is wanted")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			info, groups, err := inspect(append(args, weights)[0], list)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(info)
			}
			return info.write(cmd.OutOrStdout(), groups)
		},
	}
	if known := builtinNames(); len(known) > 0 {
		c.Long = c.Short + ".\n\nBuilt in: " + strings.Join(known, ", ") + "."
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&list, "list", false, "list every tensor")
	c.Flags().StringVar(&weights, "weights", "", "the checkpoint, as other commands take it")
	return c
}

// write prints a table: what the file is, what it says of itself, how many parameters
// the groups have.
func (info *checkpointInfo) write(out io.Writer, groups map[string]int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\nformat\t%s\ntensors\t%d\nparameters\t%.2f M\nsize\t%.1f MB\n",
		info.Path, info.Format, info.Tensors, float64(info.Parameters)/1e6, float64(info.Bytes)/1e6)
	for _, key := range sortedKeys(info.Metadata) {
		switch key {
		case checkpoint.ConfigKey:
			fmt.Fprintf(w, "configuration\tin the file; --json shows it\n")
		case checkpoint.StateKey:
			fmt.Fprintf(w, "state\tof a training run, which train --resume continues\n")
		default:
			fmt.Fprintf(w, "%s\t%s\n", key, info.Metadata[key])
		}
	}
	for _, key := range sortedKeys(groups) {
		fmt.Fprintf(w, "%s.*\t%.2f M\n", key, float64(groups[key])/1e6)
	}
	for _, t := range info.List {
		fmt.Fprintf(w, "%s\t%s%v\n", t.Name, t.DType, t.Shape)
	}
	return w.Flush()
}

// inspect reads a checkpoint's directory; groups counts parameters by the first
// two parts of their names.
func inspect(path string, list bool) (*checkpointInfo, map[string]int64, error) {
	file, err := openCheckpoint(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info := &checkpointInfo{Path: path, Format: file.Format.String(), Tensors: len(file.Tensors), Metadata: file.Metadata}
	groups := map[string]int64{}
	for _, t := range file.Tensors {
		info.Parameters += t.Elements()
		info.Bytes += t.Elements() * int64(t.DType.Size())
		parts := strings.SplitN(t.Name, ".", 3)
		if len(parts) > 1 {
			groups[strings.Join(parts[:min(2, len(parts)-1)], ".")] += t.Elements()
		}
		if list {
			info.List = append(info.List, tensorInfo{t.Name, t.DType.String(), t.Shape})
		}
	}
	return info, groups, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
