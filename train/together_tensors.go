package train

import (
	"context"
	"errors"
	"slices"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// bucketBytes is how much of the gradients is added up in one operation.
const bucketBytes = 25 << 20

// sumGrads adds up the gradients of all processes, the last layers' first.
func (t *Trainer) sumGrads(ctx context.Context, s *torch.Scope) error {
	if t.buckets != nil {
		if err := t.awaitBuckets(ctx); err != nil {
			return err
		}
		t.buckets.Store(t.learned)
		return nil
	}
	defer s.Release(s.Mark())
	var grads []*torch.Tensor
	for _, i := range slices.Backward(t.learned) {
		p := t.store.Parameters()[i].Tensor
		if p.Grad(s) == nil { // another process has pictures that need it
			torch.WithGrad(func() { s.Adopt(p).Sum().MulScalar(0).Backward() })
		}
		grads = append(grads, p.Grad(s))
	}
	return t.sumOver(ctx, s, grads, 1)
}

// openBuckets prepares the GPU to add up gradients over all processes, where they can do that.
func (t *Trainer) openBuckets(ctx context.Context) error {
	p, ok := t.options.Processes.(DeviceProcesses)
	if !ok || !t.device.IsCUDA() {
		return nil
	}
	if ok, err := p.OpenDevice(ctx, t.device); err != nil || !ok {
		return err
	}
	t.buckets = torch.NewBuckets(leaves(t.store), bucketBytes, p.SumDevice)
	return nil
}

// awaitBuckets waits until the GPUs have added up the gradients of the last backward pass.
func (t *Trainer) awaitBuckets(ctx context.Context) error {
	err := t.options.Processes.(DeviceProcesses).AwaitDevice(ctx, t.buckets.Done)
	if err != nil {
		t.peers.err = err
	}
	return err
}

// sumOver replaces tensors of one type by factor times their sums over all processes, bucket by bucket.
func (t *Trainer) sumOver(ctx context.Context, s *torch.Scope, tensors []*torch.Tensor, factor float64) error {
	type bucket struct {
		tensors []*torch.Tensor
		data    []byte
		wait    func(context.Context) error
	}
	var all []*bucket
	for _, x := range tensors {
		data := x.Bytes()
		if n := len(all); n == 0 || len(all[n-1].data)+len(data) > bucketBytes {
			all = append(all, &bucket{})
		}
		b := all[len(all)-1]
		b.tensors, b.data = append(b.tensors, x), append(b.data, data...)
	}
	for _, b := range all {
		b.wait = t.peers.Sum(b.tensors[0].DType(), b.data)
	}
	var err error
	for _, b := range all {
		err = errors.Join(err, b.wait(ctx))
	}
	if err != nil {
		t.peers.err = err
		return err
	}
	for _, b := range all {
		at := 0
		for _, x := range b.tensors {
			n := x.Elements() * x.DType().Size()
			sum := s.FromBytes(b.data[at:at+n], x.DType(), torch.CPU, x.Shape()...)
			if factor != 1 {
				sum = sum.MulScalar(factor)
			}
			x.CopyInPlace(sum)
			at += n
		}
	}
	return nil
}

// followed makes the running statistics of batch norms the same in all processes after a batch: those
// of all pictures with synchronised norms, otherwise the mean of the processes that have some.
func (t *Trainer) followed(ctx context.Context, s *torch.Scope, whole wholeBatch) error {
	defer s.Release(s.Mark())
	var stats []*torch.Tensor
	idle := whole.Pictures[t.peers.Rank()] == 0
	active := 0
	for _, n := range whole.Pictures {
		active += min(n, 1)
	}
	for _, n := range t.store.Norms() {
		if !n.Training || n.Kind != nn.BatchNorm {
			continue
		}
		if idle {
			n.Batches++
		}
		stats = append(stats, s.Adopt(n.Mean), s.Adopt(n.Variance))
	}
	if len(stats) == 0 || t.options.SyncBatchNorm && active == len(whole.Pictures) {
		return nil
	}
	// With synchronised norms all that have pictures have the same: the first one's count.
	first := slices.IndexFunc(whole.Pictures, func(n int) bool { return n > 0 })
	if idle || t.options.SyncBatchNorm && t.peers.Rank() != first {
		for _, x := range stats {
			x.CopyInPlace(s.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, x.Shape()...))
		}
	}
	if t.options.SyncBatchNorm {
		active = 1
	}
	return t.sumOver(ctx, s, stats, 1/float64(active))
}

// broadcast replaces tensors by rank 0's.
func (t *Trainer) broadcast(ctx context.Context, tensors []*torch.Tensor) error {
	for _, x := range tensors {
		data := x.Bytes()
		if err := t.peers.Broadcast(ctx, 0, data); err != nil {
			return err
		}
		if t.peers.Rank() == 0 {
			continue
		}
		s := torch.NewScope()
		s.Adopt(x).Detach().CopyInPlace(s.FromBytes(data, x.DType(), torch.CPU, x.Shape()...))
		s.Close()
	}
	return nil
}
