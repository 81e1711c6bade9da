package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/leak"
)

func checksum(data []byte) uint32 { return crc32.ChecksumIEEE(data) }

// started sends a request in the background and returns its answer to be.
func started(all *sync.WaitGroup, s *Server, ctx context.Context, path string, data []byte, client string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, bytes.NewReader(data)).WithContext(ctx)
	r.Header.Set("Client", client)
	all.Go(func() { s.ServeHTTP(w, r) })
	return w
}

// eventually waits for what happens in other goroutines.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	require.Eventually(t, f, time.Minute, time.Millisecond)
}

func (s *scheduler) queued() int {
	n, _ := s.load()
	return n
}

func TestQueueIsBoundedAndFair(t *testing.T) {
	leak.Check(t)
	entered, open := make(chan struct{}, 20), make(chan struct{})
	var log recorder
	s := newServer(t, Options{
		Segment: gated(func() { entered <- struct{}{}; <-open }), Queue: 4, PerClient: 4, Client: byHeader,
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	data := somePNG(t, 40, 40)
	var all sync.WaitGroup
	answers := []*httptest.ResponseRecorder{started(&all, s, context.Background(), "/v1/segment", data, "a")}
	<-entered
	for i, client := range []string{"a", "a", "b", "a"} {
		answers = append(answers, started(&all, s, context.Background(), "/v1/segment", data, client))
		eventually(t, func() bool { return s.scheduler.queued() == i+1 })
	}
	w := post(s, "/v1/segment", bytes.NewReader(data), "Client: c")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), `"queue_full"`)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	before := strings.Count(log.String(), "\n")
	for i := range answers {
		open <- struct{}{}
		eventually(t, func() bool { return strings.Count(log.String(), "\n") == before+i+1 })
	}
	all.Wait()
	for _, w := range answers {
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	var order []string
	for line := range strings.Lines(log.String()) {
		var v struct{ Client, Code string }
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		if v.Code == "" {
			order = append(order, v.Client)
		}
	}
	require.Equal(t, []string{"a", "a", "b", "a", "a"}, order, "b does not wait for all of a")
}

func TestAClientHasItsShareOnly(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { <-open }), Queue: 9, PerClient: 2, Client: byHeader})
	data := somePNG(t, 40, 40)
	var all sync.WaitGroup
	for range 2 {
		started(&all, s, context.Background(), "/v1/segment", data, "a")
	}
	eventually(t, func() bool { return s.admission.count() == 2 })
	w := post(s, "/v1/segment", bytes.NewReader(data), "Client: a")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), `"client_queue_full"`)
	other := started(&all, s, context.Background(), "/v1/segment", data, "b")
	close(open)
	all.Wait()
	require.Equal(t, http.StatusOK, other.Code)
}

func TestMemoryIsBounded(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { <-open }), MaxHeld: 500_000, PerClient: -1})
	data := somePNG(t, 100, 100) // 320 kB while it is decoded, 160 afterwards
	var all sync.WaitGroup
	answers := []*httptest.ResponseRecorder{}
	for i := range 2 {
		answers = append(answers, started(&all, s, context.Background(), "/v1/segment", data, "a"))
		eventually(t, func() bool {
			s.admission.lock.Lock()
			defer s.admission.lock.Unlock()
			return s.admission.held == int64(160_000*(i+1))
		})
	}
	w := post(s, "/v1/segment", bytes.NewReader(data))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), `"memory_full"`)
	close(open)
	all.Wait()
	for _, w := range answers {
		require.Equal(t, http.StatusOK, w.Code)
	}
}

