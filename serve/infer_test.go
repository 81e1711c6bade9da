package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
)

// inferBody is a request of Triton's client with its picture after the JSON, as recorded.
func inferBody(data []byte, more string) (body []byte, header string) {
	text := fmt.Sprintf(`{"id":"7","inputs":[{"name":"image","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":%d}}]%s}`, 4+len(data), more)
	return appendBytesElement([]byte(text), data), fmt.Sprintf("%s: %d", headerLength, len(text))
}

func TestInferenceOverREST(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	data := somePNG(t, 50, 40)
	want := post(s, "/v1/segment?seed=3&mask=polygons", bytes.NewReader(data)).Body.String()

	body, header := inferBody(data, `,"parameters":{"seed":3,"mask":"polygons","binary_data_output":true}`)
	for _, path := range []string{"/v2/models/tiny/infer", "/v2/models/tiny/versions/1/infer"} {
		w := post(s, path, bytes.NewReader(body), header, "Content-Type: application/octet-stream")
		require.Equal(t, 200, w.Code, w.Body)
		n := 0
		_, err := fmt.Sscan(w.Header().Get(headerLength), &n)
		require.NoError(t, err)
		require.JSONEq(t, fmt.Sprintf(`{"model_name":"tiny","model_version":"1","id":"7","outputs":[
			{"name":"result","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}`, len(want)+4), string(w.Body.Bytes()[:n]))
		got, err := bytesElement(w.Body.Bytes()[n:])
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	text := fmt.Sprintf(`{"parameters":{"seed":"3","mask":"polygons"},"inputs":[{"name":"image","shape":[1,1],"datatype":"BYTES","data":[[%q]]}],"outputs":[{"name":"result"}]}`,
		base64.StdEncoding.EncodeToString(data))
	w := post(s, "/v2/models/tiny/infer", strings.NewReader(text), "Content-Type: application/json")
	require.Equal(t, 200, w.Code, w.Body)
	var got struct {
		Outputs []struct {
			Shape []int
			Data  []string
		}
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []int{1, 1}, got.Outputs[0].Shape)
	require.Equal(t, []string{want}, got.Outputs[0].Data)
}

func TestInferenceMetadata(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	get := func(path string) *httptest.ResponseRecorder {
		return send(s, httptest.NewRequest("GET", path, nil), "Authorization: Bearer secret")
	}
	require.JSONEq(t, `{"name":"diffusioninst","version":"1","extensions":["binary_tensor_data"]}`, get("/v2").Body.String())
	model := `{"name":"tiny","versions":["1"],"platform":"diffusioninst","inputs":[{"name":"image","datatype":"BYTES","shape":[1]}],"outputs":[{"name":"result","datatype":"BYTES","shape":[1]}]}`
	require.JSONEq(t, model, get("/v2/models/tiny").Body.String())
	require.JSONEq(t, model, get("/v2/models/tiny/versions/1").Body.String())
	require.Equal(t, 503, get("/v2/models/tiny/ready").Code)
	require.NoError(t, s.Warm(t.Context()))
	require.Equal(t, 200, get("/v2/models/tiny/versions/1/ready").Code)
	for path, text := range map[string]string{
		"/v2/models/other": "other", "/v2/models/other/ready": "other", "/v2/models/tiny/versions/2": "version", "/v2/models/..%2F..%2Fetc": "etc", "/v2/nothing": "nothing",
	} {
		w := get(path)
		require.Equal(t, 404, w.Code, path)
		var got struct{ Error string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), "%s: %s", path, w.Body)
		require.Contains(t, got.Error, text)
	}
	for path, status := range map[string]int{"/v2/health/live": 200, "/v2/health/ready": 200, "/v2/models/tiny": 401, "/v2": 401} {
		require.Equal(t, status, send(s, httptest.NewRequest("GET", path, nil)).Code, path)
	}
}

