package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Paths of gRPC are those of its services and methods. A call is a POST with one message before
// its answer, and a status in the trailers (https://grpc.io/docs/guides/wire.html). It needs HTTP/2.
const (
	inferenceService = "/inference.GRPCInferenceService/"
	healthCheck      = "/grpc.health.v1.Health/Check"
)

// maxSmallMessage bounds the messages of calls without a picture.
const maxSmallMessage = 1 << 16

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+proto")
}

func (s *Server) routeGRPC() {
	boolean := func(is bool) []byte {
		if !is {
			return nil // the default of a message
		}
		return appendVarint(nil, 1, 1)
	}
	for method, f := range map[string]func(message []byte) ([]byte, error){
		inferenceService + "ServerLive":  func([]byte) ([]byte, error) { return boolean(true), nil },
		inferenceService + "ServerReady": func([]byte) ([]byte, error) { return boolean(s.isReady()), nil },
		inferenceService + "ModelReady": func(message []byte) ([]byte, error) {
			_, err := s.modelOf(message)
			return boolean(s.isReady()), err
		},
		inferenceService + "ServerMetadata": func([]byte) ([]byte, error) {
			b := appendBytes(appendBytes(nil, 1, inferenceServer.Name), 2, inferenceServer.Version)
			return appendBytes(b, 3, inferenceServer.Extensions[0]), nil
		},
		inferenceService + "ModelMetadata": func(message []byte) ([]byte, error) {
			e, err := s.modelOf(message)
			if err != nil {
				return nil, err
			}
			return inferenceModel(e.name).message(), nil
		},
		healthCheck: func([]byte) ([]byte, error) {
			if s.isReady() {
				return appendVarint(nil, 1, 1), nil // SERVING
			}
			return appendVarint(nil, 1, 2), nil
		},
	} {
		s.routeCall(method, func(w http.ResponseWriter, r *http.Request) {
			if s.options.ReadTimeout > 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.options.ReadTimeout)) // as in Server.body
			}
			body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxSmallMessage))
			if err != nil {
				s.fail(w, r, bodyProblem(err, "bad_body"))
				return
			}
			message, err := unframe(body)
			if err == nil {
				message, err = f(message)
			}
			if err != nil {
				s.fail(w, r, err)
				return
			}
			s.sendGRPC(w, message)
		})
	}
	s.routeCall(inferenceService+"ModelInfer", func(w http.ResponseWriter, r *http.Request) {
		s.infer(w, r, parseGRPC, func(in *inference, result []byte) { s.sendGRPC(w, in.message(result)) })
	})
}

// routeCall answers the calls of a method, within their own time.
func (s *Server) routeCall(path string, f http.HandlerFunc) {
	s.route("POST", path, func(w http.ResponseWriter, r *http.Request) {
		if !isGRPC(r) || r.ProtoMajor < 2 {
			s.fail(w, r, problem(http.StatusUnsupportedMediaType, "media_type", "%s takes calls of gRPC: HTTP/2 and application/grpc", path))
			return
		}
		if text := r.Header.Get("Grpc-Timeout"); text != "" {
			d, err := grpcTimeout(text)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), d)
			defer cancel()
			r = r.WithContext(ctx)
		}
		f(w, r)
	})
}

// grpcTimeout reads the header of that name: up to 8 digits and a unit.
func grpcTimeout(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	unit := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 63)
	if err != nil || unit == 0 || len(text) > 9 {
		return 0, badInference("grpc-timeout %q is not a time", text)
	}
	return time.Duration(min(n, uint64(1000*time.Hour/unit))) * unit, nil
}

// unframe returns the only message of a body.
func unframe(body []byte) ([]byte, error) {
	switch {
	case len(body) < 5 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-5):
		return nil, badInference("the body is not one message of gRPC")
	case body[0] != 0:
		return nil, problem(http.StatusUnsupportedMediaType, "content_encoding", "the message is compressed: send it as it is")
	}
	return body[5:], nil
}

// modelOf returns the model of a message with its name and its version.
func (s *Server) modelOf(message []byte) (*entry, error) {
	var name, version string
	if err := eachField(message, func(v field) error {
		switch v.number {
		case 1:
			name = string(v.bytes)
		case 2:
			version = string(v.bytes)
		}
		return nil
	}); err != nil {
		return nil, badInference("%v", err)
	}
	return s.named(name, version)
}

