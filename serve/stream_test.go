package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events returns names and data of server-sent events.
func events(t *testing.T, text string) (out [][2]string) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(event, "\ndata: ")
		require.True(t, ok, event)
		require.NotContains(t, data, "\n")
		out = append(out, [2]string{strings.TrimPrefix(name, "event: "), data})
	}
	return out
}

func TestStreamOfSteps(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Batch: 2})
	data := somePNG(t, 40, 40)
	w := post(s, "/v1/segment/stream?steps=3&seed=4", bytes.NewReader(data), "Accept: text/event-stream")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
	got := events(t, w.Body.String())
	require.Len(t, got, 4)
	for i := range 3 {
		var step Step
		require.Equal(t, "step", got[i][0])
		require.NoError(t, json.Unmarshal([]byte(got[i][1]), &step))
		require.Equal(t, []int{i, 3}, []int{step.Step, step.Steps})
		require.NotEmpty(t, step.Instances)
	}
	require.Equal(t, "result", got[3][0])
	require.JSONEq(t, post(s, "/v1/segment?steps=3&seed=4", bytes.NewReader(data)).Body.String(), got[3][1])
}

// Steps reach the client while the network runs.
func TestStepsComeAtOnce(t *testing.T) {
	open := make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { <-open })})
	answer, err := http.Post("http://"+listening(t, s)+"/v1/segment/stream", "image/png", bytes.NewReader(somePNG(t, 40, 40)))
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: step\n", line)
	close(open)
}

func TestStreamsThatFail(t *testing.T) {
	calls := 0
	s := newServer(t, Options{Segment: gated(func() {
		if calls++; calls == 1 {
			panic("lost")
		}
	})})
	data := somePNG(t, 40, 40)
	got := events(t, post(s, "/v1/segment/stream", bytes.NewReader(data)).Body.String())
	require.Equal(t, "error", got[len(got)-1][0], "after the first step the status is sent")
	require.Contains(t, got[len(got)-1][1], `"internal"`)
	for query, want := range map[string]int{"?steps=101": 400, "?output=labels": 400, "?mask=circle": 400} {
		require.Equal(t, want, post(s, "/v1/segment/stream"+query, bytes.NewReader(data)).Code, query)
	}
	again := s.options.Segment
	again.Restarts = 60
	s.options.Segment = again
	require.Equal(t, 400, post(s, "/v1/segment/stream?steps=2", bytes.NewReader(data)).Code, "120 steps in all")
	got = events(t, post(s, "/v1/segment/stream?steps=1", bytes.NewReader(data)).Body.String())
	require.Len(t, got, 61)
	require.Contains(t, got[59][1], `"restart":59`)
	require.Equal(t, 406, post(s, "/v1/segment/stream", bytes.NewReader(data), "Accept: application/json").Code)
	require.Equal(t, 415, post(s, "/v1/segment/stream", strings.NewReader("none")).Code)
}
