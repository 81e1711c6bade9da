package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// segmentJournalName is the file in the output folder that --resume continues from.
const segmentJournalName = "progress.jsonl"

type segmentHeader struct {
	Settings map[string]string `json:"settings"`
	Program  string            `json:"program,omitempty"` // that began; a later line has another one that continued
}

// A segmentRecord is a finished picture.
type segmentRecord struct {
	Path    string             `json:"path"`
	Stamp   string             `json:"stamp"` // of fileStamp
	Picture *coco.LabeledImage `json:"picture"`
}

// A journalLine is a line of a journal after the first: a picture, or one of the others.
type journalLine struct {
	segmentRecord
	Program string `json:"program"`
	Begun   string `json:"begun"` // path of a picture
	Ended   string `json:"ended"` // in place of Begun: the picture was left without a record, and the program went on
}

// A journalState is what the lines of a journal come to.
type journalState struct {
	size     int64          // in bytes, without a last line that is torn
	program  string         // that wrote last; empty for versions that did not say it
	programs []string       // that have segmented pictures, in their order
	crashes  map[string]int // how often the program ended at a picture, by path
}

// readRecords reads a journal, line by line: its settings and each record.
func readRecords(from io.Reader, path string, settings func(map[string]string) error, record func(r *segmentRecord) error) (state journalState, err error) {
	lines := bufio.NewReader(from)
	state.crashes = map[string]int{}
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return state, nil
		}
		if err != nil {
			return state, err
		}
		var h segmentHeader
		var r journalLine
		var to any = &r
		if n == 1 {
			to = &h
		}
		err = json.Unmarshal(line, to)
		picture := n > 1 && r.Program == "" && r.Begun == "" && r.Ended == ""
		if err == nil && picture {
			err = r.check()
		}
		if err != nil {
			return state, fmt.Errorf("%s, line %d: not what segment writes (%w): remove the file, or start anew without --resume", path, n, err)
		}
		switch {
		case n == 1:
			state.program = h.Program
			err = settings(h.Settings)
		case picture:
			if !slices.Contains(state.programs, state.program) {
				state.programs = append(state.programs, state.program)
			}
			delete(state.crashes, r.Path)
			err = record(&r.segmentRecord)
		case r.Program != "":
			state.program = r.Program
		case r.Begun != "":
			state.crashes[r.Begun]++
		}
		if err != nil {
			return state, err
		}
		state.size += int64(len(line))
	}
}

func (r *segmentRecord) check() error {
	if r.Picture == nil {
		return errors.New("no picture")
	}
	for i := range r.Picture.Instances {
		m := r.Picture.Instances[i].Mask
		if m.Width != r.Picture.Width || m.Height != r.Picture.Height {
			return fmt.Errorf("instance %d: a mask of another size", i)
		}
		if err := m.Validate(); err != nil {
			return fmt.Errorf("instance %d: %w", i, err)
		}
	}
	return nil
}

// sameSettings returns an error that names the settings in which old and now differ, and says
// what to do.
func sameSettings(path string, old, now map[string]string, advice string) error {
	var changed []string
	names := map[string]string{} // of both: a setting that only one of them has is a difference, too
	maps.Copy(names, old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if have, want := old[name], now[name]; have != want {
			if a, b := fmt.Sprintf("%.12s", have), fmt.Sprintf("%.12s", want); a != b { // enough of long ones
				have, want = a, b
			}
			changed = append(changed, fmt.Sprintf("%s (%s, now %s)", name, cmp.Or(have, `""`), cmp.Or(want, `""`)))
		}
	}
	if len(changed) > 0 {
		return fmt.Errorf("%s was made with other settings, %s: %s", path, strings.Join(changed, ", "), advice)
	}
	return nil
}

// warnOfPrograms warns of pictures of one run that several programs have segmented.
func warnOfPrograms(programs []string, warn func(string, ...any)) {
	if programs = slices.Compact(slices.Sorted(slices.Values(programs))); len(programs) > 1 {
		warn("pictures were segmented by different programs, %s and %s: results may differ in last digits", cmp.Or(programs[0], "an earlier version"), programs[1])
	}
}
