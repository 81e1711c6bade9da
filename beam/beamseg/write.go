package beamseg

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

func init() {
	register.DoFn1x2[Found, int, Found](&shardFn{})
	register.DoFn2x0[[]byte, func(int, bool)](&everyFn{})
	register.DoFn5x1[context.Context, int, func(*bool) bool, func(*Found) bool, func(string), error](&writeFn{})
	register.Iter1[Found]()
	register.Iter1[bool]()
	register.Emitter1[string]()
	register.Emitter2[int, bool]()
}

// Write writes what Segment returns in the same format, and returns the names of the files, a PCollection of string:
//
//	coco     COCO results, prefix-00000-of-0000N.json and so on
//	geojson  prefix-….geojsonl: a line per picture, which is a FeatureCollection as QuPath reads it, in pixels, with
//	         measurements of shapes, and an image with file_name and id
//	csv      prefix-….csv: a table with a row per instance of the same measurements
//
// The last two leave out instances without pixels.
//
// Beside each file is prefix-….failed.json with the pictures that could
// not be segmented. A picture's results are in file ID mod shards, in the order of the ids, so that
// a file does not depend on the bundles. All shards are written, also those without pictures, so that none of an earlier run
// with as many stays; files of another number are left alone. found must be bounded and in the global window. A shard is held in memory.
// Where the file system can rename (local), files are written aside and renamed; elsewhere (gs, s3) an
// object is there when it is whole.
func Write(s beam.Scope, found beam.PCollection, format, prefix string, shards int) beam.PCollection {
	s = s.Scope("diffusioninst.Write")
	shards = max(shards, 1)
	byShard := beam.ParDo(s, &shardFn{Shards: shards}, found)
	every := beam.ParDo(s, &everyFn{Shards: shards}, beam.Impulse(s))
	return beam.ParDo(s, &writeFn{Format: format, Prefix: prefix, Shards: shards}, beam.CoGroupByKey(s, every, byShard))
}

// An everyFn is a DoFn that names all shards.
type everyFn struct{ Shards int }

// ProcessElement names them as keys.
func (f *everyFn) ProcessElement(_ []byte, emit func(int, bool)) {
	for i := range f.Shards {
		emit(i, true)
	}
}

// A shardFn is a DoFn that tells which shard a picture belongs to.
type shardFn struct{ Shards int }

// ProcessElement returns the shard, too.
func (f *shardFn) ProcessElement(x Found) (int, Found) {
	return int(uint64(x.ID) % uint64(f.Shards)), x
}

// A writeFn is a DoFn that writes shards.
type writeFn struct {
	Format string
	Prefix string
	Shards int
}

// A failure is a picture that could not be segmented, as results merge of the program writes it.
type failure struct {
	ID    int64  `json:"image_id"`
	Path  string `json:"path"`
	Error string `json:"error"`
}

// ProcessElement writes a shard: next returns its pictures, if it has any.
func (f *writeFn) ProcessElement(ctx context.Context, shard int, _ func(*bool) bool, next func(*Found) bool, emit func(string)) error {
	format, err := formatOf(f.Format)
	if err != nil {
		return err
	}
	var all []Found
	for x := (Found{}); next(&x); x = (Found{}) {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Found) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Path, b.Path)) })
	var pictures [][]byte
	failed := []failure{}
	for _, x := range all {
		if x.Failed != "" {
			failed = append(failed, failure{x.ID, x.Path, x.Failed})
		} else {
			pictures = append(pictures, x.Lines)
		}
	}
	text, err := format.file(pictures)
	if err != nil {
		return fmt.Errorf("beamseg: %w", err)
	}
	failures, err := json.MarshalIndent(failed, "", " ")
	if err != nil {
		return fmt.Errorf("beamseg: %w", err)
	}
	name := fmt.Sprintf("%s-%05d-of-%05d", f.Prefix, shard, f.Shards)
	if err := write(ctx, name+".failed.json", append(failures, '\n')); err != nil {
		return fmt.Errorf("beamseg: %w", err)
	}
	if err := write(ctx, name+format.ending, text); err != nil {
		return fmt.Errorf("beamseg: %w", err)
	}
	emit(name + format.ending)
	return nil
}

// write writes a file, aside and renamed where the file system can. The name aside is its own, since a runner
// may repeat a bundle while a lost worker still writes.
func write(ctx context.Context, path string, text []byte) error {
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return err
	}
	defer fs.Close()
	rename, ok := fs.(filesystem.Renamer)
	if !ok {
		return filesystem.Write(ctx, fs, path, text)
	}
	aside := path + "." + rand.Text() + ".partial"
	if err := filesystem.Write(ctx, fs, aside, text); err != nil {
		return err
	}
	return rename.Rename(ctx, aside, path)
}
