package processes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/diffusioninst/go/internal/processes"
)

// ErrUnavailable says that the program was built without gloo's headers.
var ErrUnavailable = errors.New("this program was built without gloo, over which processes meet: install its headers (Debian: apt-get install libgloo-dev) and build with go build -a, since Go does not notice new headers")

// DefaultTimeout is how long the others are waited for.
const DefaultTimeout = 10 * time.Minute

// Options are the settings of Join.
type Options struct {
	// Timeout is how long a process waits for the others: to meet them, and in each operation. It is
	// DefaultTimeout by default.
	Timeout time.Duration
}

// slice is how long a wait may take before it looks at what else happened.
const slice = 500 * time.Millisecond

// hello is what a process says when it comes.
type hello struct {
	Size    int
	Address string
	Host    string // of the store, to tell ranks of other runs
}

// Join meets the others of a plan. It returns when all are there and connected, or, after the timeout, an
// error that names the ranks that are not. A plan that is Alone gives a group of one, which meets nobody.
func Join(ctx context.Context, p Plan, o Options) (*Group, error) {
	if p.Alone() {
		return &Group{plan: Plan{Size: 1, LocalSize: 1}}, nil
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("processes: a timeout of %v", o.Timeout)
	}
	if !processes.Available() {
		return nil, fmt.Errorf("processes: %w", ErrUnavailable)
	}
	// gloo's threads write to connections that another process has closed, which would end this one without a word.
	signal.Ignore(syscall.SIGPIPE)
	g := &Group{plan: p, timeout: cmp.Or(o.Timeout, DefaultTimeout), stop: make(chan struct{}), stopped: make(chan struct{}), down: make(chan struct{})}
	if err := g.join(ctx); err != nil {
		g.leave()
		return nil, fmt.Errorf("processes: rank %d of %d: %w", p.Rank, p.Size, err)
	}
	return g, nil
}

// key returns a name in the store that is of this run alone.
func (g *Group) key(name string, of ...any) string {
	return fmt.Sprint("diffusioninst/", g.plan.Run, "/", name, fmt.Sprint(of...))
}

func (g *Group) join(ctx context.Context) error {
	end := time.Now().Add(g.timeout)
	if err := g.connect(ctx, end); err != nil {
		return err
	}
	own, err := ownAddress(g.plan.address())
	for err != nil && time.Now().Before(end) && ctx.Err() == nil { // a name may be known only seconds after a machine's start
		time.Sleep(slice)
		own, err = ownAddress(g.plan.address())
	}
	if err != nil {
		return fmt.Errorf("the address that faces the store at %s: %w", g.plan.address(), err)
	}
	all, err := g.checkIn(ctx, end, own.String())
	if err != nil {
		return err
	}
	if own, err = outward(own, all); err != nil {
		return fmt.Errorf("an address that the others reach: %w", err)
	}
	go g.watch()
	g.watched = true
	if err := g.open(ctx, end, own.String()); err != nil {
		return g.fail("connect from "+own.String(), err)
	}
	first, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return g.Barrier(first)
}

// open connects all processes. What takes longer than until end is left alone.
func (g *Group) open(ctx context.Context, end time.Time, address string) error {
	type opened struct {
		group *processes.Group
		err   error
	}
	done := make(chan opened, 1)
	go func() {
		group, err := processes.OpenGroup(g.store, g.key("gloo"), address, g.plan.Rank, g.plan.Size, g.timeout)
		done <- opened{group, err}
	}()
	select {
	case o := <-done:
		if o.err == nil {
			g.group = o.group
		}
		return o.err
	case <-g.down:
		return errFailedElsewhere
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(end)):
		return fmt.Errorf("not all processes are connected after %v", g.timeout)
	}
}

// connect opens two connections to the store: one waits at times, the other must not.
func (g *Group) connect(ctx context.Context, end time.Time) error {
	open := func(listen bool) (*processes.Store, error) {
		host := g.plan.Host
		if g.plan.listens() {
			host = "localhost" // its own name may not be known yet
		}
		for {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			left := time.Until(end)
			s, port, err := processes.OpenStore(host, g.plan.Port, listen, min(max(left, time.Millisecond), 4*slice))
			if err == nil {
				s.SetTimeout(g.timeout)
			}
			switch {
			case err == nil:
				g.plan.Port = port
				return s, nil
			case listen:
				return nil, fmt.Errorf("open the store at %s: %w", g.plan.address(), err)
			case left <= 4*slice:
				return nil, fmt.Errorf("after %v nobody keeps the store at %s, where rank 0 or its launcher should be: %w", g.timeout, g.plan.address(), firstLine(err))
			}
		}
	}
	var err error
	if g.store, err = open(g.plan.listens()); err == nil {
		g.control, err = open(false)
	}
	return err
}

// checkIn tells the others of this process and waits for all. It returns their addresses.
func (g *Group) checkIn(ctx context.Context, end time.Time, address string) ([]string, error) {
	me := hello{g.plan.Size, address, g.plan.Host}
	text, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	left := func() time.Duration { return max(time.Until(end), slice) }
	if n, err := g.add(left(), g.key("number", g.plan.Rank), 1); err != nil || n != 1 {
		if err != nil {
			return nil, g.lostStore(err)
		}
		return nil, fmt.Errorf("another process is rank %d at the store %s too", g.plan.Rank, g.plan.address())
	}
	if err := g.set(left(), g.key("hello", g.plan.Rank), text); err != nil {
		return nil, g.lostStore(err)
	}
	addresses := make([]string, g.plan.Size)
	pause := 2 * time.Millisecond
	for {
		var missing []int
		for r := range addresses {
			if addresses[r] != "" {
				continue
			}
			text, err := g.get(left(), g.key("hello", r))
			if err != nil {
				return nil, g.lostStore(err)
			}
			if text == nil {
				missing = append(missing, r)
				continue
			}
			var other hello
			if err := json.Unmarshal(text, &other); err != nil {
				return nil, fmt.Errorf("rank %d says %q", r, text)
			}
			if other.Size != me.Size {
				return nil, fmt.Errorf("rank %d at %s is one of %d processes", r, other.Address, other.Size)
			}
			addresses[r] = other.Address
		}
		if len(missing) == 0 {
			return addresses, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("after %v %s not come to the store at %s", g.timeout, ranks(missing, "has", "have"), g.plan.address())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, slice/2)
		}
	}
}

// ranks names ranks in a sentence, with the verb for one or several.
func ranks(list []int, one, several string) string {
	if len(list) == 1 {
		return fmt.Sprintf("rank %d %s", list[0], one)
	}
	var text []string
	for i, r := range list {
		if i == 8 {
			text = append(text, "…")
			break
		}
		text = append(text, fmt.Sprint(r))
	}
	return fmt.Sprintf("ranks %s %s", strings.Join(text, ", "), several)
}

// firstLine cuts an error's text, which of c10d goes on with hints for others.
func firstLine(err error) error {
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return errors.New(text)
}
