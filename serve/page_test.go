package serve

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page needs nothing from elsewhere, and no token to be shown.
func TestPage(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	get := func(path string) string {
		w := send(s, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 200, w.Code, path)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		return w.Body.String()
	}
	page := get("/")
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if m[1] != "data:," {
			require.NotContains(t, get("/"+m[1]), "http", m[1])
		}
	}
	require.NotContains(t, page, "http")
	script := get("/page/app.js")
	for _, name := range outputNames {
		require.Contains(t, script, `["`+name+`"`, "a form that the page does not offer")
	}
	for _, m := range regexp.MustCompile(`\$\("([a-z]+)"\)`).FindAllStringSubmatch(script, -1) {
		require.Contains(t, page, `id="`+m[1]+`"`)
	}
	require.Equal(t, 401, send(s, httptest.NewRequest("GET", "/page/", nil)).Code)
}

// openAPI is what the document says of each path and method: the statuses of its answers.
func openAPI(t *testing.T, s *Server) (paths map[string][]string, parameters []string) {
	t.Helper()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(send(s, httptest.NewRequest("GET", "/openapi.json", nil)).Body.Bytes(), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	paths = map[string][]string{}
	for path, methods := range doc.Paths {
		for method, text := range methods {
			if method == "parameters" {
				continue
			}
			var operation struct {
				Responses  map[string]json.RawMessage
				Parameters []struct{ Name string }
			}
			require.NoError(t, json.Unmarshal(text, &operation))
			paths[strings.ToUpper(method)+" "+path] = slices.Sorted(maps.Keys(operation.Responses))
			if path == "/v1/segment" {
				for _, p := range operation.Parameters {
					parameters = append(parameters, p.Name)
				}
			}
		}
	}
	return paths, parameters
}

// The document has all paths, methods, options and statuses of the server, and no others.
func TestOpenAPI(t *testing.T) {
	s := newServer(t, Options{Segment: everything, MaxBody: 10_000})
	paths, options := openAPI(t, s)
	var routes []string
	for _, route := range s.routes {
		if path := strings.TrimPrefix(route, "POST "); !strings.HasPrefix(path, "/inference.") && !strings.HasPrefix(path, "/grpc.") {
			routes = append(routes, strings.TrimSuffix(route, "{$}"))
		}
	}
	require.ElementsMatch(t, routes, slices.Collect(maps.Keys(paths)))
	require.ElementsMatch(t, slices.Collect(maps.Keys(parameters)), options)

	data := somePNG(t, 40, 30)
	infer, header := inferBody(data, "")
	for _, c := range []struct {
		route, path string
		body        []byte
		header      string
		status      string
	}{
		{"POST /v1/segment", "", data, "", "200"},
		{"POST /v1/segment", "?x=1", data, "", "400"},
		{"POST /v1/segment", "?model=x", data, "", "404"},
		{"POST /v1/segment", "", data, "Accept: text/html", "406"},
		{"POST /v1/segment", "", make([]byte, 10_001), "", "413"},
		{"POST /v1/segment", "", []byte("no"), "", "415"},
		{"POST /v1/segment", "", nil, "", "422"},
		{"POST /v1/segment/stream", "", data, "", "200"},
		{"POST /v1/segment/stream", "?model=x", data, "", "404"},
		{"POST /v2/models/{name}/infer", "", infer, header, "200"},
		{"POST /v2/models/{name}/infer", "", nil, "", "400"},
		{"POST /v2/models/{name}/versions/{version}/infer", "", infer, header, "200"},
		{"GET /v2/models/{name}", "", nil, "", "200"},
		{"GET /v2/models/{name}/versions/{version}/ready", "", nil, "", "503"},
		{"GET /readyz", "", nil, "", "503"},
		{"GET /v1/models", "", nil, "", "200"},
		{"GET /v2", "", nil, "", "200"},
	} {
		method, path, _ := strings.Cut(c.route, " ")
		path = strings.NewReplacer("{name}", "tiny", "{version}", "1").Replace(path) + c.path
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		w := send(s, httptest.NewRequest(method, path, bytes.NewReader(c.body)), headers...)
		require.Equal(t, c.status, w.Result().Status[:3], "%s: %s", c.route, w.Body)
		require.Contains(t, paths[c.route], c.status, c.route)
	}
}
