package train

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A state file is a safetensors file. Its tensors are the model's parameters and buffers
// ("model." before their names), the optimiser's ("optimizer."), the averages
// ("average.") and, as the last one, "checksum": the CRC-32C of everything before. Its
// metadata has, under checkpoint.StateKey, a memory in JSON and, under
// checkpoint.ConfigKey, the model's configuration.
const (
	// Since version 2 draws depend on the number of the sample, Samples; version 1 has the state of a generator.
	stateVersion = 2
	checksumName = "checksum"
)

// ErrCorrupt is the cause of a *StateError about a file that is cut off or damaged.
var ErrCorrupt = checkpoint.ErrCorrupt

// A StateError says which file could not be resumed from, and why.
type StateError struct {
	Path string
	Err  error
}

func (e *StateError) Error() string { return fmt.Sprintf("train: state %s: %v", e.Path, e.Err) }

func (e *StateError) Unwrap() error { return e.Err }

// memory is what a trainer remembers beside tensors.
type memory struct {
	Version int              `json:"version"`
	Step    int              `json:"step"`
	Samples int64            `json:"samples,omitempty"` // that were trained on, of all processes
	Classes []string         `json:"classes"`
	Note    []byte           `json:"note,omitempty"`
	Draws   []byte           `json:"draws,omitempty"` // state of the generator
	Depth   []byte           `json:"depth,omitempty"` // state of stochastic depth
	Updates int64            `json:"updates"`         // of the averages
	Scale   *lossScale       `json:"scale,omitempty"` // of the losses in float16
	Batches map[string]int64 `json:"batches"`         // that the batch norms have seen
}

// memory gathers what the trainer remembers. It must be called inside torch.Do.
func (t *Trainer) memory() (memory, error) {
	m := memory{Version: stateVersion, Step: t.steps, Samples: t.samples, Classes: t.config.Classes, Batches: map[string]int64{}}
	if d, ok := t.options.Draws.(encoding.BinaryMarshaler); ok {
		var err error
		if m.Draws, err = d.MarshalBinary(); err != nil {
			return m, fmt.Errorf("the state of the draws: %w", err)
		}
	}
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		m.Depth = b.RandomState()
	}
	if d, ok := t.options.Draws.(*numbered); ok && d.sequential {
		m.Version = 1
	}
	if t.scale != nil {
		scale := *t.scale
		m.Scale = &scale
	}
	if t.average != nil {
		m.Updates = t.average.Updates
	}
	for _, n := range t.store.Norms() {
		if n.Kind == nn.BatchNorm {
			m.Batches[n.Name] = n.Batches
		}
	}
	return m, nil
}

// Prefixes of names in a state file.
const (
	modelPrefix     = checkpoint.ModelPart
	optimizerPrefix = "optimizer."
	averagePrefix   = checkpoint.AveragePart
)

// tensors lists all tensors of the trainer under their names in a file. It must be
// called inside torch.Do; the tensors belong to the trainer.
func (t *Trainer) tensors() []*nn.Parameter {
	var out []*nn.Parameter
	add := func(prefix string, list []*nn.Parameter) {
		for _, p := range list {
			out = append(out, &nn.Parameter{Name: prefix + p.Name, Tensor: p.Tensor, Buffer: p.Buffer})
		}
	}
	add(modelPrefix, t.store.Parameters())
	add(optimizerPrefix, t.optimizer.State())
	if t.average != nil {
		add(averagePrefix, t.average.Parameters())
	}
	return out
}

// fileTypes are element types as files have them.
var fileTypes = map[torch.DType]checkpoint.DType{
	torch.Float64: checkpoint.Float64, torch.Float32: checkpoint.Float32, torch.Float16: checkpoint.Float16,
	torch.BFloat16: checkpoint.BFloat16, torch.Int64: checkpoint.Int64, torch.Int32: checkpoint.Int32,
	torch.Int16: checkpoint.Int16, torch.Int8: checkpoint.Int8, torch.Uint8: checkpoint.Uint8, torch.Bool: checkpoint.Bool,
}

// checksum adds up a state file in the order in which it is written.
type checksum struct{ hash.Hash32 }

func newChecksum(metadata string) checksum {
	c := checksum{crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	c.Write([]byte(metadata))
	return c
}

// tensor adds a tensor.
func (c checksum) tensor(name string, dtype checkpoint.DType, shape []int64, data []byte) {
	fmt.Fprintf(c, "\n%s %s %v\n", name, dtype, shape)
	c.Write(data)
}

// sum is the value of the tensor "checksum".
func (c checksum) sum() []byte { return binary.LittleEndian.AppendUint32(nil, c.Sum32()) }

// readMemory reads what is not a tensor, with its text for the checksum.
func readMemory(file *checkpoint.File) (memory, string, error) {
	var m memory
	text, ok := file.Metadata[checkpoint.StateKey]
	if !ok {
		return m, "", errors.New("it has weights at most, no state of a training run: start a new run from it")
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, "", fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if m.Version < 1 || m.Version > stateVersion {
		return m, "", fmt.Errorf("it is of version %d, this program reads versions 1 to %d", m.Version, stateVersion)
	}
	return m, text, nil
}

// Steps returns the number of steps that the run has made.
func (t *Trainer) Steps() int { return t.steps }
