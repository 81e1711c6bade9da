package serve

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// The metrics count the requests.
func TestMetrics(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	const token = "Authorization: Bearer secret"
	for range 2 {
		require.Equal(t, 200, post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40)), token).Code)
	}
	post(s, "/v1/segment?stepz=1", nil, token)
	post(s, "/v1/segment", nil)
	post(s, "/nowhere/"+strings.Repeat("x", 100), nil, token)
	handler := s.RequireToken(s.Metrics())
	require.Equal(t, 401, send(handler, httptest.NewRequest("GET", "/metrics", nil)).Code)
	w := send(handler, httptest.NewRequest("GET", "/metrics", nil), token)
	require.Equal(t, 200, w.Code)
	text := w.Body.String()
	for _, line := range []string{
		`diffusioninst_requests_total{route="POST /v1/segment",status="200"} 2`,
		`diffusioninst_requests_total{route="POST /v1/segment",status="400"} 1`,
		`diffusioninst_requests_total{route="",status="401"} 1`,
		`diffusioninst_requests_total{route="/",status="404"} 1`,
		`diffusioninst_rejected_total{code="unknown_option"} 1`,
		`diffusioninst_stage_seconds_count{stage="segment"} 2`,
		`diffusioninst_stage_seconds_count{stage="decode"} 2`,
		`diffusioninst_stage_seconds_bucket{stage="queue",le="+Inf"} 2`,
		`diffusioninst_batch_size_bucket{le="1"} 2`,
		`diffusioninst_batch_size_sum 2`,
		`diffusioninst_places_taken 0`,
		`diffusioninst_ready 0`,
		`diffusioninst_tensors_live ` + fmt.Sprint(torch.Live()),
	} {
		require.Contains(t, text, line+"\n")
	}
}

// A batch is bounded by what its call may take, which is without a limit on a GPU.
func TestBatchesAreBoundedByTheirLimit(t *testing.T) {
	gathered := func(most int64) int {
		s := &scheduler{batch: 4, waiting: map[string][]*job{}}
		for range 4 {
			j := &job{client: "a", likes: batchKey{width: 1}, need: 5 << 30, most: most}
			s.waiting["a"] = append(s.waiting["a"], j)
		}
		s.turns = []string{"a"}
		return len(s.gather(s.waiting["a"][0]))
	}
	require.Equal(t, 4, gathered(0))
	require.Equal(t, 4, gathered(-1))
	require.Equal(t, 2, gathered(10<<30))
	require.Equal(t, 1, gathered(8<<30))
}
