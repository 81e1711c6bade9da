package serve

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// headerLength is the header with the length of the JSON before binary tensors, of Triton's extension.
const headerLength = "Inference-Header-Content-Length"

func (s *Server) routeInference() {
	s.route("GET", "/v2", s.serverMetadata)
	s.route("GET", "/v2/health/live", s.health)
	s.route("GET", "/v2/health/ready", s.ready)
	for _, path := range []string{"/v2/models/{name}", "/v2/models/{name}/versions/{version}"} {
		s.route("GET", path, s.modelMetadata)
		s.route("GET", path+"/ready", s.modelReady)
		s.route("POST", path+"/infer", s.inferREST)
	}
	s.routeGRPC()
}

// InferenceServer is the answer of /v2.
type InferenceServer struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// InferenceModel is the answer of /v2/models/NAME.
type InferenceModel struct {
	Name     string            `json:"name"`
	Versions []string          `json:"versions"`
	Platform string            `json:"platform"`
	Inputs   []InferenceTensor `json:"inputs"`
	Outputs  []InferenceTensor `json:"outputs"`
}

// InferenceTensor describes an input or an output of an InferenceModel.
type InferenceTensor struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

var inferenceServer = InferenceServer{serverName, modelVersion, []string{"binary_tensor_data"}}

func inferenceModel(name string) InferenceModel {
	tensor := func(name string) []InferenceTensor { return []InferenceTensor{{name, "BYTES", []int64{1}}} }
	return InferenceModel{name, []string{modelVersion}, serverName, tensor(inputTensor), tensor(outputTensor)}
}

func (s *Server) serverMetadata(w http.ResponseWriter, r *http.Request) {
	s.send(w, r, http.StatusOK, inferenceServer)
}

// named returns the model of this name, which is not implied in the protocol.
func (s *Server) named(name, version string) (*entry, error) {
	e := s.models[name]
	switch {
	case e == nil:
		return nil, s.unknownModel(name)
	case version != "" && version != modelVersion:
		return nil, problem(http.StatusNotFound, "unknown_version", "there is no version %q, but %s", version, modelVersion)
	}
	return e, nil
}

func (s *Server) modelMetadata(w http.ResponseWriter, r *http.Request) {
	e, err := s.named(r.PathValue("name"), r.PathValue("version"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.send(w, r, http.StatusOK, inferenceModel(e.name))
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) {
	if _, err := s.named(r.PathValue("name"), r.PathValue("version")); err != nil {
		s.fail(w, r, err)
		return
	}
	s.ready(w, r)
}

// restRequest is the JSON of a request.
type restRequest struct {
	ID         string                   `json:"id"`
	Parameters map[string]restParameter `json:"parameters"`
	Inputs     []struct {
		Name       string          `json:"name"`
		Shape      []int64         `json:"shape"`
		Datatype   string          `json:"datatype"`
		Parameters binaryFlags     `json:"parameters"`
		Data       json.RawMessage `json:"data"`
	} `json:"inputs"`
	Outputs []struct {
		Name       string      `json:"name"`
		Parameters binaryFlags `json:"parameters"`
	} `json:"outputs"`
}

// A restParameter is text, a bool or a json.Number, if it is one that can be an option.
type restParameter struct{ value any }

// UnmarshalJSON keeps numbers as they are written.
func (p *restParameter) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(&p.value)
}

type binaryFlags struct {
	Size *int64 `json:"binary_data_size"`
	Data *bool  `json:"binary_data"`
}

type restOutput struct {
	InferenceTensor
	Parameters *binaryFlagsOut `json:"parameters,omitempty"`
	Data       []string        `json:"data,omitempty"`
}

type binaryFlagsOut struct {
	Size int `json:"binary_data_size"`
}

func (s *Server) inferREST(w http.ResponseWriter, r *http.Request) {
	if _, err := s.named(r.PathValue("name"), r.PathValue("version")); err != nil {
		s.fail(w, r, err)
		return
	}
	s.infer(w, r, func(body []byte, p *place) (*inference, error) {
		in, err := parseREST(body, r.Header.Get(headerLength), p)
		if err == nil {
			in.model, in.version = r.PathValue("name"), r.PathValue("version")
		}
		return in, err
	}, func(in *inference, result []byte) { s.sendREST(w, r, in, result) })
}

// parseREST reads a request: JSON, and after it the picture if it is not in the JSON. The place holds what
// is made of it.
func parseREST(body []byte, jsonLength string, p *place) (*inference, error) {
	var after []byte
	held := 4 * int64(cap(body))
	if jsonLength != "" {
		n, err := strconv.Atoi(jsonLength)
		if err != nil || n < 0 || n > len(body) {
			return nil, badInference("%s is %q, and the body has %d bytes", headerLength, jsonLength, len(body))
		}
		body, after = body[:n], body[n:]
	}
	held += valueBytes * jsonValues(body)
	if err := p.hold(held); err != nil {
		return nil, err
	}
	var request restRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, badInference("the JSON of the request cannot be read: %v", err)
	}
	if len(request.Inputs) != 1 {
		return nil, badInference("%d inputs: send one picture", len(request.Inputs))
	}
	input := &request.Inputs[0]
	in := &inference{id: request.ID, options: url.Values{}, shape: input.Shape, held: held}
	if err := in.check(input.Name, input.Datatype); err != nil {
		return nil, err
	}
	for name, p := range request.Parameters {
		if flag, ok := p.value.(bool); ok && name == "binary_data_output" {
			in.binary = flag
		} else if err := in.set(name, p.value); err != nil {
			return nil, err
		}
	}
	for _, o := range request.Outputs {
		if o.Name != outputTensor {
			return nil, badInference("there is no output %q, but %q", o.Name, outputTensor)
		}
		if o.Parameters.Data != nil {
			in.binary = *o.Parameters.Data
		}
	}
	var err error
	switch size := input.Parameters.Size; {
	case size != nil && len(input.Data) > 0:
		return nil, badInference("the picture is in the JSON and after it")
	case size != nil && *size == int64(len(after)):
		in.image, err = bytesElement(after)
	case size == nil && len(after) == 0:
		in.image, err = textElement(input.Data)
	default:
		return nil, badInference("binary_data_size does not say the %d bytes that are after the JSON", len(after))
	}
	if err == nil && len(in.image) == 0 {
		err = problem(http.StatusUnprocessableEntity, "empty_picture", "the picture has no bytes")
	}
	return in, err
}

