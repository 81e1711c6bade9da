package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An answer is the response to a request, and what the log says about it.
type answer struct {
	http.ResponseWriter
	id     string
	start  time.Time
	status int    // 0 while nothing was sent
	code   string // of the Problem, if it is one
	attrs  []slog.Attr
}

func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	return &answer{ResponseWriter: w, id: requestID(r.Header.Get("X-Request-Id")), start: time.Now()}
}

// requestID returns the id that a client gives its request, if it suits a log, or a new one.
func requestID(given string) string {
	odd := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c))
	}
	if given != "" && len(given) <= 64 && strings.IndexFunc(given, odd) < 0 {
		return given
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Flush sends what was written; package grpc asks for it.
func (a *answer) Flush() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// attributes returns what the log says about the request.
func (a *answer) attributes(client string, r *http.Request) []slog.Attr {
	return append([]slog.Attr{
		slog.String("id", a.id), slog.String("client", client), slog.String("method", r.Method), slog.String("path", shortened(r.URL.Path)),
		slog.Int("status", a.status), slog.Duration("took", time.Since(a.start)),
	}, a.attrs...)
}

// maxText is the length of texts in the log and in messages, in bytes. Stacks of panics are longer than
// most.
const maxText = 4000

// shortened returns the beginning of a text.
func shortened(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// note adds to what the log says.
func note(w http.ResponseWriter, attrs ...slog.Attr) {
	if a, ok := w.(*answer); ok {
		a.attrs = append(a.attrs, attrs...)
	}
}

// send answers with a value as JSON.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		s.fail(w, r, asProblem(err))
		return
	}
	s.write(w, status, "application/json", append(text, '\n'))
}

// lastWrite is how long writing goes on when the server ends.
const lastWrite = time.Second

// writing limits the time of what is written until done is called, to less if the server ends meanwhile.
func (s *Server) writing(w http.ResponseWriter) (done func()) {
	conn := http.NewResponseController(w)
	if s.options.WriteTimeout > 0 {
		// A ResponseWriter without deadlines belongs to a server that does without them.
		_ = conn.SetWriteDeadline(time.Now().Add(s.options.WriteTimeout))
	}
	over := make(chan struct{})
	stop := context.AfterFunc(s.ctx, func() {
		defer close(over)
		if s.options.WriteTimeout <= 0 || s.options.WriteTimeout > lastWrite {
			_ = conn.SetWriteDeadline(time.Now().Add(lastWrite))
		}
	})
	return func() {
		if !stop() {
			<-over
		}
	}
}

// write answers with bytes, within the time that the server has for it.
func (s *Server) write(w http.ResponseWriter, status int, kind string, body []byte) {
	defer s.writing(w)()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		note(w, slog.String("unsent", err.Error()))
	}
}

// fail answers with a problem, unless an answer has begun or the client has left.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := *asProblem(err)
	logProblem(w, &p)
	if a, ok := w.(*answer); ok {
		if a.status != 0 {
			return
		}
		if p.Status == statusLeft {
			a.status = statusLeft // for the log: nobody reads it
			return
		}
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	switch {
	case isGRPC(r):
		s.failGRPC(w, r, &p)
	case strings.HasPrefix(r.URL.Path, "/v2"): // where an error is a sentence
		s.send(w, r, p.Status, map[string]string{"error": p.Message})
	default:
		s.send(w, r, p.Status, map[string]Problem{"error": p})
	}
}

// logProblem notes a problem for the log, and gives it the request's id. What it quotes of the request is
// cut: a call of gRPC has the message in a header.
func logProblem(w http.ResponseWriter, p *Problem) {
	p.Message = shortened(p.Message)
	note(w, slog.String("code", p.Code))
	if p.err != nil {
		note(w, slog.String("error", shortened(p.err.Error())))
	}
	if a, ok := w.(*answer); ok {
		p.RequestID, a.code = a.id, p.Code
	}
}
