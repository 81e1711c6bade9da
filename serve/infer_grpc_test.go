package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/diffusioninst/go/serve/internal/inference"
)

// dial connects a client of gRPC to a server.
func dial(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	conn, err := grpc.NewClient(strings.TrimPrefix(server.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<28)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Bodies are read whole before package grpc sees them, which would take 16 kB for each frame of a byte, and
// whatever follows the message.
func TestCallsOfOneMessage(t *testing.T) {
	s := newServer(t, Options{Segment: everything, ReadTimeout: 100 * time.Millisecond, MaxBody: 100_000})
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	client := &http.Transport{Protocols: server.Config.Protocols}
	defer client.CloseIdleConnections()
	message, err := proto.Marshal(inferRequest(somePNG(t, 40, 40)))
	require.NoError(t, err)
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	framed = append(framed, message...)
	const infer, check = pb.GRPCInferenceService_ModelInfer_FullMethodName, healthpb.Health_Check_FullMethodName
	for name, c := range map[string]struct {
		path, body string
		ends       bool
		code       codes.Code
	}{
		"whole":         {infer, string(framed), true, codes.OK},
		"small":         {check, "\x00\x00\x00\x00\x00", true, codes.OK},
		"more":          {infer, string(framed) + "more", true, codes.InvalidArgument},
		"another":       {infer, string(framed) + string(framed), true, codes.InvalidArgument},
		"cut":           {infer, string(framed[:100]), true, codes.InvalidArgument},
		"compressed":    {infer, "\x01" + string(framed[1:]), true, codes.InvalidArgument},
		"nothing":       {infer, "", true, codes.InvalidArgument},
		"endless":       {infer, string(framed), false, codes.DeadlineExceeded},
		"endless small": {check, "\x00\x00\x00\x00\x00", false, codes.DeadlineExceeded},
		"no message":    {infer, "\x00\x00\x00\x00\x02\xff\xff", true, codes.Internal},
	} {
		body, more := io.Pipe()
		r, err := http.NewRequest("POST", server.URL+c.path, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("TE", "trailers")
		var writing sync.WaitGroup
		writing.Go(func() {
			_, _ = io.WriteString(more, c.body)
			if c.ends {
				_ = more.Close()
			}
		})
		answer, err := client.RoundTrip(r)
		require.NoError(t, err, name)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err, name)
		require.NoError(t, answer.Body.Close())
		_ = more.Close()
		writing.Wait()
		status := answer.Trailer.Get("Grpc-Status")
		if status == "" {
			status = answer.Header.Get("Grpc-Status")
		}
		require.Equal(t, fmt.Sprint(int(c.code)), status, name)
	}
}

// A stream of reflection that goes on and on is ended.
func TestReflectionIsBounded(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, s)).ServerReflectionInfo(ctx)
	require.NoError(t, err)
	for asked := 0; err == nil; asked++ {
		require.LessOrEqual(t, asked, maxReads)
		if err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err == nil {
			_, err = stream.Recv()
		}
	}
	require.NoError(t, ctx.Err())
}

// Values are counted as they are in the message.
func TestProtoValues(t *testing.T) {
	request := inferRequest([]byte("data"))
	request.Inputs[0].Contents = &pb.InferTensorContents{Int64Contents: make([]int64, 1600), BytesContents: [][]byte{{}, {}, {}}}
	message, err := proto.Marshal(request)
	require.NoError(t, err)
	// model, id, parameter with key, value and its number; input with name, type, shape and contents with
	// numbers and three texts; output with its name; raw contents
	require.EqualValues(t, 1+1+4+5+1+101+1+3+2+1, protoValues(append(make([]byte, messageHead), message...), inferMessage))
}

// inferRequest is one as Triton's client sends it.
func inferRequest(data []byte) *pb.ModelInferRequest {
	return &pb.ModelInferRequest{
		ModelName: "tiny", Id: "7",
		Parameters:       map[string]*pb.InferParameter{"seed": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 3}}},
		Inputs:           []*pb.ModelInferRequest_InferInputTensor{{Name: "image", Datatype: "BYTES", Shape: []int64{1}}},
		Outputs:          []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "result"}},
		RawInputContents: [][]byte{appendBytesElement(nil, data)},
	}
}

// withToken is a context of calls with the token "secret".
func withToken(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer secret")
}

