package serve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/mask"
)

// polygonInterface is as Label Studio's templates write it.
const polygonInterface = `<View>
  <Image name="image" value="$picture" zoom="true"/>
  <PolygonLabels name="label" toName="image" strokeWidth="3"><Label value="Round thing" predicted_values="ball, circle" background="red"/></PolygonLabels>
  <BrushLabels name="brush" toName="image"><Label value="Circle"/></BrushLabels>
</View>`

const brushInterface = `<View><Image name="image" value="$picture"/><BrushLabels name="brush" toName="image"><Label value="Circle"/></BrushLabels></View>`

// predictBody is a request as Label Studio 1.2x sends it.
func predictBody(labelConfig string, pictures ...string) string {
	tasks := []map[string]any{}
	for i, p := range pictures {
		tasks = append(tasks, map[string]any{"id": i + 1, "data": map[string]any{"picture": p}, "annotations": []any{}, "predictions": []any{}})
	}
	text, _ := json.Marshal(map[string]any{
		"tasks": tasks, "label_config": labelConfig, "project": "1.1764000000", "model_version": "tiny",
		"params": map[string]any{"login": nil, "password": nil, "context": nil},
	})
	return string(text)
}

func TestLabelStudio(t *testing.T) {
	data := somePNG(t, 50, 40)
	var asked []string
	studio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/data/upload/1/a.png":
			_, _ = w.Write(data)
		case "/away":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusSeeOther)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusSeeOther)
		case "/silent":
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	}))
	defer studio.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}, LabelStudio: &LabelStudio{URL: studio.URL, Token: "key"}})
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:secret"))
	inline := "data:image/png;base64," + base64.StdEncoding.EncodeToString(data)

	require.Equal(t, 401, post(s, "/predict", strings.NewReader("{}")).Code)
	require.Equal(t, 503, send(s, httptest.NewRequest("GET", "/health", nil), basic).Code)
	require.NoError(t, s.Warm(t.Context()))
	require.JSONEq(t, `{"status":"UP","model_class":"diffusioninst"}`, send(s, httptest.NewRequest("GET", "/health", nil), basic).Body.String())
	setup, err := json.Marshal(map[string]string{"project": "1.1764000000", "schema": polygonInterface, "hostname": studio.URL, "access_token": "x"})
	require.NoError(t, err)
	require.JSONEq(t, `{"model_version":"tiny"}`, post(s, "/setup", strings.NewReader(string(setup)), basic).Body.String())
	require.Equal(t, 422, post(s, "/setup", strings.NewReader(`{"schema":"<View/>"}`), basic).Code)
	require.Equal(t, 200, post(s, "/webhook", strings.NewReader(`{"action":"ANNOTATION_CREATED"}`), basic).Code)

	var want Answer
	require.NoError(t, json.Unmarshal(post(s, "/v1/segment?mask=polygons&tolerance=1", strings.NewReader(string(data)), basic).Body.Bytes(), &want))
	require.NotEmpty(t, want.Instances)
	var got struct {
		Results []prediction
	}
	w := post(s, "/predict", strings.NewReader(predictBody(polygonInterface, "/data/upload/1/a.png", inline)), basic)
	require.Equal(t, 200, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []string{"/data/upload/1/a.png Token key"}, asked)
	require.Len(t, got.Results, 2)
	require.Equal(t, got.Results[0], got.Results[1])
	var polygons int
	want.Instances = slices.DeleteFunc(want.Instances, func(in Instance) bool { return in.Segmentation == nil || in.Area == 0 })
	for _, in := range want.Instances {
		polygons += len(in.Segmentation.([]any))
	}
	require.Len(t, got.Results[0].Result, polygons)
	first := got.Results[0].Result[0]
	require.Equal(t, region{
		ID: first.ID, From: "label", To: "image", Type: "polygonlabels", Width: 50, Height: 40, Score: want.Instances[0].Score, Value: first.Value,
	}, first)
	require.Equal(t, []any{"Round thing"}, first.Value["polygonlabels"])
	xy := want.Instances[0].Segmentation.([]any)[0].([]any)
	point := first.Value["points"].([]any)[0].([]any)
	require.Len(t, point, 2)
	closetest.Slices(t, []float64{xy[0].(float64) * 2, xy[1].(float64) * 2.5}, []float64{point[0].(float64), point[1].(float64)}, 1e-9)

	w = post(s, "/predict", strings.NewReader(predictBody(brushInterface, inline)), basic)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Len(t, got.Results[0].Result, len(want.Instances))
	area := 0
	for _, v := range decodeBrush(t, got.Results[0].Result[0].Value["rle"].([]any), 4*50*40) {
		area += int(v) / 255
	}
	require.Equal(t, 4*want.Instances[0].Area, area)

	for name, c := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"no JSON":        {"{", 400, "bad_body"},
		"no interface":   {predictBody("", inline), 422, "neither"},
		"broken XML":     {predictBody("<View", inline), 422, "bad_interface"},
		"no image":       {predictBody(strings.ReplaceAll(brushInterface, "Image", "Video"), inline), 422, "not an Image"},
		"no picture":     {predictBody(polygonInterface, inline, ""), 422, "task 2"},
		"elsewhere":      {predictBody(polygonInterface, "http://192.0.2.1/a.png"), 422, "bad_picture_address"},
		"a file":         {predictBody(polygonInterface, "file:///etc/passwd"), 422, "bad_picture_address"},
		"a user":         {predictBody(polygonInterface, strings.Replace(studio.URL, "http://", "http://x@192.0.2.1/?", 1)), 422, "bad_picture_address"},
		"round":          {predictBody(polygonInterface, "/round"), 502, "again and again"},
		"redirected":     {predictBody(polygonInterface, "/away"), 502, "another host"},
		"not there":      {predictBody(polygonInterface, "/none.png"), 502, "404"},
		"not base64":     {predictBody(polygonInterface, "data:image/png;base64,?"), 400, "base64"},
		"not a picture":  {predictBody(polygonInterface, "data:image/png;base64,AAAA"), 415, "task 1"},
		"many long data": {predictBody(polygonInterface, strings.Repeat("x", 100)), 502, "404"},
	} {
		w := post(s, "/predict", strings.NewReader(c.body), basic)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		require.Contains(t, w.Body.String(), c.text, name)
	}
	hasty := newServer(t, Options{Segment: everything, Timeout: 50 * time.Millisecond, LabelStudio: &LabelStudio{URL: studio.URL}})
	require.Equal(t, 504, post(hasty, "/predict", strings.NewReader(predictBody(polygonInterface, "/silent"))).Code)
	many := post(s, "/predict", strings.NewReader(`{"tasks":[`+strings.Repeat("{},", 5_000_000)+`{}]}`), basic)
	require.Equal(t, 413, many.Code, "what is made of the JSON is held: %s", many.Body)
	long := post(s, "/predict", strings.NewReader(predictBody(strings.ReplaceAll(polygonInterface, "Circle", strings.Repeat(",", maxInterface)), inline)), basic)
	require.Equal(t, 422, long.Code)
	_, err = New(nil, Options{LabelStudio: &LabelStudio{URL: "ftp://x"}})
	require.Error(t, err)
}

