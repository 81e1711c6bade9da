package processes

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/diffusioninst/go/internal/processes"
	"github.com/diffusioninst/go/torch"
)

// libraryVariable names the file of NCCL's library. An empty value means that there is none.
const libraryVariable = "DIFFUSIONINST_NCCL"

// A device is what connects a GPU of this process with the others' GPUs.
type device struct {
	of            torch.Device
	comm          *processes.Communicator // nil without NCCL
	stop, stopped chan struct{}
	broken        chan error // gets why the group gives up

	mu     sync.Mutex
	since  time.Time // when what may be in progress began; zero if nothing is
	failed error     // why the communicator was aborted
}

// card is what a process says of its GPU.
type card struct {
	Missing, Error string
	Version        int
	GPU            string
	ID             []byte // of the communicator, from rank 0
}

// OpenDevice connects the GPUs of all processes over NCCL, for SumDevice, and returns whether they are. They are
// not where the library is missing, which the default logger of log/slog says on rank 0, or where two processes use one
// GPU. A library that is too old, and one that does not connect before the timeout, is an error in all processes. With a
// device that is already open it returns the same again.
//
// The library is libnccl.so.2, or the file that DIFFUSIONINST_NCCL names; with an empty one NCCL is not used.
func (g *Group) OpenDevice(ctx context.Context, of torch.Device) (bool, error) {
	if g == nil {
		return false, errNoGroup
	}
	if !of.IsCUDA() {
		return false, fmt.Errorf("processes: %v is not a GPU", of)
	}
	if g.device != nil {
		if g.device.of != of {
			return false, fmt.Errorf("processes: this process uses %v already, and now %v", g.device.of, of)
		}
		return g.device.comm != nil, nil
	}
	mine := describe(of, g.plan.Rank)
	text, err := json.Marshal(mine)
	if err != nil {
		return false, err
	}
	said, err := g.Gather(ctx, text)
	if err != nil {
		return false, err
	}
	cards := make([]card, len(said))
	for r, text := range said {
		if err := json.Unmarshal(text, &cards[r]); err != nil {
			return false, fmt.Errorf("processes: rank %d says %q", r, text)
		}
	}
	d := &device{of: of, stop: make(chan struct{}), stopped: make(chan struct{}), broken: make(chan error, 1)}
	why, err := usable(cards)
	if err != nil {
		return false, fmt.Errorf("processes: %w", err)
	}
	if why != "" {
		if g.plan.Rank == 0 {
			slog.Warn("processes: gradients go through the host's memory (gloo): " + why)
		}
		g.device = d
		return false, nil
	}
	if d.comm, err = g.connectDevice(ctx, of, cards[0].ID); err != nil {
		return false, g.fail("connect "+of.String()+" over NCCL", err)
	}
	g.device = d
	go g.watchDevice(d)
	return true, nil
}

// describe finds out what this process says of its GPU.
func describe(of torch.Device, rank int) card {
	name, set := os.LookupEnv(libraryVariable)
	if set && name == "" {
		return card{Missing: libraryVariable + " is empty"}
	}
	// From 2.22 on NCCL connects in the first sum, which then waits for the other processes inside of the host's call.
	if _, set := os.LookupEnv("NCCL_RUNTIME_CONNECT"); !set {
		_ = os.Setenv("NCCL_RUNTIME_CONNECT", "0")
	}
	version, err := processes.LoadNCCL(name)
	if errors.Is(err, processes.ErrNoNCCL) {
		return card{Missing: strings.ReplaceAll(err.Error(), "\n", ": ")}
	}
	c := card{Version: version}
	var gpu []byte
	if err == nil {
		gpu, err = processes.GPU(of.Index())
	}
	c.GPU = hex.EncodeToString(gpu)
	if err == nil && rank == 0 {
		c.ID, err = processes.NewNCCLID()
	}
	if err != nil {
		c.Error = err.Error()
	}
	return c
}

// usable returns why NCCL is not to be used, if so, or the error of a process.
func usable(cards []card) (why string, err error) {
	owners := map[string]int{}
	for r, c := range cards {
		if c.Error != "" {
			return "", fmt.Errorf("rank %d: %s", r, c.Error)
		}
		if c.Missing != "" && why == "" {
			why = fmt.Sprintf("rank %d: %s", r, c.Missing)
		}
		if first, shared := owners[c.GPU]; shared && c.GPU != "" && why == "" {
			why = fmt.Sprintf("ranks %d and %d use one GPU", first, r)
		}
		owners[c.GPU] = r
		if c.Missing == "" && cards[0].Missing == "" && c.Version/100 != cards[0].Version/100 {
			err = errors.Join(err, fmt.Errorf("rank %d has NCCL %d, rank 0 %d", r, c.Version, cards[0].Version))
		}
	}
	return why, err
}