func TestInferenceOverGRPC(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	client, ctx := pb.NewGRPCInferenceServiceClient(dial(t, s)), withToken(t)
	data := somePNG(t, 50, 40)
	want := post(s, "/v1/segment?seed=3", bytes.NewReader(data), "Authorization: Bearer secret").Body.String()

	answer, err := client.ModelInfer(ctx, inferRequest(data))
	require.NoError(t, err)
	require.Equal(t, "7", answer.GetId())
	require.Equal(t, []int64{1}, answer.GetOutputs()[0].GetShape())
	result, err := bytesElement(answer.GetRawOutputContents()[0])
	require.NoError(t, err)
	require.Equal(t, want, string(result))

	request := inferRequest(nil)
	request.RawInputContents = nil
	request.Inputs[0].Contents = &pb.InferTensorContents{BytesContents: [][]byte{data}}
	answer, err = client.ModelInfer(ctx, request)
	require.NoError(t, err)
	require.Equal(t, want, string(answer.GetRawOutputContents()[0][4:]))

	ready, err := client.ModelReady(ctx, &pb.ModelReadyRequest{Name: "tiny"})
	require.NoError(t, err)
	require.False(t, ready.GetReady())
	require.NoError(t, s.Warm(t.Context()))
	ready, err = client.ModelReady(ctx, &pb.ModelReadyRequest{Name: "tiny", Version: "1"})
	require.NoError(t, err)
	require.True(t, ready.GetReady())
	all, err := client.ServerReady(t.Context(), &pb.ServerReadyRequest{})
	require.NoError(t, err, "without a token")
	require.True(t, all.GetReady())
	server, err := client.ServerMetadata(ctx, &pb.ServerMetadataRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"binary_tensor_data"}, server.GetExtensions())
	model, err := client.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "tiny"})
	require.NoError(t, err)
	require.Equal(t, "image", model.GetInputs()[0].GetName())
	require.Equal(t, 415, post(s, pb.GRPCInferenceService_ServerLive_FullMethodName, nil).Code, "HTTP/1")
}

func TestCallsThatFail(t *testing.T) {
	var log recorder
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}, MaxBody: 100_000, MaxHeld: 10_000_000, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	conn, ctx := dial(t, s), withToken(t)
	client := pb.NewGRPCInferenceServiceClient(conn)
	infer := func(ctx context.Context, change func(*pb.ModelInferRequest)) error {
		request := inferRequest(somePNG(t, 50, 40))
		change(request)
		_, err := client.ModelInfer(ctx, request)
		return err
	}
	same := func(*pb.ModelInferRequest) {}
	late, cancel := context.WithTimeout(ctx, time.Nanosecond)
	defer cancel()
	_, unknown := client.ModelReady(ctx, &pb.ModelReadyRequest{Name: "other"})
	_, version := client.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "tiny", Version: "2"})
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"no token":      {infer(t.Context(), same), codes.Unauthenticated, "token"},
		"model":         {unknown, codes.NotFound, "unknown_model"},
		"version":       {version, codes.NotFound, "unknown_version"},
		"no input":      {infer(ctx, func(r *pb.ModelInferRequest) { r.Inputs = nil }), codes.InvalidArgument, "bad_inference"},
		"output":        {infer(ctx, func(r *pb.ModelInferRequest) { r.Outputs[0].Name = "x" }), codes.InvalidArgument, "bad_inference"},
		"no parameter":  {infer(ctx, func(r *pb.ModelInferRequest) { r.Parameters["seed"] = nil }), codes.InvalidArgument, "bad_inference"},
		"option":        {infer(ctx, func(r *pb.ModelInferRequest) { r.Parameters["stepz"] = r.Parameters["seed"] }), codes.InvalidArgument, "unknown_option"},
		"no picture":    {infer(ctx, func(r *pb.ModelInferRequest) { r.RawInputContents = nil }), codes.InvalidArgument, "bad_inference"},
		"not a picture": {infer(ctx, func(r *pb.ModelInferRequest) { r.RawInputContents[0] = appendBytesElement(nil, []byte("no")) }), codes.InvalidArgument, "unknown_format"},
		"large":         {infer(ctx, func(r *pb.ModelInferRequest) { r.RawInputContents[0] = make([]byte, 200_000) }), codes.ResourceExhausted, "body_too_large"},
		"long name":     {infer(ctx, func(r *pb.ModelInferRequest) { r.Parameters[strings.Repeat("x", 80_000)] = r.Parameters["seed"] }), codes.InvalidArgument, "unknown_option"},
		"long id":       {infer(ctx, func(r *pb.ModelInferRequest) { r.Id = strings.Repeat("x", 80_000) }), codes.InvalidArgument, "bad_inference"},
		"many inputs": {infer(ctx, func(r *pb.ModelInferRequest) {
			r.Inputs = make([]*pb.ModelInferRequest_InferInputTensor, 40_000)
			for i := range r.Inputs {
				r.Inputs[i] = &pb.ModelInferRequest_InferInputTensor{}
			}
		}), codes.InvalidArgument, "picture_too_large"},
		"large name": {func() error {
			_, err := client.ModelReady(ctx, &pb.ModelReadyRequest{Name: strings.Repeat("x", maxSmallMessage)})
			return err
		}(), codes.ResourceExhausted, "body_too_large"},
		"compressed": {func() error {
			_, err := client.ModelInfer(ctx, inferRequest(somePNG(t, 50, 40)), grpc.UseCompressor(gzip.Name))
			return err
		}(), codes.Unimplemented, "content_encoding"},
		"late":    {infer(late, same), codes.DeadlineExceeded, ""},
		"method":  {conn.Invoke(ctx, "/inference.GRPCInferenceService/ModelStreamInfer", &pb.ServerLiveRequest{}, &pb.ServerLiveResponse{}), codes.Unimplemented, ""},
		"service": {conn.Invoke(ctx, "/no.Service/Method", &pb.ServerLiveRequest{}, &pb.ServerLiveResponse{}), codes.Unimplemented, "not_found"},
	} {
		got := status.Convert(c.err)
		require.Equal(t, c.code, got.Code(), "%s: %v", name, c.err)
		if c.reason != "" {
			require.Equal(t, c.reason, got.Details()[0].(*errdetails.ErrorInfo).GetReason(), name)
		}
	}
	require.Less(t, len(log.String()), 100_000)
}

