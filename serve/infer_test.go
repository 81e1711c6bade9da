package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/diffusioninst/go/diffusioninst"
	pb "github.com/diffusioninst/go/serve/internal/inference"
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
	s := newServer(t, Options{Segment: everything, MaxBody: 10_000, MaxHeld: 400_000})
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
		"more JSON":        {"{} {}", "", 400, "after"},
		"many inputs":      {`{"inputs":[` + strings.Repeat("{},", 3000) + `{}]}`, "", 413, "held"},
		"many parameters":  {`{"parameters":{` + strings.Repeat(`"a":1,`, 1600) + `"b":1}}`, "", 413, "held"},
		"long name":        {input(`"name":"` + strings.Repeat("x", 9000) + `","datatype":"BYTES","shape":[1]`), "", 400, "named"},
		"deep":             {`{"parameters":` + strings.Repeat(`{"a":`, 800) + "1" + strings.Repeat("}", 800) + "}", "", 400, "inputs"},
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

// Values of JSON are counted outside of texts.
func TestJSONValues(t *testing.T) {
	for text, want := range map[string]int64{
		``: 0, `1`: 0, `[]`: 1, `[1,2,{"a":3,"b":[4]}]`: 6, `["a,[{","\",[",1]`: 3, `"\\",`: 1, `",,,`: 0, `"\`: 0, `["\\\\\",",2]`: 2,
	} {
		require.Equal(t, want, jsonValues([]byte(text)), text)
	}
}

// Whatever a message holds, it is read or refused.
func FuzzInference(f *testing.F) {
	data := somePNG(f, 8, 8)
	body, header := inferBody(data, "")
	f.Add(body, strings.TrimPrefix(header, headerLength+": "))
	message, err := proto.Marshal(inferRequest(data))
	require.NoError(f, err)
	f.Add(message, "")
	f.Add([]byte(`{"parameters":{"seed":1.5},"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["AAAA"]}]}`), "")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		for _, parse := range []func() (*inference, error){
			func() (*inference, error) {
				var request pb.ModelInferRequest
				if err := proto.Unmarshal(body, &request); err != nil {
					return nil, badInference("%v", err)
				}
				return parseGRPC(&request)
			},
			func() (*inference, error) {
				p, err := (&admission{places: 1, perClient: 1, limit: 1 << 30, clients: map[string]*share{}}).enter("")
				require.NoError(t, err)
				return parseREST(body, length, p)
			},
		} {
			if in, err := parse(); err == nil {
				require.NotEmpty(t, in.image)
				_, _ = parseValues(in.options, nil, diffusioninst.Options{})
			} else {
				require.Less(t, asProblem(err).Status, 500)
				require.NotEqual(t, codes.OK, status.Code(asProblem(err).grpcError()))
			}
		}
	})
}
