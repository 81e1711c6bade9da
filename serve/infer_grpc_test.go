package serve

import (
	"bytes"
	"context"
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
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

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
	s := newServer(t, Options{Segment: everything, Tokens: []string{"secret"}, MaxBody: 100_000, Log: slog.New(slog.NewJSONHandler(&log, nil))})
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
		"large":         {infer(ctx, func(r *pb.ModelInferRequest) { r.RawInputContents[0] = make([]byte, 200_000) }), codes.ResourceExhausted, ""},
		"large name": {func() error {
			_, err := client.ModelReady(ctx, &pb.ModelReadyRequest{Name: strings.Repeat("x", maxSmallMessage)})
			return err
		}(), codes.Unavailable, ""},
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
	require.Contains(t, log.String(), `"code":"bad_body"`, "the message that was too large")
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
