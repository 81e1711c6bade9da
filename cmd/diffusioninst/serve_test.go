//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/proctest"
)

// startServer starts the program as a server with a model that takes milliseconds, and returns
// its address once it is ready.
func startServer(t *testing.T, args ...string) (child *proctest.Child, address string) {
	t.Helper()
	all := slices.Concat([]string{"serve", "--listen", "127.0.0.1:0", "--threads", "1"}, miniModel(), args)
	child = proctest.Start(t, asChild(t, all...))
	child.WaitFor(t, "Serving on http")
	found := regexp.MustCompile(`(?m)^Serving on (http.*)$`).FindStringSubmatch(child.Output())
	require.NotNil(t, found, child.Output())
	return child, found[1]
}

func onePNG(t *testing.T) []byte {
	path := filepath.Join(t.TempDir(), "one.png")
	savePNG(t, path, 1)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestServe(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("secret\nother\n"), 0o600))
	second := filepath.Join(t.TempDir(), "second.safetensors")
	require.NoError(t, os.WriteFile(second, miniCheckpoint(t), 0o600))
	child, address := startServer(t, "--token-file", tokens, "--model", "second="+second, "--batch", "2", "--log-json", "--drain", "20s")
	ask := func(method, path, token string, body []byte) (int, string) {
		r, err := http.NewRequest(method, address+path, bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(text)
	}
	defer http.DefaultClient.CloseIdleConnections()
	status, _ := ask("GET", "/v1/models", "wrong", nil)
	require.Equal(t, 401, status)
	status, text := ask("GET", "/v1/models", "other", nil)
	require.Equal(t, 200, status)
	require.Contains(t, text, `"name":"second"`)
	status, _ = ask("GET", "/readyz", "", nil)
	require.Equal(t, 200, status)
	status, text = ask("POST", "/v1/segment?limit=3", "secret", onePNG(t))
	require.Equal(t, 200, status, text)
	require.Contains(t, text, `"model":"default"`)
	status, text = ask("POST", "/v1/segment?output=labels", "secret", onePNG(t))
	require.Equal(t, 200, status, text)
	_, err := png.Decode(bytes.NewReader([]byte(text)))
	require.NoError(t, err)
	child.Signal(syscall.SIGTERM)
	require.Zero(t, child.Wait(), child.Output())
}

func TestServeRefusesFlags(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	comments := filepath.Join(t.TempDir(), "comments")
	require.NoError(t, os.WriteFile(comments, []byte("secret\r\n\r\n# of the lab\r\n"), 0o600))
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	for text, args := range map[string][]string{
		"an address and a port":    {"--listen", ""},
		"line 3 has spaces":        {"--token-file", comments},
		"device":                   {"--token-file", "/dev/zero"},
		"--tls-cert and --tls-key": {"--listen", "127.0.0.1:0", "--tls-cert", text, "--tls-key", text},
		"the most is 1000":         {"--listen", "127.0.0.1:0", "--workers", "100000"},
		"other machines reach it":  {"--listen", ":0"},
		"--admin :0: other":        {"--admin", ":0"},
		"other machines":           {"--listen", "0.0.0.0:0"},
		"--token-file gives it":    {"--insecure", "--token-file", empty},
		"no token in it":           {"--token-file", empty},
		"belong together":          {"--tls-cert", "cert.pem"},
		"--workers":                {"--workers", "0"},
		"--drain":                  {"--drain", "0s"},
		"--queue":                  {"--queue", "0"},
		"--max-held":               {"--max-held", "NaN"},
		"want NAME=WEIGHTS":        {"--model", "nuclei", "--listen", "127.0.0.1:0"},
		"of this name":             {"--model", "default=untrained", "--listen", "127.0.0.1:0"},
		"--listen 127.0.0.1:99999": {"--listen", "127.0.0.1:99999"},
	} {
		_, err := program(t, slices.Concat([]string{"serve"}, miniModel(), args)...)
		require.ErrorContains(t, err, text)
	}
}

// A server that is stopped at a random moment under load answers all that it has admitted:
// what its log says was answered has reached the clients. DIFFUSIONINST_ROUNDS sets the number of rounds.
func TestServeStopsUnderLoad(t *testing.T) {
	data := onePNG(t)
	for range rounds(t, 2) {
		child, address := startServer(t, "--log-json", "--queue", "6", "--per-client", "-1", "--drain", "10m") // also on a busy machine
		var lock sync.Mutex
		received := map[string]int{}
		var stopped atomic.Bool
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: g%2 == 0}}
				defer client.CloseIdleConnections()
				for i := 0; !stopped.Load(); i++ {
					id := fmt.Sprintf("%d-%d", g, i)
					r, err := http.NewRequest("POST", address+"/v1/segment?limit=1", bytes.NewReader(data))
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("X-Request-Id", id)
					answer, err := client.Do(r)
					if err != nil {
						continue // refused with its connection
					}
					_, err = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
					if err == nil {
						lock.Lock()
						received[id] = answer.StatusCode
						lock.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Millisecond))))
		child.Signal(syscall.SIGTERM)
		status := child.Wait()
		stopped.Store(true)
		all.Wait()
		require.Zero(t, status, child.Output())
		answered := map[string]int{}
		for line := range bytes.Lines([]byte(child.Output())) {
			var v struct {
				Msg, ID string
				Status  int
			}
			if json.Unmarshal(line, &v) == nil && v.Msg == "request" {
				answered[v.ID] = v.Status
			}
		}
		maps.DeleteFunc(answered, func(_ string, status int) bool { return status != http.StatusOK })
		for id := range answered {
			require.Equal(t, http.StatusOK, received[id], "request %s was admitted and is lost", id)
		}
	}
}

