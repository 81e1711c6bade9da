package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/diffusioninst/go/picture"
)

// The models in the Open Inference Protocol, version 2
// (https://github.com/kserve/open-inference-protocol): one picture's file as BYTES in, and the
// answer of /v1/segment as BYTES out. Parameters of the request are the options of /v1/segment.
const (
	inputTensor  = "image"
	outputTensor = "result"
	modelVersion = "1"
	serverName   = "diffusioninst"
)

// An inference is a request of the protocol.
type inference struct {
	model, version, id string
	options            url.Values
	image              []byte  // until it is decoded
	held               int64   // by the place, of the request
	shape              []int64 // of the input, and of the output
	binary             bool    // of REST: the output comes after the JSON
}

func badInference(format string, args ...any) *Problem {
	return problem(http.StatusBadRequest, "bad_inference", format, args...)
}

// check refuses what is not one picture.
func (in *inference) check(name, datatype string) error {
	count := int64(1)
	for _, n := range in.shape {
		if n != 1 {
			count = 0
		}
	}
	switch {
	case name != inputTensor:
		return badInference("the input is named %q: the one of these models is %q", name, inputTensor)
	case len(in.id) > 1000:
		return badInference("the id has %d bytes: at most 1000", len(in.id))
	case datatype != "BYTES":
		return badInference("the input's datatype is %q: send the picture's file as one element of BYTES", datatype)
	case count != 1 || len(in.shape) < 1 || len(in.shape) > 2:
		return badInference("the input's shape is %v: one picture is [1] or [1,1]", in.shape)
	}
	return nil
}

// set keeps a parameter as an option.
func (in *inference) set(name string, value any) error {
	switch value.(type) {
	case string, bool, int64, uint64, float64, fmt.Stringer:
		in.options.Set(name, fmt.Sprint(value))
		return nil
	}
	return badInference("the parameter %s is neither text nor a number", name)
}

// infer answers a request that parse reads from a body, by send.
func (s *Server) infer(w http.ResponseWriter, r *http.Request, parse func(body []byte, p *place) (*inference, error), send func(in *inference, result []byte)) {
	s.inside(w, r, func(ctx context.Context, p *place) bool {
		body, err := s.body(ctx, w, r, p, readWhole)
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		in, err := parse(body, p)
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		result, left, err := s.runInference(ctx, w, p, in)
		if err != nil {
			s.fail(w, r, err)
		} else {
			send(in, result)
		}
		return !left
	})
}

// runInference returns the result for a picture. left says that the place is the scheduler's, since
// the request's time ended before.
func (s *Server) runInference(ctx context.Context, w http.ResponseWriter, p *place, in *inference) (result []byte, left bool, err error) {
	note(w, slog.String("inference", in.id))
	j, seen, q, err := s.inferenceJob(ctx, w, p, in)
	if err != nil {
		return nil, false, err
	}
	if left, err := s.finished(ctx, w, p, j); err != nil {
		return nil, left, err
	}
	_, result, err = s.result(w, q, seen, j)
	return result, false, err
}

// finished waits for a job. left says that the place is the scheduler's, since the request's time ended
// before.
func (s *Server) finished(ctx context.Context, w http.ResponseWriter, p *place, j *job) (left bool, err error) {
	s.scheduler.add(j)
	select {
	case <-j.done:
		j.note(w)
		if j.err != nil {
			return false, ended(ctx, j.err)
		}
		return false, nil
	case <-ctx.Done():
		s.scheduler.abandon(j, p.leave)
		return true, ended(ctx, ctx.Err())
	}
}

func (s *Server) inferenceJob(ctx context.Context, w http.ResponseWriter, p *place, in *inference) (*job, *picture.Picture, *query, error) {
	if _, err := s.named(in.model, in.version); err != nil {
		return nil, nil, nil, err
	}
	if in.options.Has("model") {
		return nil, nil, nil, problem(http.StatusBadRequest, "unknown_option", "the model has its own place in the request: it is not a parameter")
	}
	in.options.Set("model", in.model)
	q, err := parseValues(in.options, nil, s.options.Segment)
	if err != nil {
		return nil, nil, nil, err
	}
	e, err := s.choose(q)
	if err != nil {
		return nil, nil, nil, err
	}
	j, seen, err := s.job(ctx, w, p, q, e, in.image, in.held)
	in.image = nil // its memory is free: the place holds that of the pixels only
	return j, seen, q, err
}
