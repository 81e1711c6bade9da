//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// fromEnv is a number or a time that makes a test longer.
func fromEnv[T any](t *testing.T, name string, short T, parse func(string) (T, error)) T {
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	v, err := parse(text)
	require.NoError(t, err, name)
	return v
}

// operators returns a function that reads a number of /metrics.
func operators(t *testing.T, child *proctest.Child) func(name string) float64 {
	address := regexp.MustCompile(`(?m)^Operators: (http.*)$`).FindStringSubmatch(child.Output())[1]
	return func(name string) float64 {
		answer, err := http.Get(address + "/metrics")
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		require.NotNil(t, found, "%s in %s", name, text)
		v, err := strconv.ParseFloat(string(found[1]), 64)
		require.NoError(t, err)
		return v
	}
}

// TestServeUnderOverload sends requests at five times the rate that the server reaches when some clients
// keep it busy, whether or not answers come: each is answered or refused, and afterwards the server holds
// what it held before.
// DIFFUSIONINST_LOAD=4m is how long (DIFFUSIONINST_LIMIT, 5 minutes if absent, must be longer),
// DIFFUSIONINST_SERVE_WEIGHTS another model than a tiny one; the test prints the figures.
func TestServeUnderOverload(t *testing.T) {
	duration := fromEnv(t, "DIFFUSIONINST_LOAD", time.Second, time.ParseDuration)
	args := []string{"--admin", "127.0.0.1:0", "--queue", "8", "--per-client", "-1", "--timeout", "20s"}
	if weights := os.Getenv("DIFFUSIONINST_SERVE_WEIGHTS"); weights != "" {
		args = append(args, "--weights", weights, "--config", "")
	}
	child, address := startServer(t, args...)
	figure := operators(t, child)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	data := onePNG(t)
	ask := func() (status int, took time.Duration) {
		start := time.Now()
		answer, err := client.Post(address+"/v1/segment?limit=1", "image/png", bytes.NewReader(data))
		if err != nil {
			t.Error(err)
			return 0, 0
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		if err != nil {
			t.Error(err)
		}
		return answer.StatusCode, time.Since(start)
	}
	var all sync.WaitGroup
	var count atomic.Int64
	start := time.Now()
	for range 4 {
		all.Go(func() {
			for count.Load() < 40 || time.Since(start) < duration/5 {
				status, _ := ask()
				if status != 200 {
					t.Errorf("status %d before the overload", status)
					return
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	apart := time.Since(start) / time.Duration(count.Load()) / 5
	client.CloseIdleConnections()
	time.Sleep(200 * time.Millisecond)
	tensors, files := figure("diffusioninst_tensors_live"), figure("process_open_fds")

	var lock sync.Mutex
	times := map[int][]time.Duration{}
	var memory []float64
	const most = 200 // requests at a time: many more than the server has places
	places := make(chan struct{}, most)
	ticks := time.NewTicker(max(apart, time.Millisecond))
	defer ticks.Stop()
	measure := time.NewTicker(max(duration/20, 50*time.Millisecond))
	defer measure.Stop()
	begin := time.Now()
	for sent := 0; sent < 60 || time.Since(begin) < duration; {
		select {
		case <-ticks.C:
			// A busy machine loses ticks, not requests.
			for ; time.Duration(sent)*apart < time.Since(begin) && len(places) < most; sent++ {
				places <- struct{}{}
				all.Go(func() {
					status, took := ask()
					<-places
					lock.Lock()
					defer lock.Unlock()
					times[status] = append(times[status], took)
				})
			}
		case <-measure.C:
			memory = append(memory, figure("process_resident_memory_bytes")/1e6)
		}
	}
	all.Wait()
	for status, list := range times {
		require.Contains(t, []int{200, 429, 504}, status) // 504: a busy machine
		slices.Sort(list)
		at := func(share float64) time.Duration {
			return list[int(share*float64(len(list)-1))].Round(100 * time.Microsecond)
		}
		t.Logf("status %d: %d in %v, median %v, p99 %v, slowest %v", status, len(list), duration, at(0.5), at(0.99), at(1))
	}
	require.NotEmpty(t, times[200])
	require.NotEmpty(t, times[429], "five times what it can do")
	t.Logf("one request per %v; resident memory in MB over the time: %.0f", apart, memory)
	client.CloseIdleConnections()
	require.Eventually(t, func() bool { return figure("process_open_fds") <= files+1 }, time.Minute, 50*time.Millisecond, "files")
	require.Equal(t, tensors, figure("diffusioninst_tensors_live"), "tensors")
	require.Zero(t, figure("diffusioninst_places_taken"))
	require.Zero(t, figure("diffusioninst_held_bytes"))
	child.Signal(syscall.SIGTERM)
	require.Zero(t, child.Wait(), child.Output())
}

// A server that is killed under load starts again. DIFFUSIONINST_ROUNDS sets the number of rounds.
func TestServeSurvivesKills(t *testing.T) {
	args := []string{"--per-client", "-1"}
	if weights := os.Getenv("DIFFUSIONINST_SERVE_WEIGHTS"); weights != "" {
		args = append(args, "--weights", weights, "--config", "")
	}
	data := onePNG(t)
	var ready []time.Duration
	for range rounds(t, 2) {
		start := time.Now()
		child, address := startServer(t, args...)
		answer, err := http.Get(address + "/readyz")
		require.NoError(t, err)
		answer.Body.Close()
		require.Equal(t, 200, answer.StatusCode)
		ready = append(ready, time.Since(start))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					answer, err := http.Post(address+"/v1/segment?limit=1", "image/png", bytes.NewReader(data))
					if err != nil {
						return // killed
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			})
		}
		time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
		child.Kill()
		all.Wait()
		http.DefaultClient.CloseIdleConnections()
	}
	slices.Sort(ready)
	t.Logf("%d kills; ready after %v, median %v, slowest %v", len(ready), ready[0], ready[len(ready)/2], ready[len(ready)-1])
}

// Connections that say nothing, or their headers by and by, keep no request from its answer and leave
// nothing behind. DIFFUSIONINST_IDLE=10000 sets their number.
func TestServeWithIdleConnections(t *testing.T) {
	idle := fromEnv(t, "DIFFUSIONINST_IDLE", 200, strconv.Atoi)
	child, address := startServer(t, "--admin", "127.0.0.1:0")
	figure := operators(t, child)
	files, memory := figure("process_open_fds"), figure("process_resident_memory_bytes")
	host := strings.TrimPrefix(address, "http://")
	conns := make([]net.Conn, 0, idle)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range idle {
		c, err := net.Dial("tcp", host)
		require.NoError(t, err)
		conns = append(conns, c)
		if i%2 == 0 {
			_, err = fmt.Fprintf(c, "POST /v1/segment HTTP/1.1\r\nHost: x\r\nX-%d: ", i)
			require.NoError(t, err)
		}
	}
	start := time.Now()
	answer, err := http.Post(address+"/v1/segment?limit=1", "image/png", bytes.NewReader(onePNG(t)))
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	t.Logf("with %d connections: a request takes %v, resident memory grew by %.0f MB", idle, time.Since(start), (figure("process_resident_memory_bytes")-memory)/1e6)
	for _, c := range conns {
		c.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	require.Eventually(t, func() bool { return figure("process_open_fds") <= files+2 }, time.Minute, 50*time.Millisecond)
	child.Signal(syscall.SIGTERM)
	require.Zero(t, child.Wait(), child.Output())
}
