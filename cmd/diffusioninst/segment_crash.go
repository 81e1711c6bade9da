//go:build cgo

package main

import (
	"context"
	"fmt"
)

// A picture that ends the program (too little memory, a fault in a decoder) would end each further start, too. So a shard's
// journal says which pictures are begun; the line is changed when the picture is left, as when it is broken or the run is
// stopped. After an end two pictures may be begun, of which one is read while the other is segmented: both are suspects,
// and each is alone at the next start.

// crashLimit is how often the program may end at a picture before the picture is given up. Tests that kill it change it.
var crashLimit = 3

// inFlight is how many pictures there are at once.
const inFlight = 2

// begin notes in the journal that a picture is read next, and waits until a suspect has no other beside it.
func (j *segmentJob) begin(ctx context.Context, r *segmentRun) error {
	if r.part == nil {
		return nil
	}
	path, slots := recordKey(j.segmentInput), 1
	switch n := r.journal.crashes[path]; {
	case n >= crashLimit:
		return fmt.Errorf("%v: the program ended %d times while it was segmented: remove the shard's folder to try it again", j.segmentInput, n)
	case n > 0:
		slots = inFlight
	}
	for range slots {
		select {
		case r.flying <- struct{}{}:
			j.slots++
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.journal.begins(path)
}

// end takes back what begin has done. A picture that has no record is no suspect.
func (j *segmentJob) end(r *segmentRun) {
	if j.slots == 0 {
		return
	}
	r.journal.leaves(recordKey(j.segmentInput))
	for ; j.slots > 0; j.slots-- {
		<-r.flying
	}
}

// begins appends that a picture is begun.
func (j *segmentJournal) begins(path string) error {
	if path == "" {
		return nil
	}
	at, err := j.appendAt(map[string]string{"begun": path})
	if err != nil {
		return err
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.begun[path] = at
	return nil
}

// leaves changes the line of a picture that was begun and has no record. The new one is as long, so that it is written on a
// full disk, too.
func (j *segmentJournal) leaves(path string) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	at, begun := j.begun[path]
	if !begun {
		return
	}
	delete(j.begun, path)
	_, _ = j.f.WriteAt([]byte(`{"ended"`), at)
}