// Panics are answers to calls, too, and clients that leave end theirs.
func TestCallsThatEndEarly(t *testing.T) {
	entered, open := make(chan struct{}, 9), make(chan struct{})
	opened := sync.OnceFunc(func() { close(open) })
	var broken atomic.Bool
	s := newServer(t, Options{Segment: gated(func() {
		if broken.Load() {
			panic("lost")
		}
		entered <- struct{}{}
		<-open
	}), Queue: -1})
	t.Cleanup(opened) // also where it fails
	client := pb.NewGRPCInferenceServiceClient(dial(t, s))
	ctx, leave := context.WithCancel(withToken(t))
	failed := make(chan error)
	go func() { _, err := client.ModelInfer(ctx, inferRequest(somePNG(t, 50, 40))); failed <- err }()
	<-entered
	_, err := client.ModelInfer(withToken(t), inferRequest(somePNG(t, 50, 40)))
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	require.NotZero(t, status.Convert(err).Details()[1].(*errdetails.RetryInfo).GetRetryDelay().GetSeconds())
	leave()
	require.Equal(t, codes.Canceled, status.Code(<-failed))
	opened()
	eventually(t, func() bool { return s.admission.count() == 0 })
	broken.Store(true)
	_, err = client.ModelInfer(withToken(t), inferRequest(somePNG(t, 50, 40)))
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "lost")
}

// Those who watch the health see the server come and go, and do not keep it from ending.
func TestHealthAndReflection(t *testing.T) {
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}})
	conn := dial(t, s)
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	next := func() healthpb.HealthCheckResponse_ServingStatus {
		answer, err := watch.Recv()
		require.NoError(t, err)
		return answer.GetStatus()
	}
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, next())
	require.NoError(t, s.Warm(t.Context()))
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, next())
	reflection, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(withToken(t))
	require.NoError(t, err)
	require.NoError(t, reflection.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	answer, err := reflection.Recv()
	require.NoError(t, err)
	require.Contains(t, answer.String(), "inference.GRPCInferenceService")
	require.NoError(t, reflection.CloseSend())
	require.NoError(t, s.Shutdown(t.Context()))
	_, err = watch.Recv()
	for err == nil { // NOT_SERVING may come first
		_, err = watch.Recv()
	}
}
