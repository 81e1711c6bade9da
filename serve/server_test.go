package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"log/slog"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
)

func TestAnswersAreThoseOfTheModel(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	data := somePNG(t, 50, 40)
	o := everything
	o.Seed = 7
	want, err := s.models["tiny"].model.Load().Segment(context.Background(), pattern(50, 40), o)
	require.NoError(t, err)
	require.NotEmpty(t, want.Instances)

	var got struct {
		Answer
		Instances []struct {
			Instance
			Segmentation json.RawMessage `json:"segmentation"`
		} `json:"instances"`
	}
	w := post(s, "/v1/segment?seed=7", bytes.NewReader(data), "Accept: application/json;q=0.9, image/png;q=0.1")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Header().Get("Server-Timing"), "segment;dur=")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []any{"tiny", 50, 40}, []any{got.Model, got.Width, got.Height})
	require.Len(t, got.Instances, len(want.Instances))
	for i, in := range got.Instances {
		w := want.Instances[i]
		require.Equal(t, []any{"circle", int64(1), w.Score, w.Box.XYWH(), w.Area()}, []any{in.Category, in.CategoryID, in.Score, in.Box, in.Area})
		var rle RLE
		require.NoError(t, json.Unmarshal(in.Segmentation, &rle))
		m, err := mask.ParseRLE(rle.Size[1], rle.Size[0], rle.Counts)
		require.NoError(t, err)
		require.Equal(t, w.Mask.RLE(), m)
	}

	w = post(s, "/v1/segment?seed=7&mask=polygons", bytes.NewReader(data), "Content-Type: image/png")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	var polygons [][]float64
	require.NoError(t, json.Unmarshal(got.Instances[0].Segmentation, &polygons))
	require.Equal(t, want.Instances[0].Mask.Polygons(0), polygons)
	w = post(s, "/v1/segment?mask=none", bytes.NewReader(data), "Accept: ")
	require.NotContains(t, w.Body.String(), "segmentation")

	labels, err := want.LabelMap()
	require.NoError(t, err)
	overlay, err := mask.Overlay(pattern(50, 40), want.OverlayItems(), mask.OverlayOptions{})
	require.NoError(t, err)
	for query, want := range map[string]image.Image{"output=labels": labels, "output=overlay": overlay, "": overlay} {
		w = post(s, "/v1/segment?seed=7&"+query, bytes.NewReader(data), "Accept: image/*")
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Equal(t, "image/png", w.Header().Get("Content-Type"))
		img, err := png.Decode(w.Body)
		require.NoError(t, err)
		require.Equal(t, want, img, query)
	}
}

