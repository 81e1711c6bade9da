package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/checkpoint"
)

// A tensorInfo describes a tensor of a checkpoint.
type tensorInfo struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape"`
}

// A checkpointInfo is what info prints about a checkpoint.
type checkpointInfo struct {
	Path       string            `json:"path"`
	Format     string            `json:"format"`
	Tensors    int               `json:"tensors"`
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	Weights    []weightsInfo     `json:"weights,omitempty"` // sets of weights, the one that is taken first
	Model      *modelInfo        `json:"model,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	ReadOver   []string          `json:"read_over,omitempty"` // classes and functions of the pickle without a meaning here
	Problem    string            `json:"problem,omitempty"`   // why no set of weights is taken
	List       []tensorInfo      `json:"list,omitempty"`
}

// A weightsInfo describes a set of weights in a checkpoint.
type weightsInfo struct {
	Place    string `json:"place"` // in the file: keys, and what is before the names of tensors
	Averaged bool   `json:"averaged"`
	Tensors  int    `json:"tensors"`
	Unnamed  bool   `json:"unnamed,omitempty"` // a list without names, which cannot be taken
}

func newInfoCommand() *cobra.Command {
	var asJSON, list bool
	var weights string
	c := &cobra.Command{
		Use:   "info CHECKPOINT|DATASET",
		Short: "Show what is in a checkpoint or in a data set",
		Long: `Show what is in a checkpoint (.pth, .pkl, .safetensors): the model's classes,
proposals and input size, its training, and its parameters. A data set (.json) is shown
as data info shows it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n > 1 || (n == 1) == (weights != "") {
				return errors.New("info takes one checkpoint or data set, such as model.pth or builtin:nuclei")
			}
			return nil
		},
		ValidArgsFunction: completeWeights,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := append(args, weights)[0]
			if filepath.Ext(path) == ".json" && !strings.HasSuffix(path, ".index.json") { // that is a checkpoint's list of shards
				return runDataInfo(cmd, infoOptions{annotationFlags: annotationFlags{onError: "fail", crowd: "ignore"}, json: asJSON}, path)
			}
			type content struct {
				info   *checkpointInfo
				groups map[string]int64
			}
			found, err := await(cmd.Context(), func() (c content, err error) {
				c.info, c.groups, err = inspect(path, list)
				return c, err
			})
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(found.info)
			}
			return found.info.write(cmd.OutOrStdout(), found.groups)
		},
	}
	c.Long += "\n\nBuilt into this program: " + strings.Join(builtinNames(), ", ") + "."
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVar(&list, "list", false, "list every tensor of a checkpoint")
	c.Flags().StringVar(&weights, "weights", "", "the checkpoint, in place of the argument")
	return c
}

// write prints a table: what the file is, the model, its metadata and the number of
// parameters of each part.
func (info *checkpointInfo) write(out io.Writer, groups map[string]int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\nformat\t%s\ntensors\t%d\nparameters\t%.2f M\nsize\t%.1f MB\n",
		info.Path, info.Format, info.Tensors, float64(info.Parameters)/1e6, float64(info.Bytes)/1e6)
	info.writeWeights(w)
	if info.Model != nil {
		info.Model.write(w)
	}
	for _, key := range sortedKeys(info.Metadata) {
		switch key {
		case checkpoint.ConfigKey:
			fmt.Fprintf(w, "configuration\tin the file; --json shows all of it\n")
		case checkpoint.StateKey:
			fmt.Fprintf(w, "training state\tin the file; train --resume continues from it\n")
		default:
			fmt.Fprintf(w, "%s\t%s\n", key, info.Metadata[key])
		}
	}
	for _, key := range sortedKeys(groups) {
		fmt.Fprintf(w, "%s.*\t%.2f M\n", key, float64(groups[key])/1e6)
	}
	if len(info.ReadOver) > 0 {
		fmt.Fprintf(w, "read over\tobjects of %s: code beside the weights, which is not run\n", strings.Join(info.ReadOver, ", "))
	}
	for _, t := range info.List {
		fmt.Fprintf(w, "%s\t%s%v\n", t.Name, t.DType, t.Shape)
	}
	return w.Flush()
}

// inspect reads a checkpoint's directory. It counts parameters by the first two parts of
// their names.
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
	info.ReadOver = file.ReadOver
	weights, err := file.Weights(checkpoint.AverageAuto, false)
	var problem *checkpoint.FormatError
	switch {
	case errors.As(err, &problem):
		info.Problem = problem.Detail()
	case err != nil:
		return nil, nil, err
	default:
		file = weights
	}
	for _, s := range file.Sets() {
		info.Weights = append(info.Weights, weightsInfo{s.Name, s.Averaged, s.Tensors, s.Unnamed})
	}
	info.Model = describeModel(file)
	return info, groups, nil
}

// writeWeights adds a row for each set of weights, unless there is one without a name.
func (info *checkpointInfo) writeWeights(w io.Writer) {
	if info.Problem != "" {
		fmt.Fprintf(w, "weights\tnone is taken: %s\n", info.Problem)
	}
	if len(info.Weights) == 1 && info.Weights[0].Place == "" {
		return
	}
	for i, s := range info.Weights {
		text := place(s.Place) + ", " + counted(s.Tensors, "tensor")
		if s.Averaged {
			text += ", averaged"
		}
		switch taken := info.Weights[0]; {
		case s.Unnamed:
			text += ": a list without names, as torch_ema saves it, which cannot be taken"
		case i == 0 && len(info.Weights) > 1:
			text += ": taken by default"
		case i > 0 && s.Averaged && !taken.Averaged:
			text += ": taken with --ema on, or if --config enables MODEL_EMA"
		case i > 0 && !s.Averaged && taken.Averaged:
			text += ": taken with --ema off"
		}
		fmt.Fprintf(w, "weights\t%s\n", text)
	}
}

// place names the place of a set of weights in a checkpoint.
func place(name string) string {
	if name == "" {
		return "tensors without a prefix"
	}
	return name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
