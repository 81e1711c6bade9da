package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/diffusioninst/go/diffusioninst"
	pb "github.com/diffusioninst/go/serve/internal/inference"
)

// A Server is an http.Handler that segments pictures. It is safe for concurrent use.
type Server struct {
	options   Options
	models    map[string]*entry
	tokens    [][sha256.Size]byte
	admission *admission
	scheduler *scheduler
	metrics   *metrics
	mux       *http.ServeMux
	grpc      *grpc.Server
	refuser   *grpc.Server // answers calls with a Problem, unread
	serving   *health.Server
	routes    []string // method and path, as in /openapi.json
	warm      atomic.Bool
	ctx       context.Context // of all requests; done when Shutdown gives up
	cancel    context.CancelCauseFunc
}

// New returns a server of models by name, which stay the caller's: close them after Shutdown.
// A request that names no model gets the only one, or the one named "default". Options that are
// impossible, for any of the models, are an error.
func New(models map[string]*diffusioninst.Model, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(models) == 0 {
		return nil, errors.New("serve: a server needs a model")
	}
	s := &Server{
		options: o, models: map[string]*entry{}, mux: http.NewServeMux(),
		admission: &admission{places: o.places(), perClient: o.PerClient, limit: o.MaxHeld, clients: map[string]*share{}},
		scheduler: &scheduler{workers: o.Workers, batch: o.Batch, wait: o.BatchWait, waiting: map[string][]*job{}},
	}
	s.scheduler.took = s.admission.took
	s.metrics = newMetrics(s)
	s.scheduler.metrics = s.metrics
	for name, m := range models {
		if name == "" || m == nil {
			return nil, fmt.Errorf("serve: the model named %q: a name and a model are required", name)
		}
		if err := m.Check(o.Segment); err != nil {
			return nil, fmt.Errorf("serve: model %s: %w", name, err)
		}
		e := &entry{name: name}
		e.model.Store(m)
		s.models[name] = e
	}
	for _, token := range o.Tokens {
		s.tokens = append(s.tokens, sha256.Sum256([]byte(token)))
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.route("POST", "/v1/segment", s.segment)
	s.route("POST", "/v1/segment/stream", s.stream)
	s.route("GET", "/v1/models", s.listModels)
	s.route("GET", "/healthz", s.health)
	s.route("GET", "/readyz", s.ready)
	s.routeInference()
	s.routePage()
	if o.LabelStudio != nil {
		if err := s.routeLabelStudio(); err != nil {
			return nil, err
		}
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem(http.StatusNotFound, "not_found", "there is nothing at %s", r.URL.Path))
	})
	return s, nil
}

// probes are the paths that need no token.
var probes = map[string]bool{
	"/healthz": true, "/readyz": true, "/v2/health/live": true, "/v2/health/ready": true,
	pb.GRPCInferenceService_ServerLive_FullMethodName: true, pb.GRPCInferenceService_ServerReady_FullMethodName: true,
	healthpb.Health_Check_FullMethodName: true, healthpb.Health_Watch_FullMethodName: true,
}

// open are the other paths that need none: the page, which sends a token with its own requests, and the
// description of the paths.
var open = map[string]bool{"/": true, "/page/app.js": true, "/page/style.css": true, "/openapi.json": true}

// route answers a method at a path, and says which method it is to all others.
func (s *Server) route(method, path string, f http.HandlerFunc) {
	s.routes = append(s.routes, method+" "+path)
	s.mux.HandleFunc(method+" "+path, f)
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", method)
		s.fail(w, r, problem(http.StatusMethodNotAllowed, "method", "%s takes %s", path, method))
	})
}

// made returns an error for a server that is not one.
func (s *Server) made() error {
	if s == nil || s.mux == nil {
		return errors.New("serve: the Server is nil, or was not made by New")
	}
	return nil
}

// ServeHTTP answers a request and logs a line about it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.made(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	a := newAnswer(w, r)
	defer s.finish(a, r)
	a.Header().Set("X-Request-Id", a.id)
	if s.admission.isClosed() {
		a.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 && s.options.ReadTimeout > 0 {
		// Package http reads a body that no handler has read before it sends the answer, and would wait for it.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.options.ReadTimeout))
	}
	if !probes[r.URL.Path] && !open[r.URL.Path] && !s.allowed(r) {
		s.refuseToken(a, r)
		return
	}
	s.mux.ServeHTTP(a, r)
}