func TestBadInferences(t *testing.T) {
	s := newServer(t, Options{Segment: everything, MaxBody: 10_000})
	data := somePNG(t, 40, 30)
	body, header := inferBody(data, "")
	input := func(text string) string { return `{"inputs":[{` + text + `}]}` }
	for name, c := range map[string]struct {
		body    string
		header  string
		status  int
		message string
	}{
		"no JSON":          {"{", "", 400, "JSON"},
		"two":              {`{"inputs":[{},{}]}`, "", 400, "2 inputs"},
		"tensor":           {input(`"name":"x","datatype":"BYTES","shape":[1]`), "", 400, "named"},
		"type":             {input(`"name":"image","datatype":"FP32","shape":[1]`), "", 400, "datatype"},
		"shape":            {input(`"name":"image","datatype":"BYTES","shape":[2]`), "", 400, "shape"},
		"negative":         {input(`"name":"image","datatype":"BYTES","shape":[-1,-1]`), "", 400, "shape"},
		"no data":          {input(`"name":"image","datatype":"BYTES","shape":[1]`), "", 400, "data"},
		"not base64":       {input(`"name":"image","datatype":"BYTES","shape":[1],"data":["?"]`), "", 400, "base64"},
		"two elements":     {input(`"name":"image","datatype":"BYTES","shape":[1],"data":["",""]`), "", 400, "2 elements"},
		"nothing":          {input(`"name":"image","datatype":"BYTES","shape":[1],"data":[""]`), "", 422, "no bytes"},
		"not a picture":    {input(`"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]`), "", 415, ""},
		"more JSON":        {"{} {}", "", 400, "after the JSON"},
		"length":           {string(body), headerLength + ": 99999", 400, headerLength},
		"negative length":  {string(body), headerLength + ": -1", 400, headerLength},
		"cut":              {string(body[:len(body)-1]), header, 400, "binary_data_size"},
		"long":             {string(body) + "x", header, 400, "binary_data_size"},
		"option":           {`{"parameters":{"stepz":1},` + input(`"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]`)[1:], "", 400, "stepz"},
		"model twice":      {`{"parameters":{"model":"tiny"},` + input(`"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]`)[1:], "", 400, "model"},
		"nested parameter": {`{"parameters":{"seed":[1]},` + input(`"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]`)[1:], "", 400, "seed"},
		"output":           {`{"outputs":[{"name":"x"}],` + input(`"name":"image","datatype":"BYTES","shape":[1],"data":["AAAA"]`)[1:], "", 400, "output"},
		"large":            {strings.Repeat(" ", 10_001), "", 413, "10000"},
	} {
		headers := []string{"Content-Type: application/json"}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		w := post(s, "/v2/models/tiny/infer", strings.NewReader(c.body), headers...)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		var got struct{ Error string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), name)
		require.Contains(t, got.Error, c.message, name)
	}
}

// caller returns a function that calls a method of gRPC of a server.
func caller(t *testing.T, s *Server) func(path string, message []byte, headers ...string) (status string, answer []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: server.Config.Protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return func(path string, message []byte, headers ...string) (string, []byte) {
		frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
		r, err := http.NewRequest("POST", server.URL+path, bytes.NewReader(frame))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		answer, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, 200, answer.StatusCode)
		require.Equal(t, "application/grpc", answer.Header.Get("Content-Type"))
		if status := answer.Header.Get("Grpc-Status"); status != "" {
			require.Empty(t, body)
			return status + " " + answer.Header.Get("Grpc-Message"), nil
		}
		body, err = unframe(body)
		require.NoError(t, err)
		return answer.Trailer.Get("Grpc-Status"), body
	}
}

// inferMessage is a ModelInferRequest as Triton's client sends it.
func inferMessage(data []byte) []byte {
	seed := appendBytes(appendBytes(nil, 1, "seed"), 2, appendVarint(nil, 2, 3))
	input := appendBytes(appendBytes(appendBytes(nil, 1, "image"), 2, "BYTES"), 3, []byte{1})
	b := appendBytes(appendBytes(nil, 1, "tiny"), 3, "7")
	b = appendBytes(appendBytes(b, 4, seed), 5, input)
	b = appendBytes(b, 6, appendBytes(nil, 1, "result"))
	return appendBytes(b, 7, appendBytesElement(nil, data))
}

