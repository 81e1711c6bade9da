package diffusioninst

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A place is where a replica of a model runs, and how.
type place struct {
	device    torch.Device
	precision Precision // not auto
	graphs    *graphs   // nil without LoadOptions.Graphs

	calibrator *nn.Calibrator // of LoadOptions
}

// places returns the places of all replicas, or a *ConfigError.
func (o LoadOptions) places(ctx context.Context) ([]place, error) {
	var out []place
	for _, device := range append([]torch.Device{o.Device}, o.Replicas...) {
		if device.IsCUDA() != o.Device.IsCUDA() {
			return nil, configError("replicas on %v and %v: they find the same only on devices of one kind", o.Device, device)
		}
		precision, err := o.Precision.on(ctx, device)
		if err != nil {
			return nil, err
		}
		graphs, err := o.graphs(device)
		if err != nil {
			return nil, err
		}
		if o.Calibrator != nil && (device.IsCUDA() || precision != PrecisionFloat32) {
			return nil, configError("a calibrator for a model in %v on %v: it notes what float32 gives on the CPU", precision, device)
		}
		out = append(out, place{device, precision, graphs, o.Calibrator})
	}
	return out, nil
}

// replicate returns a model with a replica at each place.
func replicate(ctx context.Context, c Config, source nn.Source, places []place) (*Model, error) {
	var out *Model
	for _, p := range places {
		m, err := build(ctx, c, source, p)
		if err != nil {
			if out != nil {
				err = errors.Join(err, out.Close())
			}
			return nil, err
		}
		m.graphs = p.graphs
		if out == nil {
			out = m
		} else {
			out.others = append(out.others, m)
		}
	}
	return out, nil
}

// all are the replicas.
func (m *Model) all() []*Model { return append([]*Model{m}, m.others...) }

// take returns the replica that has the fewest calls, of equal ones that whose last call began first, on the
// device of tensor if that is not nil, for a call that leave ends.
func (m *Model) take(tensor *torch.Tensor) (of *Model, leave func(), err error) {
	m.balance.Lock()
	defer m.balance.Unlock()
	for _, r := range m.all() {
		if (tensor == nil || tensor.Device() == r.device) && (of == nil || cmp.Or(cmp.Compare(r.calls, of.calls), cmp.Compare(r.turn, of.turn)) < 0) {
			of = r
		}
	}
	if of == nil {
		return nil, nil, &ImageError{Reason: fmt.Sprintf("the tensor %v is not on the model's device, %v", tensor, m.device)}
	}
	of.calls++
	m.turns++
	of.turn = m.turns
	return of, func() {
		m.balance.Lock()
		defer m.balance.Unlock()
		of.calls--
	}, nil
}

// Devices returns the devices of the model's replicas; the first is Device.
func (m *Model) Devices() []torch.Device {
	var out []torch.Device
	for _, r := range m.all() {
		out = append(out, r.device)
	}
	return out
}

// free frees what the replicas hold.
func (m *Model) free() {
	for _, r := range m.all() {
		r.graphs.drop()
		r.store.Close()
	}
}