// form is a body of multipart/form-data, and its header.
func form(t *testing.T, parts ...[2]string) (*bytes.Buffer, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		part, err := w.CreateFormFile(p[0], "../../etc/passwd")
		require.NoError(t, err)
		_, err = part.Write([]byte(p[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return &b, "Content-Type: " + w.FormDataContentType()
}

func TestForms(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	data := string(somePNG(t, 40, 40))
	body, kind := form(t, [2]string{"image", data})
	require.Equal(t, post(s, "/v1/segment", strings.NewReader(data)).Body.String(), post(s, "/v1/segment", body, kind).Body.String())
	whole, _ := form(t, [2]string{"image", data})
	for name, c := range map[string]struct {
		parts [][2]string
		text  string
	}{
		"none":    {nil, "no part"},
		"another": {[][2]string{{"file", data}}, "not named image"},
		"two":     {[][2]string{{"image", data}, {"image", data}}, "more than one part"},
	} {
		body, kind := form(t, c.parts...)
		w := post(s, "/v1/segment", body, kind)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Contains(t, w.Body.String(), `"bad_form"`, name)
		require.Contains(t, w.Body.String(), c.text, name)
	}
	for cut := 0; cut < whole.Len(); cut += 37 {
		w := post(s, "/v1/segment", bytes.NewReader(whole.Bytes()[:cut]), kind)
		require.Equal(t, http.StatusBadRequest, w.Code, cut)
	}
}

// bomb is the header of a PNG file that says a size, and little more.
func bomb(t *testing.T, w, h int) []byte {
	data := somePNG(t, 2, 2)
	put := func(at, v int) {
		for i := range 4 {
			data[at+i] = byte(v >> (24 - 8*i))
		}
	}
	put(16, w)
	put(20, h)
	put(29, int(checksum(data[12:29])))
	return data
}

func TestRefusals(t *testing.T) {
	var log recorder
	limited := everything
	limited.MaxBytes = 200_000_000
	s := newServer(t, Options{Segment: limited, MaxBody: 10_000, MaxHeld: 40_000_000, MaxPixels: 10_000_000, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	good := somePNG(t, 40, 30)
	for name, c := range map[string]struct {
		query   string
		body    []byte
		headers []string
		status  int
		code    string
	}{
		"unknown option":       {"?stepz=1", good, nil, 400, "unknown_option"},
		"twice":                {"?seed=1&seed=2", good, nil, 400, "bad_option"},
		"not a number":         {"?steps=two", good, nil, 400, "bad_option"},
		"no steps":             {"?steps=0", good, nil, 400, "bad_option"},
		"score":                {"?score=2", good, nil, 400, "bad_option"},
		"NaN":                  {"?score=NaN", good, nil, 400, "bad_option"},
		"no size":              {"?scales=1,0", good, nil, 400, "bad_option"},
		"size that is a word":  {"?scales=1,two", good, nil, 400, "bad_option"},
		"tiles of such models": {"?tile=64", good, nil, 400, "bad_option"},
		"proposals":            {"?proposals=2000000", good, nil, 400, "bad_option"},
		"malformed query":      {"?%zz", good, nil, 400, "bad_option"},
		"semicolons":           {"?seed=1;steps=2", good, nil, 400, "bad_option"},
		"mask of a picture":    {"?mask=rle&output=labels", good, nil, 400, "bad_option"},
		"tolerance of rle":     {"?tolerance=1", good, nil, 400, "bad_option"},
		"model":                {"?model=other", good, nil, 404, "unknown_model"},
		"accept":               {"", good, []string{"Accept: text/html"}, 406, "not_acceptable"},
		"refused type":         {"", good, []string{"Accept: application/json;q=0, */*;q=0"}, 406, "not_acceptable"},
		"accept and output":    {"?output=json", good, []string{"Accept: image/png"}, 406, "not_acceptable"},
		"long body":            {"", make([]byte, 10_001), nil, 413, "body_too_large"},
		"wide":                 {"", bomb(t, 70_000, 1), nil, 413, "picture_too_large"},
		"bomb":                 {"", bomb(t, 60_000, 60_000), nil, 413, "picture_too_large"},
		"more than is held":    {"", bomb(t, 3000, 3000), nil, 413, "picture_too_large"},
		"a line":               {"", bomb(t, 1, 65_535), nil, 422, "bad_picture"},
		"needs":                {"?proposals=9000", good, nil, 422, "needs_too_much"},
		"type":                 {"", good, []string{"Content-Type: text/html"}, 415, "media_type"},
		"malformed type":       {"", good, []string{"Content-Type: ;;"}, 415, "media_type"},
		"compressed":           {"", good, []string{"Content-Encoding: gzip"}, 415, "content_encoding"},
		"no picture":           {"", []byte("%PDF-1.4 and so on"), nil, 415, "unknown_format"},
		"empty":                {"", nil, nil, 422, "empty_picture"},
		"cut":                  {"", good[:len(good)/2], nil, 422, "truncated_picture"},
		"page":                 {"?page=2", good, nil, 422, "choose_page"},
		"no boundary":          {"", good, []string{"Content-Type: multipart/form-data"}, 400, "bad_form"},
	} {
		w := post(s, "/v1/segment"+c.query, bytes.NewReader(c.body), append(c.headers, "X-Request-Id: the.id-1")...)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		var got map[string]Problem
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), name)
		require.Equal(t, []any{c.code, c.status, "the.id-1"}, []any{got["error"].Code, got["error"].Status, got["error"].RequestID}, name)
		require.NotEmpty(t, got["error"].Message)
		require.Equal(t, "the.id-1", w.Header().Get("X-Request-Id"))
		require.Contains(t, log.String(), `"code":"`+c.code+`"`, name)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/v1/segment", 405}, {"POST", "/readyz", 405}, {"GET", "/none", 404}, {"GET", "/v1/../etc/passwd", 307}, {"DELETE", "/v1/models", 405}} {
		w := send(s, httptest.NewRequest(c.method, c.path, nil))
		require.Equal(t, c.status, w.Code, c.path)
	}
	for _, query := range []string{"", "?scales=1,1.5"} {
		require.Equal(t, http.StatusOK, post(s, "/v1/segment"+query, bytes.NewReader(good)).Code, "a good one among them")
	}
}

func TestTokens(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"first", "second"}})
	get := func(path string, headers ...string) int {
		return send(s, httptest.NewRequest("GET", path, nil), headers...).Code
	}
	require.Equal(t, 200, get("/v1/models", "Authorization: Bearer second"))
	require.Equal(t, 200, get("/v1/models", "Authorization: bearer first"))
	for _, wrong := range []string{"", "Bearer", "Bearer ", "Bearer firs", "Bearer first2", "Basic first", "first", "Bearer first second"} {
		require.Equal(t, 401, get("/v1/models", "Authorization: "+wrong), wrong)
	}
	require.Equal(t, 401, get("/nothing"), "what exists is not told either")
	require.Equal(t, 200, get("/healthz"))
	require.Equal(t, 503, get("/readyz"))
}

