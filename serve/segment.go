package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

// Bytes per pixel that a request holds: while its picture is decoded, which may have samples of
// 64 bits, and afterwards with its copies in the answer.
const (
	decodingBytes = 32
	decodedBytes  = 16
)

// inside gives a request a place while f answers it. f returns false if the place is left to the
// scheduler, which runs the request's job still.
func (s *Server) inside(w http.ResponseWriter, r *http.Request, f func(ctx context.Context, p *place) bool) {
	p, err := s.admission.enter(s.options.Client(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ours := true
	defer func() {
		if ours {
			p.leave()
		}
	}()
	ctx, cancel := s.within(r.Context())
	defer cancel()
	ours = f(ctx, p)
}

// segment answers a request for the instances in a picture.
func (s *Server) segment(w http.ResponseWriter, r *http.Request) {
	s.inside(w, r, func(ctx context.Context, p *place) bool {
		j, seen, q, err := s.prepare(ctx, w, r, p)
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		return s.wait(ctx, w, r, p, j, func() { s.answer(ctx, w, r, j, seen, q) })
	})
}

// wait runs a job and then calls answer. It returns false if the request's time ended before.
func (s *Server) wait(ctx context.Context, w http.ResponseWriter, r *http.Request, p *place, j *job, answer func()) bool {
	s.scheduler.add(j)
	select {
	case <-j.done:
		answer()
		return true
	case <-ctx.Done():
		s.scheduler.abandon(j, p.leave)
		s.fail(w, r, ended(ctx, ctx.Err()))
		return false
	}
}

// answer sends the result of a job that is done.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, j *job, seen *picture.Picture, q *query) {
	j.note(w)
	if j.err != nil {
		s.fail(w, r, ended(ctx, j.err))
		return
	}
	kind, body, err := s.result(w, q, seen, j)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Server-Timing", fmt.Sprintf("queue;dur=%.1f, segment;dur=%.1f", milliseconds(j.waited), milliseconds(j.ran)))
	s.write(w, http.StatusOK, kind, body)
}

// note says in the log how a job went.
func (j *job) note(w http.ResponseWriter) {
	note(w, slog.Duration("waited", j.waited), slog.Duration("ran", j.ran), slog.Int("batch", j.batch))
	if j.result != nil {
		note(w, slog.Int("instances", len(j.result.Instances)))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// within returns the context of a request: it ends with its client, its time or the server.
func (s *Server) within(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	release := func() { stop(); cancel(nil) }
	if s.options.Timeout <= 0 {
		return ctx, release
	}
	timed, free := context.WithTimeout(ctx, s.options.Timeout)
	return timed, func() { free(); release() }
}

// ended returns why a request failed: what ended its context, or else the error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// prepare reads the request and its picture, and makes the job of it.
func (s *Server) prepare(ctx context.Context, w http.ResponseWriter, r *http.Request, p *place) (*job, *picture.Picture, *query, error) {
	q, err := parseQuery(r.URL.RawQuery, r.Header, s.options.Segment)
	if err != nil {
		return nil, nil, nil, err
	}
	e, err := s.choose(q)
	if err != nil {
		return nil, nil, nil, err
	}
	data, err := s.body(ctx, w, r, p, readPicture)
	if err != nil {
		return nil, nil, nil, err
	}
	j, seen, err := s.job(ctx, w, p, q, e, data, int64(len(data)))
	return j, seen, q, err
}

// choose returns the model that a query means, if it can do what is asked for.
func (s *Server) choose(q *query) (*entry, error) {
	e, err := s.find(q.model)
	if err != nil {
		return nil, err
	}
	return e, e.model.Load().Check(q.options)
}

// job reads a picture and makes the job of it. held is what the request's body holds.
func (s *Server) job(ctx context.Context, w http.ResponseWriter, p *place, q *query, e *entry, data []byte, held int64) (*job, *picture.Picture, error) {
	m, start := e.model.Load(), time.Now()
	seen, channels, err := s.read(ctx, p, q, m, data, held)
	s.metrics.stage("decode", time.Since(start))
	if err != nil {
		return nil, nil, ended(ctx, err)
	}
	note(w, slog.Int("bytes", len(data)))
	size := seen.Bounds().Size()
	note(w, slog.String("model", e.name), slog.Int("width", size.X), slog.Int("height", size.Y))
	q.options.Normalize = picture.None // it was normalized when it was read
	need, err := m.Need(q.options, size)
	if err != nil {
		return nil, nil, err
	}
	j := &job{ctx: ctx, client: p.client, model: e, picture: seen.Image, options: q.options, need: need.Bytes, most: callLimit(m, q.options), channels: channels}
	if need.Views == 1 {
		same := q.options
		same.Seed = 0
		j.likes = batchKey{e.name, fmt.Sprintf("%+v", same), need.Width, need.Height}
	}
	return j, seen, nil
}

// read reads the picture, in 8 bits as the model sees it, within the memory that there is, and for
// answers with measurements its channels at the depth of the file.
func (s *Server) read(ctx context.Context, p *place, q *query, m *diffusioninst.Model, data []byte, bodyHeld int64) (*picture.Picture, []picture.Channel, error) {
	o := q.picture
	o.MaxPixels, o.MaxSide, o.MaxBytes = s.options.MaxPixels, s.options.MaxSide, s.options.MaxBody
	normalize := cmp.Or(q.options.Normalize, s.normalizes(m))
	o.Admit = func(width, height int) error {
		need, err := m.Need(q.options, image.Pt(width, height))
		if err != nil {
			return err
		}
		if limit := callLimit(m, q.options); limit > 0 && need.Bytes > limit {
			return problem(http.StatusUnprocessableEntity, "needs_too_much", "the model needs about %d MB for it, and the limit is %d MB: send a smaller picture, or ask for fewer proposals or for tiles", need.Bytes/1e6, limit/1e6)
		}
		return p.hold(bodyHeld + decodingBytes*int64(width)*int64(height))
	}
	original, err := picture.Decode(&pictureReader{bytes.NewReader(data), ctx}, o)
	if err != nil {
		return nil, nil, err
	}
	seen, err := original.Normalized(normalize)
	if err != nil {
		return nil, nil, err
	}
	size, held, channels := seen.Bounds().Size(), int64(decodedBytes), []picture.Channel(nil)
	if outputs[q.output].measures {
		held, channels = decodingBytes, original.Samples()
	}
	return seen, channels, p.hold(held * int64(size.X) * int64(size.Y))
}

// A pictureReader reads a file until its request ends: a small one may have a hundred thousand pages.
type pictureReader struct {
	*bytes.Reader
	ctx context.Context
}

func (r *pictureReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// ReadAt is Read for TIFF.
func (r *pictureReader) ReadAt(p []byte, at int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.ReadAt(p, at)
}

// callLimit returns the MaxBytes of a call of the model; 0 or less for none.
func callLimit(m *diffusioninst.Model, o diffusioninst.Options) int64 {
	if o.MaxBytes == 0 && !m.Device().IsCUDA() {
		return diffusioninst.DefaultMaxBytes()
	}
	return o.MaxBytes
}

// body reads the body of a request by read. It ends with ctx, too.
func (s *Server) body(ctx context.Context, w http.ResponseWriter, r *http.Request, p *place, read func(r *http.Request, limit int64, p *place) ([]byte, error)) ([]byte, error) {
	start := time.Now()
	defer func() { s.metrics.stage("read", time.Since(start)) }()
	received := s.reading(ctx, w)
	data, err := read(r, s.options.MaxBody, p)
	received(err == nil)
	cause := context.Cause(ctx)
	if cause != nil && (err == nil || !errors.Is(cause, context.Canceled)) {
		return nil, cause
	}
	return data, err // package http cancels the request's context if it cannot be read
}

// reading gives the body of a request its time, which ends with ctx, too, until received is called
// for the first time. A body that was not received whole stays without time: package http would wait for
// the rest.
func (s *Server) reading(ctx context.Context, w http.ResponseWriter) (received func(whole bool)) {
	// A ResponseWriter without deadlines belongs to a server that does without them.
	conn := http.NewResponseController(w)
	if s.options.ReadTimeout > 0 {
		_ = conn.SetReadDeadline(time.Now().Add(s.options.ReadTimeout))
	}
	broken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(broken)
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	})
	var once sync.Once
	return func(whole bool) {
		once.Do(func() {
			switch {
			case !stop():
				<-broken
			case whole:
				_ = conn.SetReadDeadline(time.Time{}) // or its end would look like that of the client
			}
		})
	}
}

// Answer is what a request with JSON as its answer gets. Names are as in COCO's files.
type Answer struct {
	Model     string     `json:"model"`
	Width     int        `json:"width"`  // of the picture, upright, in pixels
	Height    int        `json:"height"` // of the picture, upright, in pixels
	Instances []Instance `json:"instances"`
	// Notes say what was taken of several possibilities, such as the first of several
	// channels, and Warnings what is wrong with the picture though it was read.
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Instance is one found object of an Answer, best score first.
type Instance struct {
	Category   string     `json:"category"`
	CategoryID int64      `json:"category_id"` // COCO's and LVIS's own, or from 1
	Score      float32    `json:"score"`       // 0 to 1
	Box        [4]float64 `json:"bbox"`        // x, y, width, height in pixels
	Area       int        `json:"area"`        // of the mask, in pixels
	// Segmentation is the mask: an *RLE, or with mask=polygons a [][]float64 of COCO's
	// polygons, or nil with mask=none.
	Segmentation any `json:"segmentation,omitempty"`
}

// RLE is a mask as COCO's compressed run lengths.
type RLE struct {
	Size   [2]int `json:"size"` // height, width
	Counts string `json:"counts"`
}

func (q *query) encodeJSON(seen *picture.Picture, j *job) (string, []byte, error) {
	a := Answer{
		Model: j.model.name, Width: j.result.Width, Height: j.result.Height, Instances: q.instances(j.result, j.classes),
		Notes: seen.Notes, Warnings: seen.Warnings,
	}
	text, err := json.Marshal(a)
	return "application/json", append(text, '\n'), err
}

// instances returns the instances of a result of a model with these classes.
func (q *query) instances(r *diffusioninst.Result, classes []string) []Instance {
	out := make([]Instance, 0, len(r.Instances))
	categories := evaluation.Categories(classes)
	for _, in := range r.Instances {
		v := Instance{Category: in.Name, CategoryID: categories[in.Class].ID, Score: in.Score, Box: in.Box.XYWH(), Area: in.Area()}
		switch q.mask {
		case "rle":
			m := coco.NewSegmentation(in.Mask.RLE())
			v.Segmentation = &RLE{[2]int{m.Height, m.Width}, m.Compressed}
		case "polygons":
			v.Segmentation = in.Mask.Polygons(q.tolerance)
		}
		out = append(out, v)
	}
	return out
}