// One client's requests do not take the memory of all, but each alone may have it.
func TestMemoryIsShared(t *testing.T) {
	a := &admission{places: 4, perClient: 2, limit: 1000, clients: map[string]*share{}}
	enter := func(client string) *place {
		p, err := a.enter(client)
		require.NoError(t, err)
		return p
	}
	first, second, other := enter("a"), enter("a"), enter("b")
	require.NoError(t, first.hold(400))
	require.ErrorContains(t, second.hold(101), "its share")
	require.NoError(t, second.hold(100))
	require.NoError(t, other.hold(500))
	require.ErrorContains(t, other.hold(501), "other requests")
	other.leave()
	require.NoError(t, second.hold(50))
	require.NoError(t, first.keep(50), "what is kept comes on top")
	require.EqualValues(t, 450, first.held)
	require.ErrorContains(t, first.hold(401), "its share")
	require.NoError(t, first.hold(10))
	require.EqualValues(t, 60, first.held)
	require.NoError(t, first.more(5))
	first.leave()
	require.NoError(t, second.hold(1000), "alone")
	require.ErrorContains(t, second.hold(1001), "picture_too_large")
	second.leave()
	require.Zero(t, a.held)
	require.Empty(t, a.clients)
}

// A body of a length that is not said holds what has come of it.
func TestBodiesThatGrow(t *testing.T) {
	s := newServer(t, Options{Segment: everything, MaxHeld: 1_000_000})
	body, more := io.Pipe()
	var all sync.WaitGroup
	all.Go(func() { post(s, "/v1/segment", body) })
	for _, n := range []int{1000, 1000, 1000} {
		_, err := more.Write(make([]byte, n))
		require.NoError(t, err)
	}
	_, held := s.admission.load()
	require.Greater(t, held, int64(2000))
	require.Less(t, held, int64(20_000))
	require.NoError(t, more.Close())
	all.Wait()
	w := post(s, "/v1/segment", io.MultiReader(bytes.NewReader(make([]byte, 600_000))))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"picture_too_large"`)
}

// A picture is read until its request ends.
func TestDecodingEnds(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	p, err := s.admission.enter("")
	require.NoError(t, err)
	defer p.leave()
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stopping())
	var tiff bytes.Buffer
	_, err = annotation.WriteLabelTIFF(&tiff, &coco.LabeledImage{Width: 4, Height: 4}, 0)
	require.NoError(t, err)
	for name, data := range map[string][]byte{"png": somePNG(t, 40, 40), "tiff": tiff.Bytes(), "none": []byte("none")} {
		_, _, err := s.job(ctx, httptest.NewRecorder(), p, &query{output: "json"}, s.models["tiny"], data, 0)
		require.ErrorContains(t, err, "stopping", name)
	}
}

// A client that leaves ends its call at the next operator, and gives back all that it held.
func TestClientsThatLeave(t *testing.T) {
	entered, open := make(chan struct{}, 9), make(chan struct{})
	var log recorder
	s := newServer(t, Options{Segment: gated(func() { entered <- struct{}{}; <-open }), Log: slog.New(slog.NewJSONHandler(&log, nil))})
	data := somePNG(t, 40, 40)
	var all sync.WaitGroup
	running, leave := context.WithCancel(context.Background())
	started(&all, s, running, "/v1/segment", data, "")
	<-entered
	waiting, leaveToo := context.WithCancel(context.Background())
	started(&all, s, waiting, "/v1/segment", data, "")
	eventually(t, func() bool { return s.scheduler.queued() == 1 })
	leaveToo()
	eventually(t, func() bool { return s.scheduler.queued() == 0 })
	leave()
	all.Wait()
	require.Equal(t, 1, s.admission.count(), "the call that runs holds its picture")
	close(open)
	eventually(t, func() bool { return s.admission.count() == 0 })
	require.Equal(t, 2, strings.Count(log.String(), `"code":"client_left"`))
	require.Len(t, entered, 0, "the one that waited has not begun")
}

func TestDeadline(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { <-open }), Timeout: 30 * time.Millisecond})
	w := post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40)))
	require.Equal(t, http.StatusGatewayTimeout, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"deadline"`)
	close(open)
}

