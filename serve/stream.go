package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
)

// maxStreamSteps bounds the events that wait for a client that reads slowly.
const maxStreamSteps = 100

// Step is the data of an event "step" of a stream: what one denoising step has found.
type Step struct {
	Restart   int        `json:"restart,omitempty"` // from 0, if the picture is sampled more than once
	Step      int        `json:"step"`              // from 0
	Steps     int        `json:"steps"`
	Time      int        `json:"time"` // of the diffusion: the noisiest is the first
	Instances []Instance `json:"instances"`
}

// stream answers a request for the instances in a picture with server-sent events: one "step"
// per denoising step, and then "result" with an Answer, or "error". What is wrong before the
// first step is an answer with its own status.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	accept := r.Header.Values("Accept")
	if accepted(accept, "text", "event-stream") == 0 {
		s.fail(w, r, problem(http.StatusNotAcceptable, "not_acceptable", "the answer is text/event-stream; Accept excludes it"))
		return
	}
	r.Header.Del("Accept") // the events hold JSON
	s.inside(w, r, func(ctx context.Context, p *place) bool {
		j, seen, q, err := s.prepare(ctx, w, r, p)
		if err == nil {
			err = q.streamable(j)
		}
		if err != nil {
			s.fail(w, r, err)
			return true
		}
		e := &eventWriter{s: s, w: w}
		steps := make(chan []byte, maxStreamSteps)
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		j.ctx = ctx
		j.likes = batchKey{} // it runs alone
		j.step = func(at *diffusioninst.StepResult, classes []string) {
			text, err := json.Marshal(Step{at.Restart, at.Step, at.Steps, at.Time, q.instances(at.Result, classes)})
			if err == nil {
				err = p.more(int64(len(text)))
			}
			if err != nil {
				cancel(err)
				return
			}
			select {
			case steps <- text: // there is room for all steps, unless the model was replaced by one with more
			case <-ctx.Done():
			}
		}
		send := func(text []byte) {
			e.write("step", text)
			_ = p.more(-int64(len(text))) // less is not refused
		}
		s.scheduler.add(j)
		for {
			select {
			case text := <-steps:
				send(text)
			case <-j.done:
				for len(steps) > 0 {
					send(<-steps)
				}
				j.note(w)
				if j.err != nil {
					e.fail(r, ended(ctx, j.err))
					return true
				}
				_, text, err := q.encodeJSON(seen, j)
				if err != nil {
					e.fail(r, err)
					return true
				}
				e.write("result", bytes.TrimSpace(text))
				return true
			case <-ctx.Done():
				s.scheduler.abandon(j, p.leave)
				e.fail(r, ended(ctx, ctx.Err()))
				return false
			}
		}
	})
}

// streamable refuses other forms than JSON as the answer, and more steps than may wait.
func (q *query) streamable(j *job) error {
	if q.output != "json" {
		return problem(http.StatusBadRequest, "bad_option", "output=%s: a stream is of JSON", q.output)
	}
	c := j.model.model.Load().Config().Sampling
	if q.options.Sampling != nil {
		c = *q.options.Sampling
	}
	steps, restarts := cmp.Or(q.options.Steps, c.Steps), max(q.options.Restarts, 1)
	if steps > maxStreamSteps/restarts {
		return problem(http.StatusBadRequest, "bad_option", "%d steps, %d times: a stream has at most %d", steps, restarts, maxStreamSteps)
	}
	return nil
}

// An eventWriter sends server-sent events.
type eventWriter struct {
	s     *Server
	w     http.ResponseWriter
	begun bool
}

// write sends an event. Its data is a line. A client that has left ends the request's context.
func (e *eventWriter) write(name string, data []byte) {
	if !e.begun {
		e.begun = true
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		e.w.WriteHeader(http.StatusOK)
	}
	defer e.s.writing(e.w)()
	_, _ = fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", name, data)
	conn := http.NewResponseController(e.w)
	_ = conn.Flush()
	_ = conn.SetWriteDeadline(time.Time{}) // HTTP/2 would end the stream there, though nothing is to be written
}

// fail sends an error as an event, or as an answer if there was no event before.
func (e *eventWriter) fail(r *http.Request, err error) {
	if !e.begun {
		e.s.fail(e.w, r, err)
		return
	}
	p := *asProblem(err)
	logProblem(e.w, &p)
	text, err := json.Marshal(map[string]Problem{"error": p})
	if err == nil && p.Status != statusLeft {
		e.write("error", text)
	}
}
