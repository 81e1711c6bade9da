//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
)

// A shardRun is a run over one shard. It writes into a folder that is renamed when all of it is
// there. Its methods do nothing for nil, a run over all pictures.
type shardRun struct {
	shardInfo
	shard
	partial, path string
}

// openShard returns the run over a shard of the pictures, or nil, having said so, if the shard is
// finished.
func (o *segmentOptions) openShard(cmd *cobra.Command, inputs []segmentInput) (*shardRun, error) {
	s, err := parseShard(o.shard, os.Getenv)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"gt", "trace"} {
		if cmd.Flags().Changed(name) {
			return nil, fmt.Errorf("--%s looks at all pictures: it cannot go with --shard", name)
		}
	}
	if o.output == "-" {
		return nil, errors.New("--shard needs a folder for the results: --output - writes only lines of JSON")
	}
	if slices.ContainsFunc(inputs, func(in segmentInput) bool { return in.path == "-" }) {
		return nil, errors.New("--shard needs files: nobody knows how many pictures standard input has")
	}
	r := &shardRun{shard: s, path: filepath.Join(o.output, s.folder())}
	r.partial = r.path + partialEnding
	first, last := s.bounds(len(inputs))
	r.shardInfo = shardInfo{Shard: s.index, Of: s.of, First: first + 1, Count: last - first, Pictures: len(inputs), List: listSum(inputs), Failed: []failedPicture{}}
	done, err := r.finished()
	if err != nil {
		return nil, err
	}
	if done {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "shard %v is finished: %s\n", s, r.path)
		return nil, err
	}
	return r, nil
}

// pictures returns the shard's part of all pictures.
func (r *shardRun) pictures(all []segmentInput) []segmentInput {
	return all[r.First-1:][:r.Count]
}

// finished reports whether the shard is there.
func (r *shardRun) finished() (bool, error) {
	if r == nil {
		return false, nil
	}
	_, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// describe adds to settings which list is segmented, and keeps them with the rest that all shards share.
func (r *shardRun) describe(settings map[string]string, o *segmentOptions, classes []coco.Category) {
	if r == nil {
		return
	}
	settings["list"] = r.List
	r.Settings = settings
	r.Formats, r.Polygons, r.Classes = o.formats, o.polygons, classes
	r.Settings["formats"] = strings.Join(o.formats, ",")
}

// failed records a picture that could not be segmented.
func (r *shardRun) failed(id int64, in segmentInput, err error) {
	if r != nil {
		r.Failed = append(r.Failed, failedPicture{ImageID: id, FileName: in.name, Path: in.path, Error: err.Error()})
	}
}

// finish writes what the shard is and gives its folder its name.
func (r *shardRun) finish(out io.Writer) error {
	if err := writeJSON(filepath.Join(r.partial, shardName), r.shardInfo); err != nil {
		return err
	}
	if err := os.Rename(r.partial, r.path); err != nil {
		return err
	}
	text := fmt.Sprintf("shard %v written to %s", r.shard, r.path)
	if len(r.Failed) > 0 {
		text += fmt.Sprintf("; %s could not be segmented: see %s", counted(len(r.Failed), "picture"), filepath.Join(r.path, shardName))
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