// bytesElement returns the only element of a tensor of BYTES: its length and its bytes.
func bytesElement(data []byte) ([]byte, error) {
	if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) != uint64(len(data)-4) {
		return nil, badInference("the tensor is not one element of BYTES: its length in 4 bytes, little endian, and then the picture's file")
	}
	return data[4:], nil
}

// appendBytesElement is the inverse of bytesElement.
func appendBytesElement(dst, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(data))), data...)
}

// textElement returns the only element of a tensor in JSON, in base64.
func textElement(data json.RawMessage) ([]byte, error) {
	var flat []string
	if err := json.Unmarshal(data, &flat); err != nil {
		var nested [][]string
		if json.Unmarshal(data, &nested) != nil || len(nested) != 1 {
			return nil, badInference("data is not a list of one text, the picture's file in base64")
		}
		flat = nested[0]
	}
	if len(flat) != 1 {
		return nil, badInference("data has %d elements: send one picture", len(flat))
	}
	image, err := base64.StdEncoding.DecodeString(flat[0])
	if err != nil {
		return nil, badInference("data is not base64: %v", err)
	}
	return image, nil
}

// sendREST answers with the result in the JSON, or after it.
func (s *Server) sendREST(w http.ResponseWriter, r *http.Request, in *inference, result []byte) {
	out := restOutput{InferenceTensor: InferenceTensor{outputTensor, "BYTES", in.shape}}
	answer := struct {
		Model   string       `json:"model_name"`
		Version string       `json:"model_version"`
		ID      string       `json:"id,omitempty"`
		Outputs []restOutput `json:"outputs"`
	}{in.model, modelVersion, in.id, nil}
	switch {
	case in.binary:
		out.Parameters = &binaryFlagsOut{4 + len(result)}
	case utf8.Valid(result):
		out.Data = []string{string(result)}
	default:
		out.Data = []string{base64.StdEncoding.EncodeToString(result)}
	}
	answer.Outputs = []restOutput{out}
	text, err := json.Marshal(answer)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !in.binary {
		s.write(w, http.StatusOK, "application/json", text)
		return
	}
	w.Header().Set(headerLength, strconv.Itoa(len(text)))
	s.write(w, http.StatusOK, "application/octet-stream", appendBytesElement(text, result))
}
