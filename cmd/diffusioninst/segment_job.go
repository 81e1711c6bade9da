//go:build cgo

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// A segmentJob is a picture on its way through a segmentRun.
type segmentJob struct {
	segmentInput
	input, number int  // which of the run's inputs, and which picture of it from 1 on
	last          bool // the input has no further picture
	stamp         string
	known         *coco.LabeledImage // what an earlier run has found; nil if it is to be segmented
	opened        *picture.Picture
	source        *pictureSource
	result        *diffusioninst.Result
	steps         []*diffusioninst.StepResult
	slots         int           // of the run's, which begin has taken
	took          time.Duration // to read and segment it
	err           error         // io.EOF behind the last picture of a stream
}

func (j *segmentJob) close(r *segmentRun) {
	j.end(r)
	if j.opened != nil {
		_ = j.opened.Close()
	}
}

// A segmentReader reads the pictures of a run.
type segmentReader struct {
	run           *segmentRun
	input, number int // of the picture before
	stream        *picture.Stream
}

// read reads the next picture; more is false if there is none.
func (s *segmentReader) read(ctx context.Context) (j *segmentJob, more bool) {
	r := s.run
	if s.stream == nil || s.number == 0 {
		if s.input == len(r.inputs) {
			return nil, false
		}
		s.stream = r.stream(r.inputs[s.input])
	}
	s.number++
	j = &segmentJob{segmentInput: r.inputs[s.input], input: s.input, number: s.number}
	if j.number > 1 {
		j.name = fmt.Sprintf("stdin_%d.png", j.number)
	}
	start := time.Now()
	j.read(ctx, r, s.stream)
	j.took = time.Since(start)
	if j.last = s.stream == nil || j.err == io.EOF; j.last {
		s.input, s.number, s.stream = s.input+1, 0, nil
	}
	if j.err == io.EOF && j.number == 1 {
		j.err = &picture.Error{Path: j.path, Kind: picture.ErrEmpty, Reason: "no bytes"}
	}
	return j, true
}

// stream returns nil unless the input is standard input.
func (r *segmentRun) stream(in segmentInput) *picture.Stream {
	if in.path != "-" {
		return nil
	}
	options := in.options
	if r.measures {
		options.Normalize = ""
	}
	stream := picture.NewStream(r.cmd.InOrStdin(), options)
	stream.AllPages = r.allPages
	return stream
}

func (j *segmentJob) read(ctx context.Context, r *segmentRun, stream *picture.Stream) {
	if j.err = ctx.Err(); j.err != nil {
		return
	}
	known, err := await(ctx, func() (*coco.LabeledImage, error) { return r.journal.find(ctx, j.segmentInput), nil })
	if err != nil {
		j.err = err
		return
	}
	if known != nil && r.traced(j.input) {
		j.known = known
		return
	}
	if j.err = j.begin(ctx, r); j.err != nil {
		return
	}
	j.opened, j.source, j.stamp, j.err = r.open(ctx, j.segmentInput, stream)
}

// segment lets the network see a picture.
func (r *segmentRun) segment(ctx context.Context, j *segmentJob) {
	if j.err != nil || j.known != nil {
		return
	}
	start := time.Now()
	r.notes.add(j.name, j.opened)
	img := j.opened.Image
	if r.traces != nil && inFile(img) {
		j.err = fmt.Errorf("%v: --trace draws the whole picture at each step, and this one is too large to be read at once", j.segmentInput)
		return
	}
	options := r.options
	options.Normalize = picture.None // it was normalized when it was read
	if r.traces != nil {
		options.OnStep = func(s *diffusioninst.StepResult) { j.steps = append(j.steps, s) }
	}
	result, err := r.model.Segment(ctx, img, options)
	if err != nil {
		j.err = fmt.Errorf("%v: %w", j.segmentInput, err)
		return
	}
	result.Instances = slices.DeleteFunc(result.Instances, func(v diffusioninst.Instance) bool {
		return !r.measure.keep(v.Area(), v.Mask.Box(), result.Width, result.Height)
	})
	j.result = result
	j.took += time.Since(start)
}

// open reads a picture as the model sees it. If formats measure, it is read at the depth of
// its file first.
func (r *segmentRun) open(ctx context.Context, in segmentInput, stream *picture.Stream) (p *picture.Picture, source *pictureSource, stamp string, err error) {
	source = &pictureSource{pixelSize: r.measure.pixelSize}
	if !r.measures {
		p, stamp, err = in.open(ctx, stream)
		return p, source, stamp, err
	}
	if stream != nil { // which the run has made without normalization
		source.opened = &original{}
		if source.opened.Picture, _, err = in.open(ctx, stream); err == nil {
			source.opened.channels = source.opened.Samples()
			if held, all := len(source.opened.channels), len(source.opened.Channels); held < all {
				source.opened.Notes = append(source.opened.Notes, fmt.Sprintf("of %d channels only those that are segmented are measured: standard input is read once", all))
			}
		}
	} else {
		source.opened, err = in.original(ctx)
	}
	if err != nil {
		return nil, nil, "", err
	}
	p, err = source.opened.Normalized(in.options.Normalize)
	return p, source, source.opened.stamp, err
}

// traced reports whether the trace of picture i is there, if one is asked for.
func (r *segmentRun) traced(i int) bool {
	if r.traces == nil {
		return true
	}
	_, err := os.Stat(filepath.Join(r.traces[i], traceAnimation))
	return err == nil
}
