package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/diffusioninst/go/torch"
)

// metrics count what a server does.
type metrics struct {
	lock     sync.Mutex
	requests map[requestKey]int64
	rejected map[string]int64      // by code
	stages   map[string]*histogram // seconds
	batches  histogram
}

type requestKey struct {
	route  string
	status int
}

// A histogram counts values up to each bound, and all.
type histogram struct {
	bounds []float64
	counts []int64 // one more than bounds
	sum    float64
}

func (h *histogram) add(v float64) {
	if h.counts == nil {
		h.counts = make([]int64, len(h.bounds)+1)
	}
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

var (
	secondBounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
	batchBounds  = []float64{1, 2, 4, 8, 16, 32, 64}
)

// request counts an answer. route is the pattern that the request has met, of which there are few.
func (m *metrics) request(route string, a *answer) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.requests == nil {
		m.requests, m.rejected = map[requestKey]int64{}, map[string]int64{}
	}
	m.requests[requestKey{route, a.status}]++
	if a.code != "" {
		m.rejected[a.code]++
	}
}

// stage counts how long a request was in one of its stages.
func (m *metrics) stage(name string, d time.Duration) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.add(name, d)
}

func (m *metrics) add(name string, d time.Duration) {
	if m.stages == nil {
		m.stages = map[string]*histogram{}
	}
	if m.stages[name] == nil {
		m.stages[name] = &histogram{bounds: secondBounds}
	}
	m.stages[name].add(d.Seconds())
}

// call counts a call of a model.
func (m *metrics) call(jobs []*job, took time.Duration) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, j := range jobs {
		m.add("queue", j.waited)
		m.add("segment", took)
	}
	m.batches.bounds = batchBounds
	m.batches.add(float64(len(jobs)))
}

// Metrics returns a handler that answers with the server's figures in Prometheus's text format. It
// belongs on an address for operators: see RequireToken. Figures of the process, such as its memory,
// are of all servers in it.
func (s *Server) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		s.metrics.write(&b)
		s.writeGauges(&b)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // a client that has left
	})
}

func header(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP diffusioninst_%s %s\n# TYPE diffusioninst_%[1]s %[3]s\n", name, help, kind)
}

func (m *metrics) write(w io.Writer) {
	m.lock.Lock()
	defer m.lock.Unlock()
	header(w, "requests_total", "counter", "Requests by route and status.")
	keys := slices.SortedFunc(maps.Keys(m.requests), func(a, b requestKey) int {
		return cmp.Or(cmp.Compare(a.route, b.route), a.status-b.status)
	})
	for _, k := range keys {
		fmt.Fprintf(w, "diffusioninst_requests_total{route=%q,status=\"%d\"} %d\n", k.route, k.status, m.requests[k])
	}
	header(w, "rejected_total", "counter", "Requests that were refused or failed, by the code of the error.")
	for _, code := range slices.Sorted(maps.Keys(m.rejected)) {
		fmt.Fprintf(w, "diffusioninst_rejected_total{code=%q} %d\n", code, m.rejected[code])
	}
	header(w, "stage_seconds", "histogram", "Time of requests in each stage: read, decode, queue, segment, encode.")
	for _, stage := range slices.Sorted(maps.Keys(m.stages)) {
		m.stages[stage].write(w, "stage_seconds", fmt.Sprintf("stage=%q,", stage))
	}
	header(w, "batch_size", "histogram", "Pictures per call of a model.")
	m.batches.write(w, "batch_size", "")
}

// write writes a histogram with labels, each of which ends with a comma.
func (h *histogram) write(w io.Writer, name, labels string) {
	count := int64(0)
	for i, n := range h.counts {
		count += n
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		fmt.Fprintf(w, "diffusioninst_%s_bucket{%sle=\"%s\"} %d\n", name, labels, bound, count)
	}
	if labels != "" {
		labels = "{" + labels[:len(labels)-1] + "}"
	}
	fmt.Fprintf(w, "diffusioninst_%s_sum%s %g\ndiffusioninst_%[1]s_count%[2]s %[4]d\n", name, labels, h.sum, count)
}

func (s *Server) writeGauges(w io.Writer) {
	inside, held := s.admission.load()
	waiting, running := s.scheduler.load()
	ready := 0
	if s.isReady() {
		ready = 1
	}
	for _, g := range []struct {
		name, help string
		value      int64
	}{
		{"ready", "1 if /readyz says so.", int64(ready)},
		{"places", "Requests that can be admitted at a time.", int64(s.admission.places)},
		{"places_taken", "Requests that are admitted.", int64(inside)},
		{"queue_length", "Pictures that wait for a model.", int64(waiting)},
		{"calls_running", "Calls of models that run.", int64(running)},
		{"held_bytes", "Memory that admitted requests hold, by estimate.", held},
		{"held_limit_bytes", "The most of it.", s.admission.limit},
		{"tensors_live", "Tensors in the process.", torch.Live()},
		{"device_memory_bytes", "Memory that LibTorch keeps on GPUs.", torch.CachedMemory()},
		{"goroutines", "Goroutines in the process.", int64(runtime.NumGoroutine())},
		{"resident_memory_bytes", "Resident memory of the process; 0 if the system does not say.", residentMemory()},
	} {
		header(w, g.name, "gauge", g.help)
		fmt.Fprintf(w, "diffusioninst_%s %d\n", g.name, g.value)
	}
}

// residentMemory is what Linux says, in bytes.
func residentMemory() int64 {
	var size, resident int64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
