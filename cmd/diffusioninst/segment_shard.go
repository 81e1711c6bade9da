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
	passing       []failedPicture // those of Failed that another try may segment
	absent        int             // how many of Failed were not there or not to be read
	accept        bool            // finish whatever has failed
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
	if err := o.checkPlaces(inputs); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(inputs, func(in segmentInput) bool { return in.path == "-" }) {
		return nil, errors.New("--shard needs files: nobody knows how many pictures standard input has")
	}
	r := &shardRun{shard: s, path: filepath.Join(o.output, s.folder()), accept: o.accept}
	r.partial = r.path + partialEnding
	first, last := s.bounds(len(inputs))
	r.shardInfo = shardInfo{
		Shard: s.index, Of: s.of, First: first + 1, Count: last - first, Pictures: len(inputs), List: listSum(inputs),
		Program: programName(), Failed: []failedPicture{},
	}
	if err := r.checkOthers(o.output); err != nil {
		return nil, err
	}
	if r.Flags, err = segmentFlags(cmd, &o.model); err != nil {
		return nil, err
	}
	r.Flags["list"], r.Flags["formats"] = r.List, strings.Join(o.formats, ",")
	if done, err := r.finished(cmd.OutOrStdout()); done || err != nil {
		return nil, err
	}
	return r, nil
}

// checkPlaces refuses pictures of all shards that one run would write to the same file.
func (o *segmentOptions) checkPlaces(inputs []segmentInput) error {
	i := slices.IndexFunc(o.formats, func(f string) bool { return !slices.Contains(singleFiles, f) })
	if i < 0 {
		return nil
	}
	taken := make(map[string]int32, len(inputs))
	for k, in := range inputs {
		key := outputPlace(o.formats[i], &coco.LabeledImage{FileName: in.name})
		if other, ok := taken[key]; ok {
			return fmt.Errorf("%s and %s would be written to the same file of --format %s: leave one out, or segment them into another --output", inputs[other], in, o.formats[i])
		}
		taken[key] = int32(k)
	}
	return nil
}

// checkOthers refuses an output folder with shards of another number.
func (r *shardRun) checkOthers(output string) error {
	entries, err := os.ReadDir(output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if _, of, _, ok := parseShardFolder(e.Name()); ok && of != r.of {
			return fmt.Errorf("%s holds %s, and this is shard %v: segment the same number of shards, or choose another --output", output, e.Name(), r.shard)
		}
	}
	return err
}

// pictures returns the shard's part of all pictures.
func (r *shardRun) pictures(all []segmentInput) []segmentInput {
	return all[r.First-1:][:r.Count]
}

// finished reports whether the shard is there, and says so. One of another list or other flags is an error.
func (r *shardRun) finished(out io.Writer) (bool, error) {
	if r == nil {
		return false, nil
	}
	if _, err := os.Stat(r.path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	info, err := readShard(r.path)
	if err == nil {
		err = sameSettings(r.path, info.Flags, r.Flags, "remove the folder, or choose another --output")
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "shard %v is finished: %s\n", r.shard, r.path)
	}
	return err == nil, err
}

// finishedMeanwhile is finished when the folder of the shard was to be locked: another process may have been faster. It removes the
// folder that locking has made; the other one's has its new name.
func (r *shardRun) finishedMeanwhile(out io.Writer) (bool, error) {
	done, err := r.finished(out)
	if done {
		if err = os.Remove(r.partial); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return done, err
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

// failed records a picture that could not be segmented; passing says that another try may go well.
func (r *shardRun) failed(id int64, in segmentInput, err error, passing bool) {
	if r == nil {
		return
	}
	f := failedPicture{ImageID: id, FileName: in.name, Path: in.path, Error: err.Error()}
	r.Failed = append(r.Failed, f)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		r.absent++
	}
	if passing {
		r.passing = append(r.passing, f)
	}
}

// accepts reports whether the shard is finished whatever fails.
func (r *shardRun) accepts() bool { return r != nil && r.accept }

// finish writes what the shard is and gives its folder its name, unless pictures failed that another try may segment.
// So may all of a shard of which not one could be opened: a volume that is not mounted, or another folder, has none.
func (r *shardRun) finish(out io.Writer) error {
	const again = "the same command tries again, with --accept-failures for the last time"
	if n := len(r.passing); n > 0 && !r.accept {
		return fmt.Errorf("shard %v is not finished: %s failed because of a server, a store, a disk or a device (the first: %s): %s", r.shard, counted(n, "picture"), r.passing[0].Error, again)
	}
	if n := r.absent; n > 0 && n == r.Count && !r.accept {
		return fmt.Errorf("shard %v is not finished: none of %s could be opened (the first: %s): %s", r.shard, counted(n, "picture"), r.Failed[0].Error, again)
	}
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
