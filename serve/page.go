package serve

import (
	"embed"
	"net/http"
)

//go:embed page openapi.json
var files embed.FS

// pagePolicy lets the page load its own files and ask its own server, and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// routePage answers with the page for browsers, and the OpenAPI document.
func (s *Server) routePage() {
	for path, f := range map[string]struct{ name, kind string }{
		"/{$}":            {"page/index.html", "text/html; charset=utf-8"},
		"/page/app.js":    {"page/app.js", "text/javascript; charset=utf-8"},
		"/page/style.css": {"page/style.css", "text/css; charset=utf-8"},
		"/openapi.json":   {"openapi.json", "application/json"},
	} {
		s.route("GET", path, func(w http.ResponseWriter, r *http.Request) {
			data, err := files.ReadFile(f.name)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			w.Header().Set("Content-Security-Policy", pagePolicy)
			w.Header().Set("Cache-Control", "no-cache")
			s.write(w, http.StatusOK, f.kind, data)
		})
	}
}