// connectDevice joins the communicator. What takes longer than the timeout is left alone.
func (g *Group) connectDevice(ctx context.Context, of torch.Device, id []byte) (*processes.Communicator, error) {
	type opened struct {
		comm *processes.Communicator
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		comm, err := processes.OpenCommunicator(of.Index(), id, g.plan.Rank, g.plan.Size)
		done <- opened{comm, err}
	}()
	var late <-chan time.Time
	if g.timeout > 0 {
		late = time.After(g.timeout)
	}
	select {
	case o := <-done:
		return o.comm, o.err
	case <-g.down:
		return nil, errFailedElsewhere
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late:
		return nil, fmt.Errorf("not all processes are connected after %v", g.timeout)
	}
}

// watchDevice aborts the communicator when something has gone wrong in it, when another process has failed, or when
// something takes longer than the timeout: its kernels would otherwise wait for ever, and with them everything on the GPU.
func (g *Group) watchDevice(d *device) {
	defer close(d.stopped)
	tick := time.NewTicker(slice / 2)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-d.stop:
			return
		case <-g.down:
			err = errFailedElsewhere
		case err = <-d.broken:
		case <-tick.C:
			if err = d.comm.Err(); err == nil {
				err = d.late(g.timeout)
			}
		}
		if err != nil {
			d.mu.Lock()
			d.failed = err
			d.mu.Unlock()
			_ = d.comm.Abort()
			return
		}
	}
}

func (d *device) late(timeout time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if timeout > 0 && !d.since.IsZero() && time.Since(d.since) > timeout {
		return fmt.Errorf("no end after %v", timeout)
	}
	return nil
}

// begin notes that something is in progress.
func (d *device) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since.IsZero() {
		d.since = time.Now()
	}
	return d.failed
}

// end notes that nothing is in progress any more, unless the communicator has failed.
func (d *device) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = time.Time{}
	return d.failed
}

// SumDevice enqueues, in the bucket's stream, that its values (float32, float64 or int64) are replaced by their sums
// over all processes, bit-identical on all. All enqueue the same buckets in the same order; AwaitDevice waits for them. The
// device must have been opened by OpenDevice.
func (g *Group) SumDevice(b torch.Bucket) error {
	if err := g.usable(); err != nil {
		return err
	}
	number := scalarType(b.DType)
	switch {
	case g.device == nil || g.device.comm == nil || g.device.of != b.Device:
		return fmt.Errorf("processes: the GPUs are not connected from %v", b.Device)
	case number == 0:
		return fmt.Errorf("processes: sum of %v: want float32, float64 or int64", b.DType)
	}
	err := g.device.begin()
	if err == nil {
		err = g.device.comm.Sum(b.Address, b.Elements, number, b.Stream)
	}
	if err != nil {
		return g.failDevice(err)
	}
	return nil
}

// failDevice gives up what is enqueued, and is fail.
func (g *Group) failDevice(cause error) error {
	d := g.device
	select {
	case d.broken <- cause:
	default:
	}
	err := g.fail("sum on "+d.of.String(), cause)
	select {
	case <-d.stopped:
	case <-time.After(slice): // an abort may itself wait
	}
	return err
}

// AwaitDevice waits until done says that all sums have been made. Where one fails, or takes longer than the timeout,
// nothing is in progress on the GPU any more when it returns.
func (g *Group) AwaitDevice(ctx context.Context, done func() bool) error {
	if err := g.usable(); err != nil {
		return err
	}
	if g.device == nil || g.device.comm == nil {
		return errors.New("processes: no GPUs are connected")
	}
	d := g.device
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		over := done()
		err := d.begin() // the watchdog's, whose abort ends everything
		if err == nil && over {
			err = errors.Join(d.comm.Err(), d.end())
		}
		if err == nil && !over {
			err = ctx.Err()
		}
		if err != nil {
			return g.failDevice(err)
		}
		if over {
			return nil
		}
		time.Sleep(pause)
	}
}

// close ends the communicator, in which nothing is in progress. NCCL may wait in it for the other processes, which may have been lost:
// what takes longer than a time is left to the end of the process.
func (d *device) close(limit time.Duration) {
	if d == nil || d.comm == nil {
		return
	}
	close(d.stop)
	<-d.stopped
	if d.end() == nil {
		_ = within(limit, d.comm.Close)
	}
}
