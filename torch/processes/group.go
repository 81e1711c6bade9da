package processes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/diffusioninst/go/internal/processes"
	"github.com/diffusioninst/go/torch"
)

// A Group is a process and the others that it has joined. All members call the same methods in the same
// order. One goroutine at a time may use it. After an error of a method, which is a *[LostError]
// if the others are not reached, all later ones fail.
type Group struct {
	plan    Plan
	timeout time.Duration

	store, control *processes.Store
	group          *processes.Group
	device         *device // nil before OpenDevice

	silent        atomic.Bool // a call of control goes on in the background
	watched       bool        // watch has begun
	stop, stopped chan struct{}
	once          sync.Once
	down          chan struct{} // closed when another has failed
	broken        error         // of an earlier operation
	told          bool          // by Fail
	closed        bool
}

// Rank returns the number of this process, from 0.
func (g *Group) Rank() int { return g.plan.Rank }

// Size returns the number of processes.
func (g *Group) Size() int { return g.plan.Size }

// Plan returns the plan that was joined.
func (g *Group) Plan() Plan { return g.plan }

// operation starts an operation, and wait ends it.
func (g *Group) operation(name string, start func() (*processes.Work, error)) (wait func(context.Context) error) {
	err := g.usable()
	if err == nil {
		select {
		case <-g.down:
			err = g.fail(name, errFailedElsewhere)
		default:
		}
	}
	if err != nil {
		return func(context.Context) error { return err }
	}
	w, err := start()
	if err != nil {
		err = g.fail(name, err)
		return func(context.Context) error { return err }
	}
	return func(ctx context.Context) error { return g.wait(ctx, name, w) }
}

var errNoGroup = errors.New("processes: the Group is nil")

var errFailedElsewhere = errors.New("another process has failed")

func (g *Group) usable() error {
	switch {
	case g == nil:
		return errNoGroup
	case g.closed:
		return errors.New("processes: the group is closed")
	case g.broken != nil:
		return g.broken
	}
	return nil
}

// wait waits for an operation, and looks at the others and at ctx meanwhile. The memory of one that
// does not end stays in use.
func (g *Group) wait(ctx context.Context, name string, w *processes.Work) error {
	if g.broken != nil {
		w.Abandon()
		return g.broken // by another of several in progress
	}
	for {
		over, err := w.Wait(slice)
		if over {
			w.Free()
		}
		if err != nil {
			return g.fail(name, firstLine(err))
		}
		if over {
			return nil
		}
		select {
		case <-g.down:
			w.Abandon()
			return g.fail(name, errFailedElsewhere)
		default:
		}
		if err := ctx.Err(); err != nil {
			w.Abandon()
			return g.fail(name, err)
		}
	}
}

// scalarType returns a type's number in at::ScalarType, 0 for a type that is not added up.
func scalarType(t torch.DType) int {
	return map[torch.DType]int{torch.Float32: 6, torch.Float64: 7, torch.Int64: 4}[t]
}

// Sum starts to replace data, the bytes of elements of a type (float32, float64 or int64), by their sums over all
// processes, which are bit-identical on all. wait ends it; data must be left alone until then.
// Several may be in progress.
func (g *Group) Sum(dtype torch.DType, data []byte) (wait func(ctx context.Context) error) {
	number := scalarType(dtype)
	switch {
	case number == 0 || len(data)%dtype.Size() != 0:
		return func(context.Context) error {
			return fmt.Errorf("processes: sum of %d bytes of %v: want whole elements of float32, float64 or int64", len(data), dtype)
		}
	case g.plan.Alone() || len(data) == 0:
		return func(context.Context) error { return nil }
	}
	return g.operation("sum", func() (*processes.Work, error) { return g.group.Sum(data, dtype.Size(), number) })
}

// Broadcast replaces data by that of process root. All pass equally many bytes.
func (g *Group) Broadcast(ctx context.Context, root int, data []byte) error {
	if g == nil {
		return errNoGroup
	}
	if root < 0 || root >= g.plan.Size {
		return fmt.Errorf("processes: broadcast from rank %d of %d", root, g.plan.Size)
	}
	if g.plan.Alone() || len(data) == 0 {
		return nil
	}
	return g.operation("broadcast", func() (*processes.Work, error) { return g.group.Broadcast(data, root) })(ctx)
}

// inline is how many bytes of a message go with its length.
const inline = 1<<10 - 8

// Gather returns what each process passes, by rank. The messages may differ in length.
func (g *Group) Gather(ctx context.Context, mine []byte) ([][]byte, error) {
	if g == nil {
		return nil, errNoGroup
	}
	if g.plan.Alone() {
		return [][]byte{mine}, nil
	}
	head := make([]byte, 8+inline)
	binary.LittleEndian.PutUint64(head, uint64(len(mine)))
	copy(head[8:], mine)
	heads, err := g.allGather(ctx, head)
	if err != nil {
		return nil, err
	}
	most := 0
	out := make([][]byte, g.plan.Size)
	for r, h := range heads {
		n := int(binary.LittleEndian.Uint64(h))
		most = max(most, n)
		out[r] = h[8 : 8+min(n, inline)]
	}
	if most <= inline {
		return out, nil
	}
	rest := make([]byte, most-inline)
	copy(rest, mine[min(len(mine), inline):])
	tails, err := g.allGather(ctx, rest)
	if err != nil {
		return nil, err
	}
	for r, h := range heads {
		n := int(binary.LittleEndian.Uint64(h))
		out[r] = append(out[r][:len(out[r]):len(out[r])], tails[r][:max(n-inline, 0)]...)
	}
	return out, nil
}

// allGather is Gather of equally long messages.
func (g *Group) allGather(ctx context.Context, mine []byte) ([][]byte, error) {
	all := make([]byte, len(mine)*g.plan.Size)
	err := g.operation("gather", func() (*processes.Work, error) { return g.group.AllGather(mine, all) })(ctx)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, g.plan.Size)
	for r := range out {
		out[r] = all[r*len(mine) : (r+1)*len(mine)]
	}
	return out, nil
}

// Barrier returns when all processes have called it.
func (g *Group) Barrier(ctx context.Context) error {
	if g == nil {
		return errNoGroup
	}
	if g.plan.Alone() {
		return nil
	}
	_, err := g.allGather(ctx, make([]byte, 8))
	return err
}