func TestReadyAfterWarmingUp(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	ready := func() int { return send(s, httptest.NewRequest("GET", "/readyz", nil)).Code }
	require.Equal(t, 503, ready())
	require.NoError(t, s.Warm(context.Background()))
	require.Equal(t, 200, ready())
	require.JSONEq(t, `{"models": [{"name": "tiny", "device": "cpu", "precision": "float32", "classes": ["circle"]}]}`,
		send(s, httptest.NewRequest("GET", "/v1/models", nil)).Body.String())
	require.NoError(t, s.Shutdown(context.Background()))
	require.Equal(t, 503, ready())
	w := post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40)))
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), `"stopping"`)
	require.Equal(t, "close", w.Header().Get("Connection"))
}

func TestModelsByName(t *testing.T) {
	m := tinyModel(t)
	data := somePNG(t, 40, 40)
	for names, status := range map[string]int{"a": 200, "a b": 400, "a default": 200} {
		models := map[string]*diffusioninst.Model{}
		for _, name := range strings.Fields(names) {
			models[name] = m
		}
		s, err := New(models, Options{Segment: everything})
		require.NoError(t, err)
		require.Equal(t, status, post(s, "/v1/segment", bytes.NewReader(data)).Code, names)
		require.Contains(t, post(s, "/v1/segment?model=a", bytes.NewReader(data)).Body.String(), `"model":"a"`)
	}
}

func TestImpossibleOptions(t *testing.T) {
	m := tinyModel(t)
	for text, o := range map[string]Options{
		"Workers": {Workers: -1}, "Batch": {Batch: -1}, "MaxBody": {MaxBody: -1}, "MaxHeld": {MaxHeld: -1}, "MaxPixels": {MaxPixels: -1},
		"MaxSide": {MaxSide: -1}, "Tokens": {Tokens: []string{""}}, "Seeds": {Segment: diffusioninst.Options{Seeds: []uint64{1}}},
		"Queue":       {Queue: math.MaxInt},
		"Workers is":  {Workers: 100_000},
		"the most is": {MaxPixels: math.MaxInt},
		"Tokens[1]":   {Tokens: []string{"a", "b\n"}},
		"option Tile": {Segment: diffusioninst.Options{Tile: 64}},
	} {
		_, err := New(map[string]*diffusioninst.Model{"tiny": m}, o)
		require.ErrorContains(t, err, text)
		require.True(t, strings.HasPrefix(err.Error(), "serve: "), err)
	}
	_, err := New(nil, Options{})
	require.ErrorContains(t, err, "needs a model")
	_, err = New(map[string]*diffusioninst.Model{"none": nil}, Options{})
	require.ErrorContains(t, err, "none")
}

// Whatever is in a request, the answer has a status of HTTP and the server is empty afterwards.
func FuzzRequest(f *testing.F) {
	good := string(somePNG(f, 8, 8))
	f.Add("seed=1&steps=1&mask=polygons&tolerance=2", "image/png", "application/json", []byte(good))
	f.Add("z=max&channel=1,2&norm=1,99", "multipart/form-data; boundary=x", "image/*;q=0.5", []byte("--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n"+good+"\r\n--x--\r\n"))
	f.Add("output=labels&page=1&time=1&scene=1&tile=-1&scale=0.5&limit=1&proposals=1&score=0", "", "*/*", []byte("P5 4 4 255\n0123456789abcdef"))
	f.Add("%zz&a;b", ";;", ",;q=x", []byte("II*\x00\x08\x00\x00\x00"))
	s := newServer(f, Options{Segment: everything, MaxPixels: 1 << 16, MaxBody: 1 << 16})
	f.Fuzz(func(t *testing.T, query, kind, accept string, body []byte) {
		r := httptest.NewRequest("POST", "/v1/segment", bytes.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Accept", accept)
		if q, err := parseQuery(query, r.Header, s.options.Segment); err == nil && (q.options.Steps > 2 || q.options.Proposals > 50 || q.options.Scale > 2 || q.options.Scales != nil) {
			t.Skip("takes long")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.NotEqual(t, http.StatusInternalServerError, w.Code, w.Body)
		require.Zero(t, s.admission.count())
		require.Zero(t, s.admission.held)
	})
}
