//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
)

// A segmentJournal remembers what was found in the pictures of a folder. Its first line has
// the settings. Every further line holds one picture and is appended when all files of the
// picture are written. The last line may be torn by a kill and does not count then.
type segmentJournal struct {
	path  string
	f     *os.File
	size  int64
	known map[string]*segmentRecord // by path
}

// segmentFree are the flags that a run may be resumed with other values of.
var segmentFree = []string{"output", "format", "resume", "gt", "trace", "threads", "help", "weights", "config", "list", "shard"}

// segmentSettings returns what the instances and the files of a picture depend on.
func segmentSettings(cmd *cobra.Command, o *modelFlags, model *diffusioninst.Model) (map[string]string, error) {
	out := map[string]string{
		"weights": o.weights, "model": sum([]byte(fmt.Sprintf("%+v", model.Config()))), "device": model.Device().String(),
		"precision": model.Precision().String(),
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
	same := func(old map[string]string) error {
		return sameSettings(j.path, old, settings, "start anew without --resume (with --shard: remove the folder), or choose another --output")
	}
	j.size, err = readRecords(j.path, same, func(r *segmentRecord) error {
		j.known[r.Path] = r
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return j.size > 0, err
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
	path, err := in.absolute()
	if err != nil {
		return "", ""
	}
	return path + pageName(in.options), in.stamp()
}

func (j *segmentJournal) close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}