func TestPanicsAreAnswers(t *testing.T) {
	var log recorder
	s := newServer(t, Options{Segment: gated(func() { panic("lost") }), Log: slog.New(slog.NewJSONHandler(&log, nil))})
	for range 2 {
		w := post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40)))
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "lost")
	}
	require.Contains(t, log.String(), "lost")
}

// Pictures of one padded size run together, each with its own seed, and others do not.
func TestBatches(t *testing.T) {
	var log recorder
	hold := make(chan struct{})
	var first atomic.Bool
	s := newServer(t, Options{
		Segment: gated(func() {
			if first.CompareAndSwap(false, true) {
				<-hold
			}
		}), Batch: 3, Queue: 20, PerClient: -1, BatchWait: -1, Client: byHeader,
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	data, wide := somePNG(t, 40, 40), somePNG(t, 80, 40)
	var all sync.WaitGroup
	started(&all, s, context.Background(), "/v1/segment", wide, "first")
	eventually(t, first.Load)
	answers := map[int]*httptest.ResponseRecorder{}
	for seed := range 3 {
		answers[seed] = started(&all, s, context.Background(), fmt.Sprintf("/v1/segment?seed=%d", seed), data, fmt.Sprint(seed%2))
	}
	started(&all, s, context.Background(), "/v1/segment", wide, "1")
	started(&all, s, context.Background(), "/v1/segment?proposals=3", data, "1")
	eventually(t, func() bool { return s.scheduler.queued() == 5 })
	close(hold)
	all.Wait()
	require.Equal(t, 3, strings.Count(log.String(), `"batch":3`), log.String())
	require.Equal(t, 3, strings.Count(log.String(), `"batch":1`), log.String())
	for seed, together := range answers {
		var got, want Answer
		alone := post(s, fmt.Sprintf("/v1/segment?seed=%d", seed), bytes.NewReader(data))
		require.NoError(t, json.Unmarshal(together.Body.Bytes(), &got))
		require.NoError(t, json.Unmarshal(alone.Body.Bytes(), &want))
		require.Len(t, got.Instances, len(want.Instances))
		for i := range got.Instances {
			require.InDelta(t, want.Instances[i].Score, got.Instances[i].Score, 1e-4)
			closetest.Slices(t, want.Instances[i].Box[:], got.Instances[i].Box[:], 1e-2)
		}
	}
}

// A picture waits for others as long as it is told to, and then runs alone.
func TestBatchWaitEnds(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Batch: 3, BatchWait: 20 * time.Millisecond})
	for range 2 {
		require.Equal(t, http.StatusOK, post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40))).Code)
	}
}

func TestShutdownFinishesWhatWasAdmitted(t *testing.T) {
	entered, open := make(chan struct{}, 9), make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { entered <- struct{}{}; <-open })})
	data := somePNG(t, 40, 40)
	var all sync.WaitGroup
	answers := []*httptest.ResponseRecorder{started(&all, s, context.Background(), "/v1/segment", data, "")}
	<-entered
	answers = append(answers, started(&all, s, context.Background(), "/v1/segment", data, ""))
	eventually(t, func() bool { return s.scheduler.queued() == 1 })
	done := make(chan error, 1)
	all.Go(func() { done <- s.Shutdown(context.Background()) })
	eventually(t, s.admission.isClosed)
	require.Equal(t, http.StatusServiceUnavailable, post(s, "/v1/segment", bytes.NewReader(data)).Code)
	close(open)
	all.Wait()
	require.NoError(t, <-done)
	for _, w := range answers {
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
}

func TestShutdownEndsInTime(t *testing.T) {
	entered, open := make(chan struct{}, 9), make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { entered <- struct{}{}; <-open })})
	var all sync.WaitGroup
	w := started(&all, s, context.Background(), "/v1/segment", somePNG(t, 40, 40), "")
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	time.AfterFunc(50*time.Millisecond, func() { close(open) })
	require.ErrorContains(t, s.Shutdown(ctx), "1 requests were not finished")
	all.Wait()
	for range 20 {
		require.NoError(t, s.Shutdown(ctx), "none is left, whatever the time")
	}
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), `"stopping"`)
}

