package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/regular"
)

// failedName is the file with the pictures that could not be segmented.
const failedName = "failed.json"

func newResultsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "results", Short: "Merge what several runs of segment --shard have found"}
	var out string
	merge := &cobra.Command{
		Use:   "merge FOLDER",
		Short: "Merge the shards of a folder that segment --shard wrote",
		Long: `Merge the shards in a folder that segment --shard I/N --output FOLDER wrote: results.json,
coco.json and measurements/summary.csv, as far as they were asked for, equal the files of a run
without shards. Pictures that could not be segmented are in failed.json. Files per picture
(overlays, label maps) stay in the folders of the shards. It is an error if a shard is missing or
not finished.`,
		Example: `  diffusioninst segment --weights builtin:nuclei --list pictures.txt --shard 0/2 --output out/
  diffusioninst segment --weights builtin:nuclei --list pictures.txt --shard 1/2 --output out/
  diffusioninst results merge out/`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return mergeResults(cmd, args[0], cmp.Or(out, args[0]))
		},
	}
	merge.Flags().StringVarP(&out, "output", "o", "", "folder for the merged files (default: FOLDER)")
	cmd.AddCommand(merge)
	return cmd
}

// A shardFolder is a finished shard.
type shardFolder struct {
	shardInfo
	path string
}