// decodeBrush is the decoder of @thi.ng/rle-pack.
func decodeBrush(t *testing.T, data []any, size int) []byte {
	t.Helper()
	at := 0
	read := func(bits int) (v int) {
		for range bits {
			v = v<<1 | int(data[at/8].(float64))>>(7-at%8)&1
			at++
		}
		return v
	}
	require.Equal(t, size, read(32))
	word := read(5) + 1
	var sizes [4]int
	for i := range sizes {
		sizes[i] = read(4) + 1
	}
	out := make([]byte, size)
	for i := 0; i < size; {
		same := read(1)
		end := i + 1 + read(sizes[read(2)])
		require.Equal(t, 1, same)
		for v := read(word); i < end; i++ {
			out[i] = byte(v)
		}
	}
	return out
}

// Strokes cover the mask, also with runs that are longer than one of the packing.
func TestBrushStrokes(t *testing.T) {
	m := mask.NewBitmap(300, 200)
	m.Fill(image.Rect(0, 0, 300, 150))
	m.Fill(image.Rect(7, 199, 9, 200))
	var list []any
	for _, v := range brushStrokes(m) {
		list = append(list, float64(v))
	}
	out := decodeBrush(t, list, 4*300*200)
	for y := range 200 {
		for x := range 300 {
			want := byte(0)
			if m.Get(x, y) {
				want = 255
			}
			for c := range 4 {
				require.Equal(t, want, out[4*(300*y+x)+c], fmt.Sprint(x, y))
			}
		}
	}
}

// Whatever an interface holds, it is read or refused.
func FuzzInterface(f *testing.F) {
	f.Add(polygonInterface)
	f.Add(brushInterface)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseInterface(text)
		if err == nil {
			require.Contains(t, []string{polygonLabels, brushLabels}, l.kind)
		}
	})
}
