//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/regular"
)

// A segmentJournal remembers what was found in the pictures of a folder. Its first line has
// the settings. Every further line holds one picture and is appended when all files of the
// picture are written. The last line may be torn by a kill and does not count then.
type segmentJournal struct {
	journalState
	path  string
	f     *os.File
	known map[string]*segmentRecord // by path
	mutex sync.Mutex                // of what is appended: pictures are begun while others are written
	begun map[string]int64          // where the lines of pictures are that are neither recorded nor left, by path
}

// segmentFree are the flags that a run may be resumed with other values of.
var segmentFree = []string{"output", "format", "resume", "gt", "trace", "threads", "help", "weights", "config", "list", "shard", "accept-failures"}

// segmentSettings returns what the instances and the files of a picture depend on.
func segmentSettings(cmd *cobra.Command, o *modelFlags, model *diffusioninst.Model) (map[string]string, error) {
	out, err := segmentFlags(cmd, o)
	if err != nil {
		return nil, err
	}
	out["model"] = sum([]byte(fmt.Sprintf("%+v", model.Config())))
	out["device"], out["precision"] = model.Device().String(), model.Precision().String()
	return out, nil
}

// segmentFlags returns those of segmentSettings that are known without the model: the weights by their content, and flags.
func segmentFlags(cmd *cobra.Command, o *modelFlags) (map[string]string, error) {
	out := map[string]string{"weights": o.weights}
	if o.weights != untrained {
		var err error
		if out["weights"], err = weightsSum(o.weights); err != nil {
			return nil, err
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, known := out[f.Name]; !known && !slices.Contains(segmentFree, f.Name) {
			out[f.Name] = f.Value.String()
		}
	})
	return out, nil
}

// openSegmentJournal opens the journal of a folder and locks it: with resume the one that is there, which
// must have the same settings, otherwise a new one. The lock of the file holds on network file systems that lock no folders.
func openSegmentJournal(folder string, settings map[string]string, resume bool) (*segmentJournal, error) {
	j := &segmentJournal{path: filepath.Join(folder, segmentJournalName), known: map[string]*segmentRecord{}, begun: map[string]int64{}}
	if info, err := os.Stat(j.path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", j.path, regular.ErrNotRegular)
	}
	var err error
	if j.f, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	if err := j.begin(settings, resume); err != nil {
		return nil, errors.Join(err, j.f.Close())
	}
	return j, nil
}

func (j *segmentJournal) begin(settings map[string]string, resume bool) error {
	if err := atomicfile.Lock(j.f); err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	if resume {
		if err := j.read(settings); err != nil {
			return err
		}
	}
	if err := j.f.Truncate(j.size); err != nil {
		return err
	}
	program := programName()
	switch {
	case j.size == 0:
		return j.append(segmentHeader{settings, program})
	case j.program != program:
		return j.append(map[string]string{"program": program})
	}
	return nil
}

// read reads what is there.
func (j *segmentJournal) read(settings map[string]string) (err error) {
	same := func(old map[string]string) error {
		return sameSettings(j.path, old, settings, "start anew without --resume (with --shard: remove the folder), or choose another --output")
	}
	j.journalState, err = readRecords(j.f, j.path, same, func(r *segmentRecord) error {
		j.known[r.Path] = r
		return nil
	})
	return err
}

// find returns what was found in a picture, or nil. A picture whose file has changed since
// then is not known.
func (j *segmentJournal) find(ctx context.Context, in segmentInput) *coco.LabeledImage {
	if j == nil {
		return nil
	}
	if r := j.known[recordKey(in)]; r != nil && r.Stamp != "" && r.Stamp == in.stamp(ctx) {
		return r.Picture
	}
	return nil
}

// add appends a picture, all files of which are written. stamp is that of what was read, or empty if nothing tells whether
// it is the same later: then, and if a file has changed since, the picture is read again when the run is resumed.
func (j *segmentJournal) add(ctx context.Context, in segmentInput, stamp string, p *coco.LabeledImage) error {
	path := recordKey(in)
	if j == nil || path == "" || in.path == "-" {
		return nil
	}
	if in.address == nil && stamp != in.stamp(ctx) {
		stamp = ""
	}
	if err := j.append(segmentRecord{path, stamp, p}); err != nil {
		return err
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	delete(j.begun, path)
	return nil
}

func (j *segmentJournal) append(line any) error {
	_, err := j.appendAt(line)
	return err
}

// appendAt is append, and returns where the line begins.
func (j *segmentJournal) appendAt(line any) (at int64, err error) {
	text, err := json.Marshal(line)
	if err != nil {
		return 0, err
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	at = j.size
	if _, err := j.f.WriteAt(append(text, '\n'), at); err != nil {
		return 0, errors.Join(err, j.f.Truncate(at))
	}
	j.size += int64(len(text)) + 1
	return at, nil
}

// recordKey is what a picture is known by; empty if the current folder is unknown. JSON cannot hold a name that is not UTF-8:
// it is quoted, as no absolute path or address is.
func recordKey(in segmentInput) string {
	path, err := in.absolute()
	if err != nil {
		return ""
	}
	if path += pageName(in.options); !utf8.ValidString(path) {
		return strconv.Quote(path)
	}
	return path
}

func (j *segmentJournal) close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}
