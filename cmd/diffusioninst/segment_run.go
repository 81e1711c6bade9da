//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

// A segmentRun segments pictures one after the other. What is finished stays, however the run
// ends.
type segmentRun struct {
	cmd     *cobra.Command
	inputs  []segmentInput
	options diffusioninst.Options
	model   *diffusioninst.Model
	classes []coco.Category
	writers []*instanceWriter
	lines   *lineWriter     // with --output -, in place of writers; else nil
	traces  []string        // folder of each picture's trace; nil without --trace
	truth   *comparison     // nil without --gt
	journal *segmentJournal // nil for a single picture
	part    *shardRun       // nil without --shard

	measure  *measureFlags
	measures bool // a format needs pictures at the depth of their files

	bar          *progressbar.ProgressBar
	report       *report
	sizes        *sizeHint
	notes        pictureNotes
	allPages     bool // of standard input
	done, failed int  // pictures
}

// do segments all pictures. If it is stopped, by a signal or a full disk, it closes the files
// and prints the table of what is finished.
func (r *segmentRun) do(ctx context.Context) error {
	stop := r.loop(ctx)
	_ = r.bar.Finish()
	var errs []error
	if stop == nil || r.done > 0 {
		for _, w := range r.writers {
			errs = append(errs, w.Close(ctx))
		}
	}
	errs = append(errs, r.journal.close(), r.report.flush())
	for _, w := range r.writers {
		for _, text := range w.warnings() {
			warner(r.cmd)("%s", text)
		}
	}
	if hint := r.sizes.String(); hint != "" {
		warner(r.cmd)("%s", hint)
	}
	r.notes.print(r.cmd)
	r.measure.warn(warner(r.cmd))
	if r.truth != nil {
		r.truth.warn(warner(r.cmd))
		errs = append(errs, r.truth.write(r.cmd.OutOrStdout()))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(stop, err)
	}
	return stop
}

// loop returns nil if no picture is left, with an error for each that failed printed.
func (r *segmentRun) loop(ctx context.Context) error {
	for i, in := range r.inputs {
		var stream *picture.Stream
		if in.path == "-" {
			options := in.options
			if r.measures {
				options.Normalize = ""
			}
			stream = picture.NewStream(r.cmd.InOrStdin(), options)
			stream.AllPages = r.allPages
		}
		for k := 1; ; k++ {
			ended, err := r.next(ctx, i, k, stream)
			if err != nil {
				return err
			}
			if ended {
				break
			}
		}
		_ = r.bar.Add(1)
	}
	return nil
}

// next segments input i, or picture k of it if it is a stream. It prints an error of the
// picture, and returns those after which nothing more can be done. ended is true if the
// input has no more pictures.
func (r *segmentRun) next(ctx context.Context, i, k int, stream *picture.Stream) (ended bool, stop error) {
	err := ctx.Err()
	if err == nil {
		err = r.picture(ctx, i, k, stream)
	}
	switch {
	case err == nil:
		r.done++
	case err == io.EOF:
		return true, nil
	case ctx.Err() != nil:
		return true, r.stopped(ctx.Err())
	case diskFails(err), r.lines != nil && r.lines.err != nil:
		return true, r.stopped(err)
	default:
		r.part.failed(r.id(), r.inputs[i], inFlags(err))
		r.failed++
		_ = r.bar.Clear()
		fmt.Fprintln(r.cmd.ErrOrStderr(), "Error:", visible(inFlags(err).Error()))
	}
	return stream == nil, nil
}

// id returns the number of the next picture: among those of all shards, if there are several.
func (r *segmentRun) id() int64 {
	first := 1
	if r.part != nil {
		first = r.part.First
	}
	return int64(first + r.done + r.failed)
}

func (r *segmentRun) stopped(cause error) error {
	hint := ""
	if r.journal != nil {
		hint = ": the same command with --resume continues"
		if r.part != nil {
			hint = ": the same command continues"
		}
	}
	if r.failed > 0 {
		hint = fmt.Sprintf(", %d of which could not be segmented", r.failed) + hint
	}
	of := fmt.Sprintf(" of %s", counted(len(r.inputs), "picture"))
	if r.done+r.failed >= len(r.inputs) {
		of = " pictures" // of standard input nobody knows how many there are
	}
	return stopped(cause, "stopped after %d%s%s", r.done+r.failed, of, hint)
}

