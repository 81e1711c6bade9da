package train

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
)

// Draws are the random choices of a training step. A step asks for them in this
// order: for each picture its Time, the Noise of its proposals, and the Noise of its
// padding boxes or, if there are too many ground truths, a Subset of them, and with
// Options.OwnSteps up to three more of Time, with decoder.Config.SelfConditioning one more unless there is an own step, and
// with Config.FilterRange the Noise of the filters; then,
// with a federated loss, the Classes of the last stage and of the others from the first on.
type Draws interface {
	// Time is uniform over 0 … times−1.
	Time(times int) int
	// Noise is n values from N(0,1).
	Noise(n int) []float32
	// Subset is k of the numbers 0 … n−1, ascending, each set alike.
	Subset(n, k int) []int
	// Classes is up to n different indices of weights, drawn one after the other
	// with probabilities in proportion to the weights of those that are left. What has
	// no weight is never drawn.
	Classes(weights []float32, n int) []int
}

// A Random makes Draws from a seed, that of the zero Random being 0. One goroutine at a time may use it.
type Random struct {
	source *rand.PCG
	rand   *rand.Rand
}

// NewRandom returns the Draws of a seed.
func NewRandom(seed uint64) *Random {
	source := rand.NewPCG(seed, 0x9E3779B97F4A7C15)
	return &Random{source, rand.New(source)}
}

// numbers returns r's random numbers.
func (r *Random) numbers() *rand.Rand {
	if r.rand == nil {
		*r = *NewRandom(0)
	}
	return r.rand
}

var errNoRandom = errors.New("train: the Random is nil")

// MarshalBinary returns the generator's state, for a checkpoint.
func (r *Random) MarshalBinary() ([]byte, error) {
	if r == nil {
		return nil, errNoRandom
	}
	r.numbers()
	return r.source.MarshalBinary()
}

// UnmarshalBinary continues from a state that MarshalBinary gave.
func (r *Random) UnmarshalBinary(state []byte) error {
	if r == nil {
		return errNoRandom
	}
	r.numbers()
	return r.source.UnmarshalBinary(state)
}

// Time implements Draws.
func (r *Random) Time(times int) int { return r.numbers().IntN(times) }

// Noise implements Draws.
func (r *Random) Noise(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.numbers().NormFloat64())
	}
	return out
}

// Subset implements Draws.
func (r *Random) Subset(n, k int) []int {
	out := r.numbers().Perm(n)[:k]
	slices.Sort(out)
	return out
}

// Classes implements Draws. Drawing without replacement is taking the smallest of
// exponential variables whose rates are the weights (Efraimidis, Spirakis 2006).
func (r *Random) Classes(weights []float32, n int) []int {
	type class struct {
		index int
		key   float64
	}
	var all []class
	for i, w := range weights {
		if w > 0 {
			all = append(all, class{i, r.numbers().ExpFloat64() / float64(w)})
		}
	}
	slices.SortFunc(all, func(a, b class) int { return cmp.Compare(a.key, b.key) })
	out := make([]int, min(max(n, 0), len(all)))
	for i := range out {
		out[i] = all[i].index
	}
	return out
}

// numbered are the Draws of a seed whose numbers depend on what they are for alone, such as the
// sample's place in the run: not on who draws, nor on what was drawn before.
type numbered struct {
	*Random
	seed uint64
	// sequential draws go on from the state of a checkpoint of version 1, one after the other.
	sequential bool
}

func newNumbered(seed uint64) *numbered { return &numbered{Random: NewRandom(seed), seed: seed} }

// What numbers are drawn for.
const (
	drawSample  uint64 = iota + 1 // n is the sample's number in the run
	drawClasses                   // n is the number of the first sample of the batch
)

// drawFor makes the next draws those for n of a use. Draws of the caller's go on in sequence.
func (t *Trainer) drawFor(use uint64, n int64) {
	d, ok := t.options.Draws.(*numbered)
	if !ok || d.sequential {
		return
	}
	var key []byte
	for _, v := range []uint64{d.seed, use, uint64(n)} {
		key = binary.LittleEndian.AppendUint64(key, v)
	}
	sum := sha256.Sum256(key)
	d.source.Seed(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))
}

// numberedState begins the state of numbered draws in a checkpoint.
var numberedState = []byte("numbered:")

// MarshalBinary returns the seed or, of sequential draws, the generator's state.
func (d *numbered) MarshalBinary() ([]byte, error) {
	if d.sequential {
		return d.Random.MarshalBinary()
	}
	return binary.LittleEndian.AppendUint64(bytes.Clone(numberedState), d.seed), nil
}

// UnmarshalBinary continues from either.
func (d *numbered) UnmarshalBinary(state []byte) error {
	seed, ok := bytes.CutPrefix(state, numberedState)
	if ok && len(seed) == 8 {
		d.seed, d.sequential = binary.LittleEndian.Uint64(seed), false
		return nil
	}
	if err := d.Random.UnmarshalBinary(state); err != nil {
		return err
	}
	d.sequential = true
	return nil
}
