package beamseg

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

func init() {
	beam.RegisterType(reflect.TypeFor[Picture]())
	beam.RegisterType(reflect.TypeFor[Found]())
	register.DoFn3x1[context.Context, Picture, func(Found), error](&segmentFn{})
	register.Emitter1[Found]()
}

// A Picture is one to be segmented: a path, or an address in a file system that the pipeline's program has
// registered with Beam (local, gs, s3), and the id that its results get.
type Picture struct {
	ID   int64
	Path string
}

// Found is what was found in a picture, or why nothing could be.
type Found struct {
	ID     int64
	Path   string
	Lines  []byte // in Options.Format: COCO results, one per line, a line of GeoJSON, or a table; nil if the picture failed
	Failed string // why the picture could not be segmented; empty if it was
}

// Options are the settings of Segment.
type Options struct {
	Weights string  // a checkpoint that every worker can read; "builtin:nuclei" if empty
	Device  string  // of each worker: "cpu" (if empty), "cuda", "cuda:N", or "auto", a GPU where there is one
	Steps   int     // of denoising; the model's own number if zero
	Score   float64 // below which instances are dropped; the model's own if zero, none if negative
	Limit   int     // greatest number of instances per picture; all if zero or negative
	Seed    uint64  // of the noise, which is the same for each picture
	Format  string  // of what is found: "coco" (if empty), "geojson" or "csv"; see Write
}

// model returns the options of the model's call.
func (o Options) model() diffusioninst.Options {
	return diffusioninst.Options{Steps: o.Steps, Score: o.Score, Limit: o.Limit, Seed: o.Seed}
}

// Segment runs a model on pictures, a PCollection of [Picture], and returns a PCollection of [Found] with an
// element for each. A picture that is broken, missing or too large is recorded, and does not fail the bundle; the
// counters diffusioninst/segmented and diffusioninst/failed say how many there are (see [Count]). What says nothing about the
// picture (a file system that does not answer or is not registered, memory that ran out) fails the bundle, which a runner may
// repeat; weights that cannot be read, a device that is not there, or options that contradict the model, fail the
// pipeline. A process loads the model once and segments one picture at a time, on all cores or one GPU, whatever the
// number of bundles.
func Segment(s beam.Scope, pictures beam.PCollection, o Options) beam.PCollection {
	s = s.Scope("diffusioninst.Segment")
	o.Weights, o.Device = cmp.Or(o.Weights, builtin), cmp.Or(o.Device, "cpu")
	return beam.ParDo(s, &segmentFn{Options: o}, beam.Reshuffle(s, pictures))
}

// A segmentFn is a DoFn. Its exported field is what Beam sends to the workers.
type segmentFn struct {
	Options Options

	shared            *shared
	format            format
	segmented, failed beam.Counter
	took              beam.Distribution
}

// Setup takes the process's model.
func (f *segmentFn) Setup(ctx context.Context) (err error) {
	f.segmented, f.failed = beam.NewCounter(counters, "segmented"), beam.NewCounter(counters, "failed")
	f.took = beam.NewDistribution(counters, "segment_ms")
	if f.format, err = formatOf(f.Options.Format); err != nil {
		return err
	}
	if f.shared, err = modelOf(ctx, f.Options.Weights, f.Options.Device); err == nil {
		err = f.shared.model.Check(f.Options.model())
	}
	if err != nil {
		return fmt.Errorf("beamseg: %w", err)
	}
	return nil
}

// ProcessElement segments a picture.
func (f *segmentFn) ProcessElement(ctx context.Context, p Picture, emit func(Found)) error {
	out := Found{ID: p.ID, Path: p.Path}
	begin := time.Now()
	lines, err := f.segment(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err == nil:
		f.segmented.Inc(ctx, 1)
		f.took.Update(ctx, time.Since(begin).Milliseconds())
		out.Lines = lines
	case ofPicture(err):
		f.failed.Inc(ctx, 1)
		log.Warnf(ctx, "%s: %v", p.Path, err)
		out.Failed = err.Error()
	default:
		return fmt.Errorf("beamseg: picture %d, %s: %w", p.ID, p.Path, err)
	}
	emit(out)
	return nil
}

// segment returns the results of a picture.
func (f *segmentFn) segment(ctx context.Context, p Picture) ([]byte, error) {
	img, err := read(ctx, p.Path)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	found, err := f.shared.segment(ctx, img.Image, f.Options.model())
	if err != nil {
		return nil, err
	}
	classes := evaluation.Categories(f.shared.model.Config().Classes)
	return f.format.lines(evaluation.LabeledImage(found, p.ID, p.Path, classes))
}

// read reads a picture from a file system that Beam knows. What is wrong with the picture is a *picture.Error.
func read(ctx context.Context, path string) (*picture.Picture, error) {
	fs, err := filesystem.New(ctx, path)
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	text, err := filesystem.Read(ctx, fs, path)
	if err != nil && unreadable(ctx, fs, path, err) {
		err = &picture.Error{Kind: picture.ErrRead, Reason: err.Error(), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return picture.Decode(bytes.NewReader(text), picture.Options{})
}
