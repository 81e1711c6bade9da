package nn

import (
	"errors"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/torch"
)

// EMA is an exponential moving average of a store's parameters and of its
// floating-point statistics; whole-numbered buffers are taken as they are. It must be
// used inside torch.Do, outside of torch.WithGrad.
type EMA struct {
	Decay float64 // share of the average that stays at an update, such as 0.999
	// Warmup uses (1+n)/(10+n) at the n-th update while that is less than Decay, so
	// that a short run's average is not dominated by its start.
	Warmup  bool
	Updates int64

	of, average []*Parameter
}

// NewEMA returns an average that starts at the store's values.
func NewEMA(store *Store, decay float64) *EMA {
	s := torch.NewScope()
	defer s.Close()
	e := &EMA{Decay: decay}
	for _, p := range store.Parameters() {
		e.of = append(e.of, p)
		e.average = append(e.average, &Parameter{Name: p.Name, Tensor: s.Adopt(p.Tensor).Detach().Clone().Keep(), Buffer: p.Buffer})
	}
	return e
}

// Update moves the average towards the store's values: a ← d·a + (1−d)·θ.
func (e *EMA) Update() {
	decay := e.Decay
	if e.Warmup {
		decay = min(decay, float64(1+e.Updates)/float64(10+e.Updates))
	}
	e.Updates++
	var averages, values []*torch.Tensor
	for i, p := range e.of {
		if floating(p.Tensor.DType()) {
			averages, values = append(averages, e.average[i].Tensor), append(values, p.Tensor)
		} else {
			e.average[i].Tensor.CopyInPlace(p.Tensor)
		}
	}
	torch.LerpAll(averages, values, 1-decay)
}

func floating(d torch.DType) bool {
	switch d {
	case torch.Float16, torch.BFloat16, torch.Float32, torch.Float64:
		return true
	}
	return false
}

// Swap exchanges the average with the store's values: once before an evaluation,
// once after it.
func (e *EMA) Swap() {
	s := torch.NewScope()
	defer s.Close()
	for i, p := range e.of {
		mark := s.Mark()
		value := s.Adopt(p.Tensor).Detach()
		before := value.Clone()
		value.CopyInPlace(e.average[i].Tensor)
		e.average[i].Tensor.CopyInPlace(before)
		s.Release(mark)
	}
}

// Parameters returns the averages, named as in the store. They belong to e.
func (e *EMA) Parameters() []*Parameter { return e.average }

// Restore takes the averages from a source, by the parameters' names. Everything
// that the source lacks or has in another shape is reported in one *LoadError.
func (e *EMA) Restore(source Source) error {
	if e == nil || nilcheck.Is(source) {
		return errors.New("nn: averages are restored without an EMA or a source")
	}
	s := torch.NewScope()
	defer s.Close()
	found, err := take(s, source, e.average)
	if err != nil {
		return err
	}
	for i, p := range e.average {
		p.Tensor.CopyInPlace(found[i])
	}
	return nil
}

// Close frees the averages.
func (e *EMA) Close() {
	if e == nil {
		return
	}
	for _, p := range e.average {
		p.Tensor.Close()
	}
}