func mergeResults(cmd *cobra.Command, folder, out string) error {
	shards, err := await(cmd.Context(), func() ([]*shardFolder, error) { return findShards(folder) })
	if err != nil {
		return err
	}
	lock, err := atomicfile.LockFolder(out)
	if err != nil {
		return err
	}
	defer lock.Close()
	first := shards[0]
	var writers []*instanceWriter
	var left []string
	for _, f := range singleFiles {
		switch {
		case !slices.Contains(first.Formats, f):
		case f == "html":
			left = append(left, singleFile(f))
		default:
			w, err := newInstanceWriter(cmd.OutOrStdout(), f, filepath.Join(out, singleFile(f)), writerOptions{Categories: first.Classes, Polygons: first.Polygons, MaxPixels: -1})
			if err != nil {
				return err
			}
			writers = append(writers, w)
		}
	}
	for _, f := range first.Formats {
		if !slices.Contains(singleFiles, f) {
			left = append(left, f+"/")
		}
	}
	failed, instances, programs := []failedPicture{}, 0, []string(nil)
	for _, s := range shards {
		failed = append(failed, s.Failed...)
		by, err := s.pictures(cmd.Context(), func(p *coco.LabeledImage) error {
			instances += len(p.Instances)
			for _, w := range writers {
				if err := w.Write(p, &pictureSource{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		programs = append(programs, by...)
	}
	warnOfPrograms(programs, warner(cmd))
	for _, w := range writers {
		if err := w.Close(cmd.Context()); err != nil {
			return err
		}
	}
	if slices.Contains(first.Formats, "measurements") {
		if err := mergeSummaries(cmd.Context(), shards, filepath.Join(out, "measurements", summaryName)); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(out, failedName), failed); err != nil {
		return err
	}
	if len(failed) == first.Pictures && len(failed) > 0 {
		return fmt.Errorf("none of %s could be segmented: see %s", counted(len(failed), "picture"), filepath.Join(out, failedName))
	}
	text := fmt.Sprintf("%s of %s merged into %s", counted(instances, "instance"), counted(first.Pictures-len(failed), "picture"), out)
	if len(failed) > 0 {
		text += fmt.Sprintf("; %s could not be segmented: %s", counted(len(failed), "picture"), filepath.Join(out, failedName))
	}
	if len(left) > 0 {
		text += "\n" + strings.Join(left, ", ") + ": these files stay in the folders of the shards"
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// findShards returns all shards of a folder in their order, or an error that says which are
// missing, unfinished or of another run.
func findShards(folder string) ([]*shardFolder, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	done, begun, of := map[int]string{}, map[int]bool{}, 0
	for _, e := range entries {
		i, n, partial, ok := parseShardFolder(e.Name())
		if !ok {
			continue
		}
		if of != 0 && n != of {
			return nil, fmt.Errorf("%s holds shards of %d and of %d: merge the shards of one run", folder, of, n)
		}
		of = n
		if partial {
			begun[i] = true
		} else {
			done[i] = e.Name()
		}
	}
	if of == 0 {
		return nil, fmt.Errorf("%s holds no shards, such as %s, which segment --shard writes", folder, shard{0, 2}.folder())
	}
	var missing []string
	for i := range of {
		if done[i] != "" {
			continue
		}
		if len(missing) == 10 {
			missing = append(missing, "…")
			break
		}
		text := strconv.Itoa(i)
		if begun[i] {
			text += " (begun)"
		}
		missing = append(missing, text)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s: %d of %d shards are not finished: %s; segment --shard I/%d finishes shard I", folder, of-len(done), of, strings.Join(missing, ", "), of)
	}
	out := make([]*shardFolder, of)
	next := 1
	for i := range out {
		s := &shardFolder{path: filepath.Join(folder, done[i])}
		if s.shardInfo, err = readShard(s.path); err != nil {
			return nil, err
		}
		out[i] = s
		if s.List != out[0].List || s.Pictures != out[0].Pictures || s.First != next {
			return nil, fmt.Errorf("%s has another list of pictures than %s: segment one of them again", s.path, out[0].path)
		}
		if err := sameSettings(s.path, s.Settings, out[0].Settings, "segment it again with the settings of "+out[0].path); err != nil {
			return nil, err
		}
		next += s.Count
	}
	if next-1 != out[0].Pictures {
		return nil, fmt.Errorf("%s: the shards hold %d of %d pictures", folder, next-1, out[0].Pictures)
	}
	return out, nil
}

// pictures calls f with each picture that was segmented, in the order of the list. It returns the programs that have segmented them.
func (s *shardFolder) pictures(ctx context.Context, f func(*coco.LabeledImage) error) (programs []string, err error) {
	path := filepath.Join(s.path, segmentJournalName)
	found := map[int64]*coco.LabeledImage{}
	journal, err := regular.Open(path)
	var state journalState
	if err == nil {
		defer journal.Close()
		state, err = readRecords(journal, path, func(map[string]string) error { return nil }, func(r *segmentRecord) error {
			found[r.Picture.ImageID] = r.Picture
			return ctx.Err()
		})
	}
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && s.Count == 0) {
		return nil, err
	}
	failed := map[int64]bool{}
	for _, p := range s.Failed {
		failed[p.ImageID] = true
	}
	for id := int64(s.First); id < int64(s.First+s.Count); id++ {
		switch p := found[id]; {
		case failed[id]:
		case p == nil:
			return nil, fmt.Errorf("%s lacks picture %d, which %s counts: remove the shard's folder and segment it again", path, id, shardName)
		default:
			if err := errors.Join(ctx.Err(), f(p)); err != nil {
				return nil, err
			}
		}
	}
	if slices.Equal(state.programs, []string{""}) { // a journal of an earlier version, which one process may have written
		return []string{s.Program}, nil
	}
	return state.programs, nil
}

// mergeSummaries writes the lines of all shards' summaries below the first one's header, but those of pictures that failed,
// which earlier versions of the program wrote.
func mergeSummaries(ctx context.Context, shards []*shardFolder, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Output(ctx, path, func(w io.Writer) error {
		for i, s := range shards {
			text, err := regular.ReadFile(filepath.Join(s.path, "measurements", summaryName), 1<<30)
			if err != nil {
				return err
			}
			if err := s.copySummary(w, text, i == 0); err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(s.path, "measurements", summaryName), err)
			}
		}
		return nil
	})
}

// copySummary copies the lines of a summary as they are, but those of pictures that failed.
func (s *shardFolder) copySummary(to io.Writer, text []byte, header bool) error {
	failed := map[string]bool{}
	for _, p := range s.Failed {
		failed[p.FileName] = true
	}
	lines := csv.NewReader(bytes.NewReader(text))
	for first := true; ; first = false {
		begin := lines.InputOffset()
		line, err := lines.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if first && !header || !first && failed[line[0]] {
			continue
		}
		if _, err := to.Write(text[begin:lines.InputOffset()]); err != nil {
			return err
		}
	}
}
