package train

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// ExportOptions are the settings of Export: which weights are written, and how.
type ExportOptions struct {
	// Half writes matrices and kernels, nearly all of a model, in float16. Biases, norms and
	// their statistics stay float32: those may lie beyond what float16 can hold.
	Half bool
	// Current writes the parameters as they are where there are averages, too.
	Current bool
}

// Export writes the model's averages or, without Options.EMA, its parameters to a file
// for inference, as safetensors or as PyTorch's .pth, by its name. The names are the
// official project's, whose code loads the .pth of a model without parts of this module's own, such as
// relative coordinates; diffusioninst.Load reads both, without
// a configuration: it is in the file, except for parts of the caller's own (see
// diffusioninst.Config.MarshalJSON). The file is replaced as a whole, as by Save.
func (t *Trainer) Export(ctx context.Context, path string, o ExportOptions) error {
	if err := t.made(); err != nil {
		return err
	}
	var sources []checkpoint.Source
	write := checkpoint.WriteSafetensors
	switch strings.ToLower(filepath.Ext(path)) {
	case ".safetensors":
	case ".pth":
		write = checkpoint.WritePyTorch
		sources = constants(t.config.Sampling.Schedule, t.store.Parameters())
	default:
		return fmt.Errorf("train: export to %s: the name must end in .safetensors or .pth", path)
	}
	config, err := json.Marshal(t.config)
	if err != nil {
		return fmt.Errorf("train: export to %s: %w", path, err)
	}
	sources = append(sources, t.exported(ctx, o)...)
	err = atomicfile.Write(path, func(w io.Writer) error {
		return write(w, sources, map[string]string{checkpoint.ConfigKey: string(config)})
	})
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// exported are the parameters and buffers under the official project's names.
func (t *Trainer) exported(ctx context.Context, o ExportOptions) []checkpoint.Source {
	batches := map[string]int64{}
	for _, n := range t.store.Norms() {
		if n.Kind == nn.BatchNorm {
			batches[n.Name] = n.Batches
		}
	}
	var out []checkpoint.Source
	for _, p := range t.weights(o.Current) {
		dtype := torch.Float32
		if o.Half && p.Tensor.Dim() > 1 {
			dtype = torch.Float16
		}
		out = append(out, converted(ctx, p, dtype))
		if norm, ok := strings.CutSuffix(p.Name, ".running_var"); ok {
			if n, ok := batches[norm]; ok {
				out = append(out, counter(norm+".num_batches_tracked", n))
			}
		}
	}
	return out
}

// converted is a parameter in a type that must be able to hold its values.
func converted(ctx context.Context, p *nn.Parameter, dtype torch.DType) checkpoint.Source {
	return checkpoint.Source{Name: p.Name, DType: fileTypes[dtype], Shape: checkpoint.Int64s(p.Tensor.Shape()), WriteTo: func(w io.Writer) error {
		var data []byte
		err := torch.Do(ctx, func(s *torch.Scope) error {
			values := s.Adopt(p.Tensor).Detach().ToDType(dtype)
			if values.ToDType(torch.Float32).IsFinite().All().Item() == 0 {
				return fmt.Errorf("as %v it %w", dtype, nn.ErrNotFinite)
			}
			data = values.Bytes()
			return nil
		})
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}}
}