// listening serves on loopback until the test ends.
func listening(t testing.TB, s *Server) string {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// dialogue sends text over a connection, and returns what comes back until it is closed.
func dialogue(t *testing.T, address, text string, half bool) string {
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	if half {
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func TestClientsThatMisbehave(t *testing.T) {
	s := newServer(t, Options{Segment: everything, ReadTimeout: 50 * time.Millisecond, MaxBody: 100_000})
	address := listening(t, s)
	data := string(somePNG(t, 40, 40))
	head := func(header string) string {
		return "POST /v1/segment HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + "\r\n\r\n"
	}
	length := fmt.Sprintf("Content-Length: %d", len(data))
	require.Contains(t, dialogue(t, address, head(length)+data, false), " 200 OK")
	require.Contains(t, dialogue(t, address, head(length)+data[:100], false), " 408 ", "a body that does not come")
	require.Contains(t, dialogue(t, address, head(length)+data[:100], true), " 400 ", "a body that ends before its length")
	require.Contains(t, dialogue(t, address, head("Transfer-Encoding: chunked")+"zz\r\n", false), " 400 ", "chunks of no length")
	require.Contains(t, dialogue(t, address, head("Transfer-Encoding: chunked")+fmt.Sprintf("%x\r\n", len(data))+data+"\r\n0\r\n\r\n", false), " 200 OK")
	require.Contains(t, dialogue(t, address, head("Transfer-Encoding: chunked")+"20000\r\n"+strings.Repeat("x", 0x20000)+"\r\n0\r\n\r\n", false), " 413 ")
	require.Contains(t, dialogue(t, address, head("Content-Length: 99999999999"), false), " 413 ")
	require.Contains(t, dialogue(t, address, head("Content-Length: -1"), false), " 400 ")
	waits := func(path string) string { return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" }
	require.Contains(t, dialogue(t, address, waits("/nothing"), false), " 404 ", "a body that does not come and is not read")
	require.Contains(t, dialogue(t, address, waits("/v1/segment?stepz=1"), false), " 400 ")
	require.Contains(t, dialogue(t, address, strings.Replace(waits("/readyz"), "POST", "GET", 1), false), " 503 ")
	refused := head(length) + data
	require.Contains(t, dialogue(t, address, strings.Replace(strings.Replace(refused, "/v1/segment", "/nothing", 1), "Connection: close\r\n", "", 1)+refused, false), " 200 OK", "a body that is not read is not a request")
	dialogue(t, address, head(length)+data, true) // half closed: Go takes it for a client that has left
	eventually(t, func() bool { return s.admission.count() == 0 })
}

// Many clients, some of which leave at any time: nothing is left of them.
func TestTraffic(t *testing.T) {
	leak.Check(t)
	s := newServer(t, Options{Segment: everything, Batch: 4, Queue: 10, MaxHeld: 3_000_000, BatchWait: time.Millisecond})
	server := httptest.NewServer(s)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	pictures := [][]byte{somePNG(t, 40, 40), somePNG(t, 60, 40), somePNG(t, 150, 150), []byte("none")}
	var all sync.WaitGroup
	var answered atomic.Int64
	for g := range 16 {
		r := rand.New(rand.NewPCG(uint64(g), 5))
		all.Go(func() {
			for range 25 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(200)+1)*time.Millisecond)
				req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/v1/segment?steps=2", bytes.NewReader(pictures[r.IntN(len(pictures))]))
				if err == nil {
					var resp *http.Response
					if resp, err = client.Do(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode >= 500 {
							t.Errorf("status %d", resp.StatusCode)
						}
						answered.Add(1)
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Positive(t, answered.Load())
	eventually(t, func() bool { return s.admission.count() == 0 })
}
