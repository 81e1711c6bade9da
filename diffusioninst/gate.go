package diffusioninst

import (
	"errors"
	"sync"

	"github.com/diffusioninst/go/torch"
)

// ErrClosed says that a model was used after Close.
var ErrClosed = errors.New("diffusioninst: the model is closed")

var errCloseInside = errors.New("diffusioninst: Close from a sampler, a backbone or OnStep would wait for the call that it is part of: close the model after the call has returned")

// gate counts calls. Unlike a sync.RWMutex it lets none wait behind a close.
type gate struct {
	lock    sync.Mutex
	running int
	closed  chan struct{} // nil while open; closed when no call is left and the memory is freed
	idle    chan struct{} // closed by the last call of a closing gate
}

// enter begins a call, which leave ends. It returns ErrClosed once close has begun.
func (g *gate) enter() error {
	g.lock.Lock()
	defer g.lock.Unlock()
	if g.closed != nil {
		return ErrClosed
	}
	g.running++
	return nil
}

func (g *gate) leave() {
	g.lock.Lock()
	defer g.lock.Unlock()
	if g.running--; g.running == 0 && g.idle != nil {
		close(g.idle)
	}
}

// close waits for the calls that are running and then calls free. A second close waits for
// the first.
func (g *gate) close(free func()) error {
	g.lock.Lock()
	if g.running > 0 && torch.Inside() {
		g.lock.Unlock()
		return errCloseInside
	}
	if closed := g.closed; closed != nil {
		g.lock.Unlock()
		<-closed
		return nil
	}
	g.closed = make(chan struct{})
	if g.running > 0 {
		g.idle = make(chan struct{})
	}
	g.lock.Unlock()
	defer close(g.closed)
	if g.idle != nil {
		<-g.idle
	}
	free()
	return nil
}
