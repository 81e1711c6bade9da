package diffusioninst

import (
	"time"

	"github.com/diffusioninst/go/torch"
)

// deviceParts are the parts of a pass by a GPU's clock: an event lies in its stream where each begins, and their times are asked
// for when the pass has ended. The nil deviceParts measure nothing.
type deviceParts struct {
	device torch.Device
	began  []beganPart
}

type beganPart struct {
	name string
	at   *torch.Event
}

// newDeviceParts returns what times the parts of a call: nil unless OnDevicePart is set and the device is a GPU.
func (s *settings) newDeviceParts(device torch.Device) *deviceParts {
	if s.onDevicePart == nil || !device.IsCUDA() {
		return nil
	}
	return &deviceParts{device: device}
}

// begin ends the part before, and begins one.
func (d *deviceParts) begin(name string) {
	if d != nil {
		d.began = append(d.began, beganPart{name, d.device.RecordEvent()})
	}
}

// end ends the last part and reports the time of each name, in the order in which they began first.
func (d *deviceParts) end(report func(part string, took time.Duration)) {
	if d == nil {
		return
	}
	d.begin("")
	took := map[string]time.Duration{}
	var names []string
	for i, part := range d.began[:len(d.began)-1] {
		if _, known := took[part.name]; !known {
			names = append(names, part.name)
		}
		took[part.name] += d.began[i+1].at.Since(part.at)
	}
	for _, name := range names {
		report(name, took[name])
	}
}

// close frees the events.
func (d *deviceParts) close() {
	if d != nil {
		for _, part := range d.began {
			part.at.Close()
		}
	}
}
