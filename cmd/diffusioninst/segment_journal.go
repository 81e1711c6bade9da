//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/regular"
)

// segmentJournalName is the file in the output folder that --resume continues from.
const segmentJournalName = "progress.jsonl"

// A segmentJournal remembers what was found in the pictures of a folder. Its first line has
// the settings. Every further line holds one picture and is appended when all files of the
// picture are written. The last line may be torn by a kill and does not count then.
type segmentJournal struct {
	path  string
	f     *os.File
	size  int64
	known map[string]*segmentRecord // by path
}

type segmentHeader struct {
	Settings map[string]string `json:"settings"`
}

// A segmentRecord is a finished picture.
type segmentRecord struct {
	Path    string             `json:"path"`
	Stamp   string             `json:"stamp"` // of fileStamp
	Picture *coco.LabeledImage `json:"picture"`
}

// segmentFree are the flags that a run may be resumed with other values of.
var segmentFree = []string{"output", "format", "resume", "gt", "trace", "threads", "help", "weights", "config"}

// segmentSettings returns what the instances and the files of a picture depend on.
func segmentSettings(cmd *cobra.Command, o *modelFlags, model *diffusioninst.Model) (map[string]string, error) {
	out := map[string]string{
		"weights": o.weights, "model": sum([]byte(fmt.Sprintf("%+v", model.Config()))), "device": model.Device().String(),
	}
	if _, builtin, _ := openBuiltin(o.weights); builtin {
		checksum, err := weightsSum(o.weights)
		if err != nil {
			return nil, err
		}
		out["weights"] = checksum
	} else if o.weights != untrained {
		out["weights"] = fileStamp(o.weights)
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, known := out[f.Name]; !known && !slices.Contains(segmentFree, f.Name) {
			out[f.Name] = f.Value.String()
		}
	})
	return out, nil
}

// openSegmentJournal opens the journal of a folder: with resume the one that is there, which
// must have the same settings, otherwise a new one.
func openSegmentJournal(folder string, settings map[string]string, resume bool) (*segmentJournal, error) {
	j := &segmentJournal{path: filepath.Join(folder, segmentJournalName), known: map[string]*segmentRecord{}}
	found := false
	if resume {
		var err error
		if found, err = j.read(settings); err != nil {
			return nil, err
		}
	}
	if !found {
		header, err := json.Marshal(segmentHeader{settings})
		if err != nil {
			return nil, err
		}
		header = append(header, '\n')
		j.size = int64(len(header))
		err = atomicfile.Write(j.path, func(w io.Writer) error {
			_, err := w.Write(header)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var err error
	if j.f, err = os.OpenFile(j.path, os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	return j, j.f.Truncate(j.size)
}

// read reads what is there. found is false if there is no journal.
func (j *segmentJournal) read(settings map[string]string) (found bool, err error) {
	text, err := regular.ReadFile(j.path, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return j.size > 0, nil
		}
		if err := j.line(n, line, settings); err != nil {
			return false, err
		}
		j.size += int64(len(line)) + 1
		text = rest
	}
}

func (j *segmentJournal) line(n int, line []byte, settings map[string]string) error {
	var header segmentHeader
	var record segmentRecord
	var to any = &record
	if n == 1 {
		to = &header
	}
	err := json.Unmarshal(line, to)
	if err == nil && n > 1 {
		err = record.check()
	}
	if err != nil {
		return fmt.Errorf("%s, line %d: not what segment writes (%w): remove the file, or start anew without --resume", j.path, n, err)
	}
	if n > 1 {
		j.known[record.Path] = &record
		return nil
	}
	return sameSettings(j.path, header.Settings, settings, "start anew without --resume, or choose another --output")
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
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if have, want := old[name], now[name]; have != want {
			changed = append(changed, fmt.Sprintf("%s (%.12s, now %.12s)", name, have, want))
		}
	}
	if len(changed) > 0 {
		return fmt.Errorf("%s was made with other settings, %s: %s", path, strings.Join(changed, ", "), advice)
	}
	return nil
}

// find returns what was found in a picture, or nil. A picture whose file has changed since
// then is not known.
func (j *segmentJournal) find(in segmentInput) *coco.LabeledImage {
	if j == nil {
		return nil
	}
	path, stamp := recordKey(in)
	if r := j.known[path]; r != nil && stamp != "" && r.Stamp == stamp {
		return r.Picture
	}
	return nil
}

// add appends a picture, all files of which are written. stamp is that of the picture's file
// before it was read: a file that has changed since then is read again when the run is resumed.
func (j *segmentJournal) add(in segmentInput, stamp string, p *coco.LabeledImage) error {
	path, now := recordKey(in)
	if j == nil || stamp == "" || stamp != now {
		return nil
	}
	text, err := json.Marshal(segmentRecord{path, stamp, p})
	if err != nil {
		return err
	}
	if _, err := j.f.WriteAt(append(text, '\n'), j.size); err != nil {
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.size += int64(len(text)) + 1
	return nil
}

func recordKey(in segmentInput) (path, stamp string) {
	path, err := filepath.Abs(in.path)
	if err != nil {
		return "", ""
	}
	if in.options.Page > 0 {
		path += fmt.Sprintf(" page %d", in.options.Page)
	}
	return path, in.stamp()
}

func (j *segmentJournal) close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}
