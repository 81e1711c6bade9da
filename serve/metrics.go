package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/diffusioninst/go/torch"
)

const namespace = "diffusioninst"

// metrics count what a server does, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	rejected *prometheus.CounterVec
	stages   *prometheus.HistogramVec
	batches  prometheus.Histogram
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "rejected_total", Help: "Requests that were refused or failed, by the code of the error.",
		}, []string{"code"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "stage_seconds", Help: "Time of requests in each stage: read, decode, queue, segment, encode.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"stage"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "batch_size", Help: "Pictures per call of a model.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
	}
	m.registry.MustRegister(m.requests, m.rejected, m.stages, m.batches,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, g := range []struct {
		name, help string
		value      func() int64
	}{
		{"ready", "1 if /readyz says so.", func() int64 {
			if s.isReady() {
				return 1
			}
			return 0
		}},
		{"places", "Requests that can be admitted at a time.", func() int64 { return int64(s.admission.places) }},
		{"places_taken", "Requests that are admitted.", func() int64 { return int64(s.admission.count()) }},
		{"queue_length", "Pictures that wait for a model.", func() int64 { waiting, _ := s.scheduler.load(); return int64(waiting) }},
		{"calls_running", "Calls of models that run.", func() int64 { _, running := s.scheduler.load(); return int64(running) }},
		{"held_bytes", "Memory that admitted requests hold, by estimate.", func() int64 { _, held := s.admission.load(); return held }},
		{"held_limit_bytes", "The most of it.", func() int64 { return s.admission.limit }},
		{"tensors_live", "Tensors in the process.", torch.Live},
		{"device_memory_bytes", "Memory that LibTorch keeps on GPUs.", torch.CachedMemory},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: g.name, Help: g.help},
			func() float64 { return float64(g.value()) }))
	}
	return m
}

// request counts an answer. route is the pattern that the request has met, of which there are few.
func (m *metrics) request(route string, a *answer) {
	m.requests.WithLabelValues(route, strconv.Itoa(a.status)).Inc()
	if a.code != "" {
		m.rejected.WithLabelValues(a.code).Inc()
	}
}

// stage counts how long a request was in one of its stages.
func (m *metrics) stage(name string, d time.Duration) {
	m.stages.WithLabelValues(name).Observe(d.Seconds())
}

// call counts a call of a model.
func (m *metrics) call(jobs []*job, took time.Duration) {
	for _, j := range jobs {
		m.stage("queue", j.waited)
		m.stage("segment", took)
	}
	m.batches.Observe(float64(len(jobs)))
}

// Metrics returns a handler that answers with the server's figures in Prometheus's text format, or
// OpenMetrics. It belongs on an address for operators: see RequireToken. Figures of the process, such as
// its memory, are of all servers in it.
func (s *Server) Metrics() http.Handler {
	if s.made() != nil {
		return s // which says so
	}
	return promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
