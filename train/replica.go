package train

import (
	"hash/fnv"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// replica is a network that learns from its part of a batch. The first one's parameters
// are the trainer's own; the others' share their memory but have gradients of
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

func (p shared) Parameter(s *torch.Scope, name string, _ []int, _ nn.Init) (*torch.Tensor, error) {
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

// join makes the replica member number rank of a step's group. With synchronised norms
// their statistics cover all members.
func (r *replica) join(group *torch.SyncGroup, rank int, synchronised bool) {
	for _, norm := range r.store.Norms() {
		norm.Member = nil
		if synchronised {
			norm.Member = &torch.SyncMember{Group: group, Rank: rank}
		}
	}
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
