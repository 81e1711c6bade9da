package libtorch

// #include "kernels.h"
import "C"

// An Event is a moment in a GPU's work, to be released by Free.
type Event struct {
	e      C.di_event
	device C.int
}

// RecordEvent puts an event into the calling thread's current stream of a GPU.
func RecordEvent(device int) (*Event, *Error) {
	out := &Event{device: C.int(device)}
	if e := takeError(C.di_event_record(out.device, &out.e)); e != nil {
		out.Free()
		return nil, e
	}
	return out, nil
}

// Seconds waits until the GPU has reached both events, and returns the time between them.
func (e *Event) Seconds(last *Event) (float64, *Error) {
	var out C.double
	err := takeError(C.di_event_seconds(e.device, e.e, last.e, &out))
	return float64(out), err
}

// Free releases the event.
func (e *Event) Free() {
	if e.e != nil {
		C.di_event_free(e.device, e.e)
		e.e = nil
	}
}
