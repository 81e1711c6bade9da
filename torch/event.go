package torch

import (
	"time"

	"github.com/diffusioninst/go/internal/libtorch"
)

// An Event is a moment in the work of a GPU's stream (a CUDA event), from which times of parts of that work follow without
// the host's waiting in between.
type Event struct {
	event  *libtorch.Event
	device Device
}

// RecordEvent puts an event behind what the current stream of a GPU has been given by the calling worker; the host does not wait.
// It must be called inside Do, and not in what RecordGraph records.
func (d Device) RecordEvent() *Event {
	if !d.IsCUDA() {
		fail("event", "events are of GPUs, not of "+d.String())
	}
	e, err := libtorch.RecordEvent(d.index())
	check("event", err)
	return &Event{e, d}
}

// Since waits until the GPU has reached both events, and returns the time from the earlier one to e, to about half a microsecond.
// It includes times in which the stream had nothing to do.
func (e *Event) Since(earlier *Event) time.Duration {
	if e == nil || earlier == nil || e.event == nil || earlier.event == nil {
		fail("event", "the event is nil, was closed, or was not made by RecordEvent")
	}
	if e.device != earlier.device {
		fail("event", "events of "+e.device.String()+" and "+earlier.device.String())
	}
	seconds, err := earlier.event.Seconds(e.event)
	check("event", err)
	return time.Duration(seconds * float64(time.Second))
}

// Close frees the event. Closing twice does nothing.
func (e *Event) Close() {
	if e == nil || e.event == nil {
		return
	}
	e.event.Free()
	e.event = nil
}
