//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/pipeline"
	"github.com/diffusioninst/go/picture"
)

// A segmentRun segments pictures in their order. What is finished stays, however the run ends.
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
	flying  chan struct{}   // holds inFlight pictures of a shard

	measure  *measureFlags
	measures bool // a format needs pictures at the depth of their files

	bar          *progressbar.ProgressBar
	report       *report
	sizes        *sizeHint
	notes        pictureNotes
	allPages     bool // of standard input
	done, failed int  // pictures
	troubles     int  // that have failed in a row for what is passing
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

// loop returns nil if no picture is left, with an error for each that failed printed. While the network
// sees a picture, the files of the one before are written and then the next is read.
func (r *segmentRun) loop(ctx context.Context) error {
	next := segmentReader{run: r}
	err := pipeline.Run(ctx, pipeline.Stages[*segmentJob]{
		Read:  next.read,
		Work:  func(ctx context.Context, j *segmentJob) error { r.segment(ctx, j); return nil },
		Write: func(j *segmentJob) error { return r.write(ctx, j) },
		Drop:  func(j *segmentJob) { j.close(r) },
	})
	if done := ctx.Err(); done != nil && err == done {
		return r.stopped(done)
	}
	return err
}

// write writes all files of a picture. It prints an error of the picture, and returns those after
// which nothing more can be done.
func (r *segmentRun) write(ctx context.Context, j *segmentJob) error {
	defer j.close(r)
	err := j.err
	if err == nil {
		err = r.finish(ctx, j)
	}
	unread := j.err != nil && errors.Is(err, syscall.EIO) // the disk of the picture, not that of the results
	switch {
	case err == nil:
		r.done++
		r.troubles = 0
	case err == io.EOF:
	case ctx.Err() != nil:
		return r.stopped(ctx.Err())
	case diskFails(err) && !unread, r.lines != nil && r.lines.err != nil:
		return r.stopped(err)
	default:
		transient := passing(err) || j.err != nil && r.inputs[j.input].folderMissing()
		err = r.inputs[j.input].withLine(inFlags(err))
		r.part.failed(r.id(), r.inputs[j.input], err, transient)
		r.failed++
		_ = r.bar.Clear()
		fmt.Fprintln(r.cmd.ErrOrStderr(), "Error:", visible(err.Error()))
		if !transient {
			r.troubles = 0
		} else if r.troubles++; r.troubles == manyTroubles && !r.part.accepts() {
			return r.stopped(fmt.Errorf("%d pictures in a row failed for a reason that is not theirs (the last: %w)", manyTroubles, err))
		}
	}
	if j.last {
		_ = r.bar.Add(1)
	}
	return nil
}

// id returns the number of the next picture: among the pictures of all shards, if there are several.
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

// finish writes what was found in a picture, or what an earlier run has found in it.
func (r *segmentRun) finish(ctx context.Context, j *segmentJob) error {
	start, id := time.Now(), r.id()
	if j.known != nil {
		if err := r.keep(ctx, j.segmentInput, id, j.known); err != nil {
			return err
		}
		r.report.picture(j.known, "earlier")
		r.sizes.add(j.known)
		return nil
	}
	j.source.pixels = func() (image.Image, error) { return j.opened.Image, nil }
	if r.traces != nil {
		folder := r.traces[j.input]
		if j.number > 1 {
			folder = fmt.Sprintf("%s_%d", folder, j.number)
		}
		if err := writeTrace(j.opened.Image, j.steps, folder); err != nil {
			return err
		}
	}
	p := evaluation.LabeledImage(j.result, id, j.name, r.classes)
	if r.lines != nil {
		if err := r.lines.write(p); err != nil {
			return err
		}
	}
	if err := writeAll(r.writers, p, j.source, false); err != nil {
		return err
	}
	if r.truth != nil {
		if err := r.truth.add(p, j.source.pixels); err != nil {
			return err
		}
	}
	if err := r.journal.add(ctx, j.segmentInput, j.stamp, p); err != nil {
		return err
	}
	if r.lines == nil { // the table is kept to its end, a stream may have none
		r.report.add(p, j.result, j.took+time.Since(start))
	}
	r.sizes.add(p)
	return nil
}

// keep adds an earlier run's picture to the files that are about all pictures, and makes its
// own files where they are missing.
func (r *segmentRun) keep(ctx context.Context, in segmentInput, id int64, p *coco.LabeledImage) error {
	same := p.ImageID == id && p.FileName == string([]rune(in.name)) // what its files say, and what JSON makes of a name
	p.ImageID, p.FileName = id, in.name
	var open []*picture.Picture
	defer func() {
		for _, p := range open {
			_ = p.Close()
		}
	}()
	source := &pictureSource{
		pixels: func() (image.Image, error) {
			opened, _, err := in.open(ctx, nil)
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
	if err := writeAll(r.writers, p, source, same); err != nil {
		return err
	}
	if r.truth != nil {
		return r.truth.add(p, source.pixels)
	}
	return nil
}