// finish logs an answer. A panic becomes an answer if nothing was sent.
func (s *Server) finish(a *answer, r *http.Request) {
	value := recover()
	if value == http.ErrAbortHandler {
		panic(value)
	}
	if value != nil {
		err := fmt.Errorf("panic: %v", value)
		s.fail(a, r, asProblem(err))
	}
	level := slog.LevelInfo
	switch {
	case a.status >= 500:
		level = slog.LevelError
	case probes[r.URL.Path]:
		level = slog.LevelDebug
	}
	s.metrics.request(r.Pattern, a)
	s.options.Log.LogAttrs(r.Context(), level, "request", a.attributes(s.options.Client(r), r)...)
}

// RequireToken returns a handler that refuses requests without one of Options.Tokens, if there are
// any: for pages of operators beside the server, such as Metrics.
func (s *Server) RequireToken(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.made(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if !s.allowed(r) {
			s.refuseToken(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) refuseToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	s.fail(w, r, problem(http.StatusUnauthorized, "token", "a token is required: Authorization: Bearer TOKEN"))
}

// allowed reports whether a request has one of the tokens. It takes as long for any token.
func (s *Server) allowed(r *http.Request) bool {
	if len(s.tokens) == 0 {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if _, password, ok := r.BasicAuth(); ok {
		scheme, token = "Bearer", password
	}
	has := sha256.Sum256([]byte(strings.TrimSpace(token)))
	same := 0
	for _, want := range s.tokens {
		same |= subtle.ConstantTimeCompare(has[:], want[:])
	}
	return same == 1 && strings.EqualFold(scheme, "Bearer")
}

// Warm segments a picture with each model, after which /readyz says that the server is ready:
// the first call of a model takes longer than others.
func (s *Server) Warm(ctx context.Context) error {
	if err := s.made(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		if err := warm(ctx, s.models[name].model.Load(), s.options.Segment); err != nil {
			return fmt.Errorf("serve: warming up model %s: %w", name, err)
		}
	}
	s.warm.Store(true)
	s.serving.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	return nil
}

func warm(ctx context.Context, m *diffusioninst.Model, o diffusioninst.Options) error {
	if len(o.Augment.Scales) == 0 {
		o.Scales = &diffusioninst.Scales{Factors: []float64{1}} // one size does
	}
	for range m.Devices() { // each in turn
		if _, err := m.Segment(ctx, image.NewGray(image.Rect(0, 0, 256, 256)), o); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown makes the server not ready, refuses new requests with 503, and waits until those that
// were admitted have their answers. If ctx ends before, they are cancelled and get 503, too, and
// its error is returned once they have ended. The models can be closed then. Calling it again
// waits again.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.made(); err != nil {
		return err
	}
	s.serving.Shutdown() // NOT_SERVING, also to those who watch
	err := s.admission.close(ctx)
	if err == nil {
		s.cancel(stopping()) // of those who watch
		return nil
	}
	left := s.admission.count()
	s.cancel(stopping())
	_ = s.admission.close(context.Background())
	return fmt.Errorf("serve: %d requests were not finished in time: %w", left, err)
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	s.send(w, r, http.StatusOK, map[string]bool{"live": true})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if !s.isReady() {
		status = http.StatusServiceUnavailable
	}
	s.send(w, r, status, map[string]bool{"ready": s.isReady()})
}

func (s *Server) isReady() bool { return s.warm.Load() && !s.admission.isClosed() }

// ModelInfo describes a model of a server.
type ModelInfo struct {
	Name      string   `json:"name"`
	Device    string   `json:"device"`    // or several, separated by commas
	Precision string   `json:"precision"` // of products: float32, bfloat16 or float16
	Classes   []string `json:"classes"`
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := make([]ModelInfo, 0, len(s.models))
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		m := s.models[name].model.Load()
		var devices []string
		for _, d := range m.Devices() {
			devices = append(devices, d.String())
		}
		list = append(list, ModelInfo{name, strings.Join(devices, ","), m.Precision().String(), m.Config().Classes})
	}
	s.send(w, r, http.StatusOK, map[string][]ModelInfo{"models": list})
}

// find returns the model that a request means.
func (s *Server) find(name string) (*entry, error) {
	if name == "" && len(s.models) == 1 {
		for _, e := range s.models {
			return e, nil
		}
	}
	if e := s.models[cmp.Or(name, "default")]; e != nil {
		return e, nil
	}
	if name == "" {
		return nil, problem(http.StatusBadRequest, "choose_model", "say which model: model=NAME, one of %s", s.names())
	}
	return nil, s.unknownModel(name)
}

func (s *Server) names() string { return strings.Join(slices.Sorted(maps.Keys(s.models)), ", ") }

func (s *Server) unknownModel(name string) error {
	return problem(http.StatusNotFound, "unknown_model", "there is no model %q, but %s", name, s.names())
}
