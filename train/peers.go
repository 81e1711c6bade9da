package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Processes are processes that train one model together. All call the same methods in the same
// order, and an error of a method is the end of the run. Package torch/processes has one over gloo.
type Processes interface {
	// Rank is the number of this process, from 0, and Size that of all.
	Rank() int
	Size() int
	// Gather returns what each process passes, by rank.
	Gather(ctx context.Context, mine []byte) ([][]byte, error)
	// Sum starts to replace data, elements of a type, by the sums over all processes, bit-identical on
	// all. It is done when wait returns; several may be in progress.
	Sum(dtype torch.DType, data []byte) (wait func(ctx context.Context) error)
	// Broadcast replaces data by that of process root.
	Broadcast(ctx context.Context, root int, data []byte) error
}

// DeviceProcesses are Processes that add up gradients on GPUs, while the backward pass goes on.
type DeviceProcesses interface {
	Processes
	// OpenDevice connects the GPUs of all processes, and returns whether they are connected: where not, gradients go
	// through Sum.
	OpenDevice(ctx context.Context, device torch.Device) (bool, error)
	// SumDevice enqueues that a bucket is replaced by its sum over all processes, bit-identical on all.
	SumDevice(b torch.Bucket) error
	// AwaitDevice waits until done says that the sums have been made.
	AwaitDevice(ctx context.Context, done func() bool) error
}

// A ProcessError is the error of one of several processes, of which all return it. No parameter
// has changed.
type ProcessError struct {
	Rank int // of the process
	Err  error
}

func (e *ProcessError) Error() string {
	return fmt.Sprintf("train: rank %d: %s", e.Rank, strings.TrimPrefix(fmt.Sprint(e.Err), "train: "))
}

// Unwrap returns the error of the process. In others it has the same text, and wraps a *nn.NotFiniteError
// or the error of a context if it does in the process itself.
func (e *ProcessError) Unwrap() error { return e.Err }

// checkProcesses refuses what several processes cannot do.
func (o *Options) checkProcesses() error {
	if nilcheck.Is(o.Processes) {
		o.Processes = nil
	}
	if o.Processes == nil || o.Processes.Size() == 1 {
		o.Processes = nil
		return nil
	}
	switch {
	case o.Draws != nil:
		return fmt.Errorf("train: options: Draws of the caller's with %d processes: they would not depend on the sample alone", o.Processes.Size())
	case o.Replicas > 1:
		return fmt.Errorf("train: options: %d replicas in each of %d processes: start more processes instead", o.Replicas, o.Processes.Size())
	case o.Eager:
		return fmt.Errorf("train: options: eager with %d processes: want one process", o.Processes.Size())
	}
	return nil
}

// peers are the other processes in a step. Each message has a kind: norms exchange statistics in the
// middle of a pass, and processes without pictures answer them with the message they will go on with.
type peers struct {
	Processes
	err error // that ended the step
}

const (
	normMessage  = 'n'
	textMessage  = 'm'
	errorMessage = 'e'
)

// exchange sends a message and returns all, by rank. If one is an error, that of the lowest rank is
// everybody's.
func (p *peers) exchange(ctx context.Context, kind byte, payload []byte, own error) ([][]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	all, err := p.Gather(ctx, append([]byte{kind}, payload...))
	if err != nil {
		p.err = err
		return nil, err
	}
	for rank, m := range all {
		if len(m) == 0 {
			p.err = fmt.Errorf("train: rank %d is out of step", rank)
			return nil, p.err
		}
		if m[0] != errorMessage {
			continue
		}
		lost := own
		if rank != p.Rank() || own == nil {
			lost = readFailure(m[1:])
		}
		p.err = &ProcessError{rank, lost}
		return nil, p.err
	}
	return all, nil
}

// tell sends a message, or the error that this process has, and returns the messages of all by rank.
func tell[T any](ctx context.Context, p *peers, mine T, own error) ([]T, error) {
	kind, text := byte(textMessage), []byte(nil)
	if own == nil {
		text, own = json.Marshal(mine)
	}
	if own != nil {
		kind, text = errorMessage, writeFailure(own)
	}
	for {
		all, err := p.exchange(ctx, kind, text, own)
		if err != nil {
			return nil, err
		}
		out := make([]T, len(all))
		norms := false
		for rank, m := range all {
			if m[0] == normMessage {
				norms = true
				break
			}
			if err := json.Unmarshal(m[1:], &out[rank]); err != nil {
				p.err = fmt.Errorf("train: rank %d is out of step: %w", rank, err)
				return nil, p.err
			}
		}
		if !norms {
			return out, nil
		}
	}
}

// norm exchanges the sums of a batch norm among the processes that have pictures.
func (p *peers) norm(mine []float64) ([][]float64, error) {
	text := make([]byte, 0, 8*len(mine))
	for _, v := range mine {
		text = binary.LittleEndian.AppendUint64(text, math.Float64bits(v))
	}
	all, err := p.exchange(context.Background(), normMessage, text, nil)
	if err != nil {
		return nil, err
	}
	var out [][]float64
	for _, m := range all {
		if m[0] != normMessage {
			continue
		}
		values := make([]float64, len(m[1:])/8)
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(m[1+8*i:]))
		}
		out = append(out, values)
	}
	return out, nil
}

// failure is an error as it travels.
type failure struct {
	Text      string
	Cancelled bool
	NotFinite *notFiniteText `json:",omitempty"`
}

// notFiniteText is a nn.NotFiniteError in JSON, which has no NaN.
type notFiniteText struct {
	Where   string
	Stage   int
	Samples []string
	Value   string
}

func writeFailure(err error) []byte {
	f := failure{Text: strings.TrimPrefix(err.Error(), "train: "), Cancelled: errors.Is(err, context.Canceled)}
	if lost := (*nn.NotFiniteError)(nil); errors.As(err, &lost) {
		f.NotFinite = &notFiniteText{lost.Where, lost.Stage, lost.Samples, strconv.FormatFloat(lost.Value, 'g', -1, 64)}
	}
	text, _ := json.Marshal(f) // strings and numbers
	return text
}

// remoteError has the text of another process's error and what it wraps that callers ask for.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error { return e.err }

func readFailure(text []byte) error {
	var f failure
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("it has failed and says %q", text)
	}
	e := &remoteError{text: f.Text}
	if f.Cancelled {
		e.err = context.Canceled
	}
	if n := f.NotFinite; n != nil {
		value, _ := strconv.ParseFloat(n.Value, 64)
		e.err = &nn.NotFiniteError{Where: n.Where, Stage: n.Stage, Samples: n.Samples, Value: value}
	}
	return e
}

// caught runs f and returns a failed operator as an error, for the others to be told.
func caught(f func() error) (err error) {
	defer func() {
		r := recover()
		if e, ok := r.(*torch.Error); ok {
			err = e
		} else if r != nil {
			panic(r)
		}
	}()
	return f()
}
