package serve_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/serve"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t, new(serve.Problem), serve.New, (*serve.Server).Replace, (*serve.Server).Shutdown, (*serve.Server).Warm)
	for _, s := range []*serve.Server{nil, new(serve.Server)} {
		for _, h := range []http.Handler{s, s.Metrics(), s.RequireToken(http.NotFoundHandler())} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, w.Body.String(), "serve: the Server is nil, or was not made by New")
		}
	}
}
