package train

import (
	"bytes"
	"context"
	"encoding"
	"errors"
	"fmt"
	"slices"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Resume takes over what Save wrote, in a trainer of the same configuration and
// recipe, and returns the note. On the CPU the run continues bit-identically to one
// that was not interrupted.
//
// Errors are a *StateError. Its cause is ErrCorrupt for a file that is cut off or
// damaged, and one *nn.LoadError for the state of another model or recipe, which
// names every tensor that does not fit. After an error the trainer is as it was before.
//
// With Options.Processes rank 0 reads the file and gives it to the others, however many there
// were when it was written.
func (t *Trainer) Resume(ctx context.Context, path string) (note []byte, err error) {
	if err := t.made(); err != nil {
		return nil, &StateError{path, err}
	}
	if t.peers != nil {
		return t.resumeTogether(ctx, path)
	}
	return t.resume(ctx, path)
}

func (t *Trainer) resume(ctx context.Context, path string) (note []byte, err error) {
	fail := func(err error) ([]byte, error) { return nil, &StateError{path, err} }
	file, err := checkpoint.Open(path)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	m, text, err := readMemory(file)
	if err != nil {
		return fail(err)
	}
	if !slices.Equal(m.Classes, t.config.Classes) {
		return fail(fmt.Errorf("it is of the classes %q, the trainer of %q", m.Classes, t.config.Classes))
	}
	err = torch.Do(ctx, func(s *torch.Scope) error {
		values, err := t.stage(ctx, s, file, newChecksum(text))
		if err != nil {
			return err
		}
		if err := t.setRandom(m); err != nil {
			return err
		}
		return t.restore(s, values, m)
	})
	if err != nil {
		return fail(err)
	}
	return m.Note, nil
}

// stage reads a file's tensors to the CPU, after it has made sure that they are the
// trainer's, and checks the file's checksum.
func (t *Trainer) stage(ctx context.Context, s *torch.Scope, file *checkpoint.File, sum checksum) (map[string]*torch.Tensor, error) {
	want := map[string]*torch.Tensor{}
	var problem nn.LoadError
	for _, p := range t.tensors() {
		want[p.Name] = p.Tensor
		switch have, ok := file.Tensor(p.Name); {
		case !ok:
			problem.Missing = append(problem.Missing, p.Name)
		case !slices.Equal(checkpoint.Ints(have.Shape), p.Tensor.Shape()):
			problem.Mismatched = append(problem.Mismatched, nn.Mismatch{Name: p.Name, Want: p.Tensor.Shape(), Have: checkpoint.Ints(have.Shape)})
		case have.DType != fileTypes[p.Tensor.DType()]:
			problem.Broken = append(problem.Broken, fmt.Errorf("%s: the trainer wants %v, the file has %v", p.Name, p.Tensor.DType(), have.DType))
		}
	}
	for _, have := range file.Tensors {
		if want[have.Name] == nil && have.Name != checksumName {
			problem.Unexpected = append(problem.Unexpected, have.Name)
		}
	}
	if len(problem.Missing)+len(problem.Unexpected)+len(problem.Mismatched)+len(problem.Broken) > 0 {
		return nil, &problem
	}
	values := map[string]*torch.Tensor{}
	var stored []byte
	for _, have := range file.Tensors {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data := make([]byte, have.Elements()*int64(have.DType.Size()))
		if err := have.ReadInto(data); err != nil {
			return nil, err
		}
		if have.Name == checksumName {
			stored = data
			continue
		}
		sum.tensor(have.Name, have.DType, have.Shape, data)
		values[have.Name] = s.FromBytes(data, want[have.Name].DType(), torch.CPU, checkpoint.Ints(have.Shape)...)
	}
	if !bytes.Equal(stored, sum.sum()) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrCorrupt)
	}
	return values, nil
}

// setRandom continues the random numbers, all or none.
func (t *Trainer) setRandom(m memory) error {
	depth, ok := t.network.Backbone.(backbone.Stochastic)
	if !ok {
		return t.setDraws(m.Draws)
	}
	before := depth.RandomState()
	if err := depth.SetRandomState(m.Depth); err != nil {
		return err
	}
	if err := t.setDraws(m.Draws); err != nil {
		return errors.Join(err, depth.SetRandomState(before))
	}
	return nil
}

func (t *Trainer) setDraws(state []byte) error {
	d, ok := t.options.Draws.(encoding.BinaryUnmarshaler)
	switch {
	case !ok && state == nil:
		return nil
	case !ok:
		return fmt.Errorf("it has a state of draws, which %T does not take", t.options.Draws)
	case state == nil:
		return fmt.Errorf("it has no state of draws for %T", t.options.Draws)
	}
	return d.UnmarshalBinary(state)
}

// restore takes over what stage has read.
func (t *Trainer) restore(s *torch.Scope, values map[string]*torch.Tensor, m memory) error {
	if err := t.optimizer.Restore(staged{values, optimizerPrefix}); err != nil {
		return err
	}
	if t.scale != nil && m.Scale != nil {
		*t.scale = *m.Scale
	}
	if t.average != nil {
		if err := t.average.Restore(staged{values, averagePrefix}); err != nil {
			return err
		}
		t.average.Updates = m.Updates
	}
	for _, p := range t.store.Parameters() {
		mark := s.Mark()
		s.Adopt(p.Tensor).Detach().CopyInPlace(values[modelPrefix+p.Name])
		s.Release(mark)
	}
	for _, n := range t.store.Norms() {
		n.Batches = m.Batches[n.Name]
	}
	t.steps, t.samples = m.Step, m.Samples
	return nil
}

// staged is an nn.Source of tensors under names with a prefix.
type staged struct {
	values map[string]*torch.Tensor
	prefix string
}

func (v staged) Parameter(s *torch.Scope, name string, _ []int, _ nn.Init) (*torch.Tensor, error) {
	if found := v.values[v.prefix+name]; found != nil {
		return s.Adopt(found), nil
	}
	return nil, nil
}

func (staged) Names() []string { return nil }
