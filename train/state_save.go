package train

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Save writes all that Resume needs to go on as if nothing had happened, to a
// safetensors file: the parameters and batch norms' statistics, the optimiser's memory,
// the averages, the number of steps, the states of the backbone's random numbers and of
// Options.Draws (if they are an encoding.BinaryMarshaler, as Random is; others are the
// caller's to continue), and a note of the caller's, such as the position in the data.
// diffusioninst.Load reads the model in it, of the averages if there are any.
//
// The file is replaced as a whole, unless ctx ends before: whenever the program or the
// machine stops, it is the old one or the new one. On an error, such as a full disk, it is
// the old one, or none; the error names the file.
func (t *Trainer) Save(ctx context.Context, path string, note []byte) error {
	if err := t.made(); err != nil {
		return err
	}
	config, err := json.Marshal(t.config)
	if err != nil {
		return fmt.Errorf("train: writing %s: %w", path, err)
	}
	var text []byte
	var list []*nn.Parameter
	err = torch.Do(ctx, func(*torch.Scope) error {
		m, err := t.memory()
		if err != nil {
			return err
		}
		m.Note = note
		list = t.tensors()
		text, err = json.Marshal(m)
		return err
	})
	if err != nil {
		return fmt.Errorf("train: writing %s: %w", path, err)
	}
	sum := newChecksum(string(text))
	var sources []checkpoint.Source
	for _, p := range list {
		sources = append(sources, source(ctx, p, func(data []byte, s checkpoint.Source) { sum.tensor(s.Name, s.DType, s.Shape, data) }))
	}
	sources = append(sources, checkpoint.Source{Name: checksumName, DType: checkpoint.Uint8, Shape: []int64{4}, WriteTo: func(w io.Writer) error {
		_, err := w.Write(sum.sum())
		return err
	}})
	err = atomicfile.Write(path, func(w io.Writer) error {
		return checkpoint.WriteSafetensors(w, sources, map[string]string{checkpoint.StateKey: string(text), checkpoint.ConfigKey: string(config)})
	})
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// source writes a tensor, which is copied off its device when its turn comes, and
// shows the bytes to seen.
func source(ctx context.Context, p *nn.Parameter, seen func(data []byte, s checkpoint.Source)) checkpoint.Source {
	s := checkpoint.Source{Name: p.Name, DType: fileTypes[p.Tensor.DType()], Shape: checkpoint.Int64s(p.Tensor.Shape())}
	s.WriteTo = func(w io.Writer) error {
		var data []byte
		err := torch.Do(ctx, func(s *torch.Scope) error {
			data = s.Adopt(p.Tensor).Detach().Bytes()
			return nil
		})
		if err != nil {
			return err
		}
		seen(data, s)
		_, err = w.Write(data)
		return err
	}
	return s
}