// A second signal ends the server at once.
func TestServeEndsAtOnce(t *testing.T) {
	child, address := startServer(t, "--drain", "1h", "--read-timeout", "1h", "--timeout", "1h")
	body, more := io.Pipe()
	r, err := http.NewRequest("POST", address+"/v1/segment", body)
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		if answer, err := http.DefaultTransport.RoundTrip(r); err == nil {
			answer.Body.Close()
		}
	})
	_, err = more.Write([]byte("P5 ")) // the handler reads it once it has admitted the request
	require.NoError(t, err)
	time.Sleep(100 * time.Millisecond)
	child.Signal(syscall.SIGTERM)
	child.WaitFor(t, "a second signal ends the program at once")
	child.Signal(syscall.SIGTERM)
	require.Equal(t, 128+int(syscall.SIGTERM), child.Wait())
	more.Close()
	all.Wait()
}

// Weights are read anew under load without losing a request, and stay if the file is broken.
func TestServeReloads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "second.safetensors")
	whole := miniCheckpoint(t)
	require.NoError(t, os.WriteFile(file, whole, 0o600))
	child, address := startServer(t, "--model", "second="+file, "--admin", "127.0.0.1:0", "--per-client", "-1")
	admin := regexp.MustCompile(`(?m)^Operators: (http.*)$`).FindStringSubmatch(child.Output())[1]
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	ask := func(method, url string, body []byte) (int, string) {
		r, err := http.NewRequest(method, url, bytes.NewReader(body))
		require.NoError(t, err)
		answer, err := client.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(text)
	}
	data := onePNG(t)
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for !stop.Load() {
				answer, err := client.Post(address+"/v1/segment?model=second&limit=1", "image/png", bytes.NewReader(data))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if answer.StatusCode != 200 {
					t.Error("a request was lost: ", answer.Status)
				}
			}
		})
	}
	for range 2 {
		status, text := ask("POST", admin+"/reload?model=second", nil)
		require.Equal(t, 200, status, text)
	}
	require.NoError(t, os.WriteFile(file, whole[:len(whole)/2], 0o600))
	status, text := ask("POST", admin+"/reload", nil)
	require.Equal(t, 422, status, text)
	require.Contains(t, text, "second stays as it was")
	stop.Store(true)
	all.Wait()
	status, _ = ask("POST", admin+"/reload?model=third", nil)
	require.Equal(t, 422, status)
	status, text = ask("GET", admin+"/metrics", nil)
	require.Equal(t, 200, status)
	require.Contains(t, text, "diffusioninst_ready 1\n")
	status, _ = ask("GET", address+"/metrics", nil)
	require.Equal(t, 404, status)
	cross, err := http.NewRequest("POST", admin+"/reload", nil)
	require.NoError(t, err)
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := client.Do(cross)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 403, answer.StatusCode, "a page of another site")
	status, _ = ask("GET", admin+"/debug/pprof/cmdline", nil)
	require.Equal(t, 200, status)
	client.CloseIdleConnections()
	child.Signal(syscall.SIGTERM)
	require.Zero(t, child.Wait(), child.Output())
}

// The flags for pictures and steps are what requests get, also those that only a loaded model settles.
func TestServeSegmentsAsTheFlagsSay(t *testing.T) {
	flags := func(scales, consensus string) []string {
		return []string{"--scales", scales, "--consensus", consensus, "--steps", "2", "--score", "0", "--limit", "50"}
	}
	_, address := startServer(t, flags("1,0.5", "0.4")...)
	scores := func() (out []float64) {
		answer, err := http.Post(address+"/v1/segment", "image/png", bytes.NewReader(onePNG(t)))
		require.NoError(t, err)
		defer answer.Body.Close()
		var result struct{ Instances []struct{ Score float64 } }
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&result))
		for _, in := range result.Instances {
			out = append(out, in.Score)
		}
		return out
	}
	dir := t.TempDir()
	picture := filepath.Join(dir, "one.png")
	require.NoError(t, os.WriteFile(picture, onePNG(t), 0o600))
	want := func(flags ...string) (out []float64) {
		_, err := program(t, slices.Concat([]string{"segment", "--format", "results", "--output", dir}, miniModel(), flags, []string{picture})...)
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join(dir, "results.json"))
		require.NoError(t, err)
		var results []struct{ Score float64 }
		require.NoError(t, json.Unmarshal(text, &results))
		for _, r := range results {
			out = append(out, r.Score)
		}
		return out
	}
	all := want(flags("1,0.5", "0.4")...)
	require.NotEmpty(t, all)
	served := scores()
	require.Len(t, served, len(all))
	closetest.Slices(t, all, served, 1e-6)
	require.NotEqual(t, want(flags("1", "0.4")...), all)
	require.NotEqual(t, want(flags("1,0.5", "-1")...), all)
}
