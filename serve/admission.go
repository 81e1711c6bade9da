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
	clients map[string]int // with a place
	pace    time.Duration  // from one result to the next, smoothed
	closed  bool
	idle    chan struct{} // closed by the last one of a closed admission
}

// A place is a request's.
type place struct {
	of     *admission
	client string
	held   int64
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
	case a.clients[client] >= a.perClient:
		return nil, a.busy("client_queue_full", "this client has %d requests here already", a.perClient)
	}
	a.inside++
	a.clients[client]++
	return &place{of: a, client: client}, nil
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

// hold changes how much memory the request holds, in bytes. It refuses more than there is.
func (p *place) hold(bytes int64) error {
	a := p.of
	a.lock.Lock()
	defer a.lock.Unlock()
	more := bytes - p.held
	switch {
	case more <= 0:
	case bytes > a.limit:
		return problem(http.StatusRequestEntityTooLarge, "picture_too_large", "it needs about %d MB to be held, and the server has %d MB for all requests", bytes/1e6, a.limit/1e6)
	case more > a.limit-a.held:
		return a.busy("memory_full", "the pictures of other requests take the memory that is set aside for them")
	}
	a.held += more
	p.held = bytes
	return nil
}

// add notes more memory that the request holds already, in bytes.
func (p *place) add(bytes int64) {
	p.of.lock.Lock()
	defer p.of.lock.Unlock()
	p.held += bytes
	p.of.held += bytes
}

// leave gives the place and its memory back.
func (p *place) leave() {
	a := p.of
	a.lock.Lock()
	defer a.lock.Unlock()
	a.inside--
	a.held -= p.held
	if a.clients[p.client]--; a.clients[p.client] == 0 {
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