// picture segments input i, or picture k of it if it is a stream, or takes what an earlier run
// has found in it, and writes all files of it. It returns io.EOF behind a stream's last
// picture.
func (r *segmentRun) picture(ctx context.Context, i, k int, stream *picture.Stream) error {
	in := r.inputs[i]
	if k > 1 {
		in.name = fmt.Sprintf("stdin_%d.png", k)
	}
	id := r.id()
	if p := r.journal.find(in); p != nil && r.traced(i) {
		if err := r.keep(ctx, in, id, p); err != nil {
			return err
		}
		r.report.picture(p, "earlier")
		r.sizes.add(p)
		return nil
	}
	start, stamp := time.Now(), in.stamp()
	opened, source, err := r.open(ctx, in, stream)
	if err == io.EOF && k == 1 {
		err = &picture.Error{Path: in.path, Kind: picture.ErrEmpty, Reason: "no bytes"}
	}
	if err != nil {
		return err
	}
	defer opened.Close()
	r.notes.add(in.name, opened)
	img := opened.Image
	if r.traces != nil && inFile(img) {
		return fmt.Errorf("%v: --trace draws the whole picture at each step, and this one is too large to be read at once", in)
	}
	source.pixels = func() (image.Image, error) { return img, nil }
	options := r.options
	options.Normalize = picture.None // it was normalized when it was read
	var steps []*diffusioninst.StepResult
	if r.traces != nil {
		options.OnStep = func(s *diffusioninst.StepResult) { steps = append(steps, s) }
	}
	result, err := r.model.Segment(ctx, img, options)
	if err != nil {
		return fmt.Errorf("%v: %w", in, err)
	}
	result.Instances = slices.DeleteFunc(result.Instances, func(v diffusioninst.Instance) bool {
		return !r.measure.keep(v.Area(), v.Mask.Box(), result.Width, result.Height)
	})
	if r.traces != nil {
		folder := r.traces[i]
		if k > 1 {
			folder = fmt.Sprintf("%s_%d", folder, k)
		}
		if err := writeTrace(img, steps, folder); err != nil {
			return err
		}
	}
	p := evaluation.LabeledImage(result, id, in.name, r.classes)
	if r.lines != nil {
		if err := r.lines.write(p); err != nil {
			return err
		}
	}
	for _, w := range r.writers {
		if err := w.Write(p, source); err != nil {
			return err
		}
	}
	if r.truth != nil {
		if err := r.truth.add(p, source.pixels); err != nil {
			return err
		}
	}
	if err := r.journal.add(in, stamp, p); err != nil {
		return err
	}
	if r.lines == nil { // the table is kept to its end, a stream may have none
		r.report.add(p, result, time.Since(start))
	}
	r.sizes.add(p)
	return nil
}

// open reads a picture as the model sees it. If formats measure, it is read at the depth of
// its file first.
func (r *segmentRun) open(ctx context.Context, in segmentInput, stream *picture.Stream) (*picture.Picture, *pictureSource, error) {
	source := &pictureSource{pixelSize: r.measure.pixelSize}
	if !r.measures {
		opened, err := in.open(ctx, stream)
		return opened, source, err
	}
	var err error
	if stream != nil { // which the run has made without normalization
		source.opened = &original{}
		if source.opened.Picture, err = in.open(ctx, stream); err == nil {
			source.opened.channels = source.opened.Samples()
			if held, all := len(source.opened.channels), len(source.opened.Channels); held < all {
				source.opened.Notes = append(source.opened.Notes, fmt.Sprintf("of %d channels only those that are segmented are measured: standard input is read once", all))
			}
		}
	} else {
		source.opened, err = in.original(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	seen, err := source.opened.Normalized(in.options.Normalize)
	return seen, source, err
}

// keep adds an earlier run's picture to the files that are about all pictures, and makes its
// own files where they are missing.
func (r *segmentRun) keep(ctx context.Context, in segmentInput, id int64, p *coco.LabeledImage) error {
	same := p.ImageID == id && p.FileName == in.name // what its files say
	p.ImageID, p.FileName = id, in.name
	var open []*picture.Picture
	defer func() {
		for _, p := range open {
			_ = p.Close()
		}
	}()
	source := &pictureSource{
		pixels: func() (image.Image, error) {
			opened, err := in.open(ctx, nil)
			if err != nil {
				return nil, err
			}
			open = append(open, opened)
			return opened.Image, nil
		},
		original: func() (*original, error) {
			o, err := in.original(ctx)
			if err == nil {
				open = append(open, o.Picture)
			}
			return o, err
		},
		pixelSize: r.measure.pixelSize,
	}
	for _, w := range r.writers {
		if err := w.Keep(p, source, same); err != nil {
			return err
		}
	}
	if r.truth != nil {
		return r.truth.add(p, source.pixels)
	}
	return nil
}

// traced reports whether the trace of picture i is there, if one is asked for.
func (r *segmentRun) traced(i int) bool {
	if r.traces == nil {
		return true
	}
	_, err := os.Stat(filepath.Join(r.traces[i], traceAnimation))
	return err == nil
}
