//go:build cgo && linux

package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Spans reach the collector that OpenTelemetry's variable names, and deadlines of the server still the
// connection.
func TestTraces(t *testing.T) {
	var received atomic.Value
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received.Store(r.URL.Path + string(body))
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "POST /v1/{door}" // as a mux does
		c := http.NewResponseController(w)
		_, flushes := w.(http.Flusher)
		if !flushes || c.SetReadDeadline(time.Time{}) != nil || c.SetWriteDeadline(time.Now().Add(time.Minute)) != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	h, stop, err := traced(t.Context(), inner, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()
	answer, err := server.Client().Post(server.URL+"/v1/segment", "image/png", bytes.NewReader(nil))
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, 200, answer.StatusCode)
	stop()
	text, _ := received.Load().(string)
	require.True(t, strings.HasPrefix(text, "/v1/traces"), text)
	require.Contains(t, text, "POST /v1/{door}")
	require.NotContains(t, text, "POST /v1/segment", "the name of a span has no path of a client")

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	h, stop, err = traced(t.Context(), inner, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.IsType(t, inner, h, "without a collector")
	stop()
}
