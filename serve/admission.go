package serve

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"
)

// admission counts the requests that have a place and the memory that they hold.
type admission struct {
	places, perClient int
	limit             int64 // bytes

	lock    sync.Mutex
	inside  int
	held    int64
	clients map[string]*share // with a place
	pace    time.Duration     // from one result to the next, smoothed
	closed  bool
	idle    chan struct{} // closed by the last one of a closed admission
}

// A share is what the requests of one client take.
type share struct {
	places int
	held   int64
}

// A place is a request's.
type place struct {
	of     *admission
	client string
	share  *share
	held   int64
	kept   int64 // of it, until the request ends
}

// enter gives a client a place, or says why it gets none.
func (a *admission) enter(client string) (*place, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	switch {
	case a.closed:
		return nil, stopping()
	case a.inside >= a.places:
		return nil, a.busy("queue_full", "all %d places are taken", a.places)
	case a.clients[client] != nil && a.clients[client].places >= a.perClient:
		return nil, a.busy("client_queue_full", "this client has %d requests here already", a.perClient)
	}
	of := a.clients[client]
	if of == nil {
		of = &share{}
		a.clients[client] = of
	}
	a.inside++
	of.places++
	return &place{of: a, client: client, share: of}, nil
}

func stopping() *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: "stopping", Message: "the server is being stopped", RetryAfter: 1}
}

// busy is the answer to a request that may come again. The lock is held.
func (a *admission) busy(code, format string, args ...any) *Problem {
	p := problem(http.StatusTooManyRequests, code, format, args...)
	p.RetryAfter = min(max(int(math.Ceil(float64(a.inside)*a.pace.Seconds())), 1), 60)
	return p
}

// hold changes how much memory the request holds besides what it keeps, in bytes. It refuses more than
// there is, and more than the client's share of it to all but one of a client's requests.
func (p *place) hold(bytes int64) error {
	p.of.lock.Lock()
	defer p.of.lock.Unlock()
	return p.set(p.kept + bytes)
}

// keep changes how much memory the request keeps until its end, in bytes, whatever it holds besides.
func (p *place) keep(bytes int64) error {
	p.of.lock.Lock()
	defer p.of.lock.Unlock()
	err := p.set(p.held - p.kept + bytes)
	if err == nil {
		p.kept = bytes
	}
	return err
}

// more is hold for bytes that are added to what the request holds, or taken from it.
func (p *place) more(bytes int64) error {
	p.of.lock.Lock()
	defer p.of.lock.Unlock()
	return p.set(p.held + bytes)
}

// set changes what is held in all. The lock is held.
func (p *place) set(bytes int64) error {
	a := p.of
	more, others := bytes-p.held, p.share.held-p.held
	switch {
	case more <= 0:
	case bytes > a.limit:
		return problem(http.StatusRequestEntityTooLarge, "picture_too_large", "it needs about %d MB to be held, and the server has %d MB for all requests", bytes/1e6, a.limit/1e6)
	case more > a.limit-a.held:
		return a.busy("memory_full", "the pictures of other requests take the memory that is set aside for them")
	case others > 0 && float64(others)+float64(bytes) > float64(a.limit)/float64(a.places)*float64(a.perClient):
		return a.busy("memory_full", "the other pictures of this client take its share of the memory")
	}
	a.held += more
	p.share.held += more
	p.held = bytes
	return nil
}

// leave gives the place and its memory back.
func (p *place) leave() {
	a := p.of
	a.lock.Lock()
	defer a.lock.Unlock()
	a.inside--
	a.held -= p.held
	p.share.held -= p.held
	if p.share.places--; p.share.places == 0 {
		delete(a.clients, p.client)
	}
	if a.closed && a.inside == 0 {
		close(a.idle)
	}
}

// took notes how long a result has taken since the one before, while others waited.
func (a *admission) took(d time.Duration) {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.pace == 0 {
		a.pace = d
	}
	a.pace += (d - a.pace) / 8
}

// close refuses new requests and waits until none is inside. It may be called again.
func (a *admission) close(ctx context.Context) error {
	a.lock.Lock()
	if !a.closed {
		a.closed = true
		a.idle = make(chan struct{})
		if a.inside == 0 {
			close(a.idle)
		}
	}
	a.lock.Unlock()
	select {
	case <-a.idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-a.idle: // at the same time
		return nil
	default:
		return ctx.Err()
	}
}

// load returns how many requests have a place, and the memory that they hold in bytes.
func (a *admission) load() (inside int, held int64) {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.inside, a.held
}

// count returns how many requests have a place.
func (a *admission) count() int {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.inside
}

func (a *admission) isClosed() bool {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.closed
}
