package train

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"sync/atomic"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// replica is a network that learns from its part of a batch. The first one's parameters
// are the trainer's own; those of the others share their memory but have gradients of
// their own.
type replica struct {
	store   *nn.Store
	network *diffusioninst.Network
	// own are a replica's own running statistics, of batch norms that see its pictures
	// alone, and the trainer's that they stand for.
	own, main []*torch.Tensor
}

// shared is a Source of other leaves over the memory of a store's tensors.
type shared map[string]*torch.Tensor

func (p shared) Parameter(s *torch.Scope, name string, _ []int64, _ nn.Init) (*torch.Tensor, error) {
	return s.Adopt(p[name]).Detach(), nil
}

func (p shared) Names() []string { return nil }

// replicate makes the replicas. It must be called inside torch.Do.
func (t *Trainer) replicate() error {
	t.replicas = []*replica{{store: t.store, network: t.network}}
	if t.options.Replicas == 1 {
		return nil
	}
	t.team = torch.NewTeam(t.options.Replicas, 0)
	memory := shared{}
	for _, p := range t.store.Parameters() {
		memory[p.Name] = p.Tensor
	}
	for range t.options.Replicas - 1 {
		r := &replica{store: nn.NewStore(memory, t.storeOptions())}
		t.replicas = append(t.replicas, r)
		var err error
		if r.network, err = diffusioninst.NewNetwork(r.store.Root(), t.config); err != nil {
			return err
		}
		t.teach(r)
		for i, n := range r.store.Norms() {
			if !n.Training || n.Kind != nn.BatchNorm {
				continue
			}
			if t.options.SyncBatchNorm {
				n.Follows = false // the first replica's do
				continue
			}
			main := t.store.Norms()[i]
			n.Mean, n.Variance = n.Mean.Clone().Keep(), n.Variance.Clone().Keep()
			r.own = append(r.own, n.Mean, n.Variance)
			r.main = append(r.main, main.Mean, main.Variance)
		}
	}
	return nil
}

// closeReplicas frees all replicas but the first.
func (t *Trainer) closeReplicas() {
	if t.team != nil {
		t.team.Close()
	}
	for _, r := range t.replicas[min(1, len(t.replicas)):] {
		r.store.Close()
		for _, own := range r.own {
			own.Close()
		}
	}
}

// errStopped is what replicas end with when another one has failed.
var errStopped = errors.New("train: another replica has stopped")

// sideBySide is learn on replicas, each with its part of the pictures. Their gradients
// stay apart until gather.
func (t *Trainer) sideBySide(ctx context.Context, n noised, share float64) ([]Loss, error) {
	active := t.replicas[:min(len(t.replicas), len(n.samples))]
	t.before(active)
	meeting := newMeeting(len(active), t.settle)
	group := torch.NewGroup(len(active))
	for i, r := range active {
		for _, norm := range r.store.Norms() {
			norm.Member = nil
			if t.options.SyncBatchNorm {
				norm.Member = &torch.Member{Group: group, Rank: i}
			}
		}
	}
	losses := make([][]Loss, len(active))
	var failed atomic.Int32 // the first that did, from 1
	errs := t.team.Do(ctx, len(active), func(i int, s *torch.Scope) (err error) {
		finished := false
		defer func() {
			if !finished || err != nil {
				failed.CompareAndSwap(0, int32(i+1))
			}
			meeting.leave()
			group.Abort()
		}()
		part := n.part(i, len(active))
		losses[i], err = t.learn(s, active[i], part, share, func(m []*matches) error { return meeting.join(i, m) })
		finished = true
		return err
	})
	if i := failed.Load(); i > 0 {
		return nil, errs[i-1]
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t.after(active)
	for _, part := range losses[1:] {
		for i := range part {
			losses[0][i].Value += part[i].Value
		}
	}
	return losses[0], nil
}

// before gives replicas the trainer's running statistics, and stochastic depths of
// their own that derive from the trainer's, so that they need no place in a checkpoint.
func (t *Trainer) before(active []*replica) {
	depth := fnv.New64a()
	if b, ok := t.network.Backbone.(backbone.Stochastic); ok {
		depth.Write(b.RandomState())
	}
	for i, r := range active[1:] {
		for k, own := range r.own {
			own.CopyInPlace(r.main[k])
		}
		if b, ok := r.network.Backbone.(backbone.Stochastic); ok {
			depth.Write([]byte{byte(i)})
			b.Reseed(depth.Sum64())
		}
	}
}

// after makes the trainer's running statistics the mean of the replicas'.
func (t *Trainer) after(active []*replica) {
	for i, r := range active[1:] {
		torch.LerpAll(r.main, r.own, 1/float64(i+2))
	}
}

// gather adds the gradients of the other replicas to the trainer's, in order.
func (t *Trainer) gather() {
	to := leaves(t.store)
	for _, r := range t.replicas[1:] {
		torch.AddGrads(to, leaves(r.store))
	}
}

// clearGrads forgets all gradients.
func (t *Trainer) clearGrads() {
	for _, r := range t.replicas {
		nn.ClearGrads(r.store.Parameters())
	}
}

func leaves(st *nn.Store) []*torch.Tensor {
	var out []*torch.Tensor
	for _, p := range st.Parameters() {
		out = append(out, p.Tensor)
	}
	return out
}

// meeting is where replicas learn what the matches of all have in common.
type meeting struct {
	sync.Mutex
	changed *sync.Cond
	settle  func(parts [][]*matches)
	parts   [][]*matches
	came    int
	left    bool
}

func newMeeting(replicas int, settle func(parts [][]*matches)) *meeting {
	m := &meeting{settle: settle, parts: make([][]*matches, replicas)}
	m.changed = sync.NewCond(m)
	return m
}

// join waits for all replicas; the last one settles for all.
func (m *meeting) join(replica int, mine []*matches) error {
	m.Lock()
	defer m.Unlock()
	m.parts[replica] = mine
	if m.came+1 == len(m.parts) {
		m.settle(m.parts)
		m.changed.Broadcast()
	}
	m.came++
	for m.came < len(m.parts) && !m.left {
		m.changed.Wait()
	}
	if m.came < len(m.parts) {
		return errStopped
	}
	return nil
}

// leave ends the waiting of the others.
func (m *meeting) leave() {
	m.Lock()
	defer m.Unlock()
	m.left = true
	m.changed.Broadcast()
}
