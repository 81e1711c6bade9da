//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

var checkpointWriters = map[string]func(io.Writer, []checkpoint.Source, map[string]string) error{
	".safetensors": checkpoint.WriteSafetensors, ".pth": checkpoint.WritePyTorch,
}

// checkRewritten returns an error for a checkpoint that cannot be written.
func checkRewritten(out string) error {
	if checkpointWriters[filepath.Ext(out)] == nil {
		return fmt.Errorf("--out %s: the name must end in .safetensors or .pth", out)
	}
	return atomicfile.CheckOutput(out)
}

// checkNotes returns an error for values of --note that are none.
func checkNotes(notes []string) error {
	for _, note := range notes {
		if key, _, ok := strings.Cut(note, "="); !ok || key == "" || key == checkpoint.ConfigKey {
			return fmt.Errorf("--note %s: want KEY=VALUE, with a key other than %s", note, checkpoint.ConfigKey)
		}
	}
	return nil
}

// A rewriting is a checkpoint to write anew, and how.
type rewriting struct {
	weights, out string
	ema          emaFlag
	half         bool
	notes        []string
	outdated     string // key of a note of the checkpoint that is not true any more; may be empty
}

// rewrite writes the checkpoint with a configuration, and returns what to say of the file.
func (r rewriting) rewrite(ctx context.Context, c diffusioninst.Config) (said string, err error) {
	file, err := openCheckpoint(r.weights)
	if err != nil {
		return "", err
	}
	defer file.Close()
	weights, err := file.Weights(checkpoint.Average(r.ema.EMAChoice), c.Averaged)
	if err != nil {
		return "", err
	}
	metadata, err := r.metadata(weights, c)
	if err != nil {
		return "", err
	}
	var sources []checkpoint.Source
	for _, t := range weights.Tensors {
		if r.half && len(t.Shape) > 1 && slices.Contains(wide, t.DType) {
			sources = append(sources, halved(ctx, t))
		} else {
			sources = append(sources, t.Source())
		}
	}
	write := checkpointWriters[filepath.Ext(r.out)]
	if err := atomicfile.Output(ctx, r.out, func(w io.Writer) error { return write(cancelWriter{ctx, w}, sources, metadata) }); err != nil {
		return "", err
	}
	info, err := os.Stat(r.out)
	if err != nil {
		return "", err
	}
	said = fmt.Sprintf("%s: %d tensors, %.1f MB", r.out, len(sources), float64(info.Size())/1e6)
	if weights.Metadata[r.outdated] != "" && metadata[r.outdated] == "" {
		said += fmt.Sprintf("; without the note %s, which is about the settings before", r.outdated)
	}
	return said, nil
}

// metadata returns the checkpoint's metadata with the notes and a configuration.
func (r rewriting) metadata(file *checkpoint.File, c diffusioninst.Config) (map[string]string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(file.Metadata)
	if out == nil {
		out = map[string]string{}
	}
	delete(out, r.outdated)
	for _, note := range r.notes {
		key, value, _ := strings.Cut(note, "=")
		out[key] = value
	}
	out[checkpoint.ConfigKey] = string(text)
	return out, nil
}

// wide are the types that --half replaces.
var wide = []checkpoint.DType{checkpoint.Float64, checkpoint.Float32, checkpoint.BFloat16}

// halved returns a source of a tensor's values in float16. Writing it fails for values
// beyond float16's range.
func halved(ctx context.Context, t *checkpoint.Tensor) checkpoint.Source {
	return checkpoint.Source{Name: t.Name, DType: checkpoint.Float16, Shape: slices.Clone(t.Shape), WriteTo: func(w io.Writer) error {
		values, err := t.Float32s()
		if err != nil {
			return err
		}
		var data []byte
		err = torch.Do(ctx, func(s *torch.Scope) error {
			x := torch.From(s, values, len(values)).ToDType(torch.Float16)
			if x.ToDType(torch.Float32).IsFinite().All().Item() == 0 {
				return fmt.Errorf("as float16 it %w", nn.ErrNotFinite)
			}
			data = x.Bytes()
			return nil
		})
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}}
}