func TestInferenceOverGRPC(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	call := caller(t, s)
	data := somePNG(t, 50, 40)
	const token = "Authorization: Bearer secret"
	want := post(s, "/v1/segment?seed=3", bytes.NewReader(data), token).Body.String()

	status, answer := call(inferenceService+"ModelInfer", inferMessage(data), token, "Grpc-Timeout: 50S")
	require.Equal(t, "0", status)
	var result []byte
	require.NoError(t, eachField(answer, func(v field) error {
		if v.number == 6 {
			result = v.bytes
		}
		return nil
	}))
	result, err := bytesElement(result)
	require.NoError(t, err)
	require.Equal(t, want, string(result))

	ready := func(path string, message []byte) string {
		status, answer := call(path, message, token)
		return fmt.Sprint(status, answer)
	}
	require.Equal(t, "0[]", ready(inferenceService+"ServerReady", nil))
	require.Equal(t, "0[8 2]", ready(healthCheck, nil))
	require.NoError(t, s.Warm(t.Context()))
	require.Equal(t, "0[8 1]", ready(inferenceService+"ServerLive", nil))
	require.Equal(t, "0[8 1]", ready(inferenceService+"ServerReady", nil))
	require.Equal(t, "0[8 1]", ready(inferenceService+"ModelReady", appendBytes(nil, 1, "tiny")))
	require.Equal(t, "0[8 1]", ready(healthCheck, nil))
	_, answer = call(inferenceService+"ModelMetadata", appendBytes(nil, 1, "tiny"), token)
	require.Contains(t, string(answer), "diffusioninst")
	status, answer = call(inferenceService+"ServerMetadata", nil, token)
	require.Equal(t, "0", status)
	require.Contains(t, string(answer), "binary_tensor_data")

	for path, c := range map[string]struct {
		message []byte
		status  string
	}{
		"ModelReady":       {appendBytes(nil, 1, "other"), "5 "},
		"ModelMetadata":    {appendBytes(appendBytes(nil, 1, "tiny"), 2, "2"), "5 "},
		"ModelInfer":       {[]byte("\xff\xff"), "3 "},
		"ModelStreamInfer": {nil, "12 "},
		"ServerMetadata":   {make([]byte, maxSmallMessage), "3 "},
	} {
		status, _ := call(inferenceService+path, c.message, token)
		require.True(t, strings.HasPrefix(status, c.status), "%s: %s", path, status)
	}
	status, _ = call(inferenceService+"ModelInfer", inferMessage([]byte("no picture")), token)
	require.True(t, strings.HasPrefix(status, "3 "), status)
	status, _ = call(inferenceService+"ModelInfer", inferMessage(data), token, "Grpc-Timeout: 1n")
	require.True(t, strings.HasPrefix(status, "4 "), status)
	status, _ = call(inferenceService+"ModelInfer", inferMessage(data))
	require.True(t, strings.HasPrefix(status, "16 "), status)
	status, _ = call(inferenceService+"ServerLive", nil)
	require.Equal(t, "0", status, "without a token")
	require.Equal(t, 415, post(s, inferenceService+"ServerLive", nil).Code, "HTTP/1")
}

// Whatever a message holds, it is read or refused.
func FuzzInference(f *testing.F) {
	data := somePNG(f, 8, 8)
	body, header := inferBody(data, "")
	f.Add(body, strings.TrimPrefix(header, headerLength+": "))
	frame := inferMessage(data)
	f.Add(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(frame))), frame...), "")
	f.Add([]byte(`{"parameters":{"seed":1.5},"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["AAAA"]}]}`), "")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		for _, parse := range []func() (*inference, error){
			func() (*inference, error) { return parseGRPC(body) },
			func() (*inference, error) { return parseREST(body, length) },
		} {
			if in, err := parse(); err == nil {
				require.NotEmpty(t, in.image)
				_, _ = parseValues(in.options, nil, diffusioninst.Options{})
				require.NotEmpty(t, in.message(nil))
			} else {
				require.Less(t, asProblem(err).Status, 500)
			}
		}
	})
}