// parseGRPC reads a ModelInferRequest.
func parseGRPC(body []byte) (*inference, error) {
	message, err := unframe(body)
	if err != nil {
		return nil, err
	}
	in := &inference{options: url.Values{}}
	var inputs, raw, contents [][]byte
	err = eachField(message, func(v field) error {
		switch v.number {
		case 1:
			in.model = string(v.bytes)
		case 2:
			in.version = string(v.bytes)
		case 3:
			in.id = string(v.bytes)
		case 4:
			return in.parameter(v.bytes)
		case 5:
			inputs = append(inputs, v.bytes)
		case 6:
			return requested(v.bytes)
		case 7:
			raw = append(raw, v.bytes)
		}
		return nil
	})
	if err == nil && len(inputs) != 1 {
		err = badInference("%d inputs: send one picture", len(inputs))
	}
	if err == nil {
		contents, err = in.input(inputs[0])
	}
	if err == nil {
		switch {
		case len(contents) == 1 && len(raw) == 0:
			in.image = contents[0]
		case len(contents) == 0 && len(raw) == 1:
			in.image, err = bytesElement(raw[0])
		default:
			err = badInference("the picture is not one element of bytes_contents or of raw_input_contents")
		}
	}
	if errors.Is(err, errProtobuf) {
		err = badInference("%v", err)
	}
	if err == nil && len(in.image) == 0 {
		err = problem(http.StatusUnprocessableEntity, "empty_picture", "the picture has no bytes")
	}
	return in, err
}

// input reads an InferInputTensor, and returns its bytes_contents.
func (in *inference) input(message []byte) (contents [][]byte, err error) {
	var name, datatype string
	err = eachField(message, func(v field) (err error) {
		switch v.number {
		case 1:
			name = string(v.bytes)
		case 2:
			datatype = string(v.bytes)
		case 3:
			in.shape, err = v.varints(in.shape)
		case 5:
			return eachField(v.bytes, func(v field) error {
				if v.number == 8 {
					contents = append(contents, v.bytes)
				}
				return nil
			})
		}
		return err
	})
	if err == nil {
		err = in.check(name, datatype)
	}
	return contents, err
}

// requested checks an InferRequestedOutputTensor.
func requested(message []byte) error {
	return eachField(message, func(v field) error {
		if v.number == 1 && string(v.bytes) != outputTensor {
			return badInference("there is no output %q, but %q", v.bytes, outputTensor)
		}
		return nil
	})
}

// parameter reads an entry of a map of parameters.
func (in *inference) parameter(message []byte) error {
	var name string
	var value any
	err := eachField(message, func(v field) error {
		if v.number == 1 {
			name = string(v.bytes)
			return nil
		}
		return eachField(v.bytes, func(v field) error {
			switch v.number {
			case 1:
				value = v.value != 0
			case 2:
				value = int64(v.value)
			case 3:
				value = string(v.bytes)
			case 4:
				value = v.double()
			case 5:
				value = v.value
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return in.set(name, value)
}

// message is a ModelInferResponse.
func (in *inference) message(result []byte) []byte {
	b := appendBytes(appendBytes(nil, 1, in.model), 2, modelVersion)
	if in.id != "" {
		b = appendBytes(b, 3, in.id)
	}
	b = appendBytes(b, 5, InferenceTensor{outputTensor, "BYTES", in.shape}.message())
	return appendBytes(b, 6, appendBytesElement(nil, result))
}

func (t InferenceTensor) message() []byte {
	b := appendBytes(appendBytes(nil, 1, t.Name), 2, t.Datatype)
	var shape []byte
	for _, n := range t.Shape {
		shape = binary.AppendUvarint(shape, uint64(n))
	}
	return appendBytes(b, 3, shape)
}

// message is a ModelMetadataResponse.
func (m InferenceModel) message() []byte {
	b := appendBytes(appendBytes(appendBytes(nil, 1, m.Name), 2, m.Versions[0]), 3, m.Platform)
	return appendBytes(appendBytes(b, 4, m.Inputs[0].message()), 5, m.Outputs[0].message())
}

// sendGRPC answers a call with a message.
func (s *Server) sendGRPC(w http.ResponseWriter, message []byte) {
	if s.options.WriteTimeout > 0 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.options.WriteTimeout)) // as in Server.write
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	if _, err := w.Write(append(frame, message...)); err != nil {
		return // the client has left
	}
	h.Set("Grpc-Status", "0")
}

// failGRPC answers a call with a status, in the headers as there is no message.
func (s *Server) failGRPC(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(p.grpcStatus()))
	h.Set("Grpc-Message", percentEncoded(p.Message))
	if a, ok := w.(*answer); ok {
		a.status = p.Status // for the log
	}
	w.WriteHeader(http.StatusOK)
}

// grpcStatus is the number of a problem's status code in gRPC.
func (p *Problem) grpcStatus() int {
	switch {
	case p.Code == "not_found", p.Code == "content_encoding":
		return 12 // UNIMPLEMENTED
	case p.Status == statusLeft:
		return 1 // CANCELLED
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusNotFound:
		return 5 // NOT_FOUND
	case http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return 4 // DEADLINE_EXCEEDED
	case http.StatusInternalServerError:
		return 13 // INTERNAL
	}
	return 3 // INVALID_ARGUMENT
}

// percentEncoded is a text as a header of gRPC has it.
func percentEncoded(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
