package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/diffusioninst/go/serve/internal/inference"
)

// maxSmallMessage bounds what a call without a picture may send.
const maxSmallMessage = 1 << 16

// inferMessage describes the message of a call with a picture.
var inferMessage = (*pb.ModelInferRequest)(nil).ProtoReflect().Descriptor()

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return r.ProtoMajor >= 2 && (kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+"))
}

// routeGRPC answers calls of the inference protocol, of health checks and of reflection on the port
// of everything else.
func (s *Server) routeGRPC() {
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(int(s.options.MaxBody)), grpc.UnaryInterceptor(s.callUnary), grpc.StreamInterceptor(s.callStream),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			name, _ := grpc.MethodFromServerStream(stream)
			return s.callFailed(callOf(stream.Context()), status.Errorf(codes.Unimplemented, "there is no method %s", name))
		}))
	s.serving = health.NewServer()
	s.serving.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	pb.RegisterGRPCInferenceServiceServer(s.grpc, inferenceGRPC{s: s})
	healthpb.RegisterHealthServer(s.grpc, s.serving)
	reflection.Register(s.grpc)
	s.refuser = grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		return callOf(stream.Context()).problem.grpcError()
	}))
	for service := range s.grpc.GetServiceInfo() {
		s.mux.HandleFunc("/"+service+"/", s.serveGRPC)
	}
	for _, m := range pb.GRPCInferenceService_ServiceDesc.Methods { // by name in the metrics
		s.mux.HandleFunc("/"+pb.GRPCInferenceService_ServiceDesc.ServiceName+"/"+m.MethodName, s.serveGRPC)
	}
}

// A call is a call of gRPC, whose handler runs in a goroutine of package grpc.
type call struct {
	w        http.ResponseWriter
	admitted context.Context // of a picture, until its time ends
	place    *place
	held     int64 // by the place, of the message
	left     bool  // the place is the scheduler's
	problem  *Problem

	lock    sync.Mutex
	over    bool
	running chan struct{} // closed by the end of the handler
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (s *Server) serveGRPC(w http.ResponseWriter, r *http.Request) {
	if !isGRPC(r) {
		s.fail(w, r, problem(http.StatusUnsupportedMediaType, "media_type", "%s takes calls of gRPC: HTTP/2 and application/grpc", r.URL.Path))
		return
	}
	if encoding := r.Header.Get("Grpc-Encoding"); encoding != "" && encoding != "identity" {
		// A program has what any of its packages registers, and a message may become 1000 times as large.
		s.fail(w, r, problem(http.StatusUnsupportedMediaType, "content_encoding", "the message is compressed (%s): send it as it is", encoding))
		return
	}
	c := &call{w: w}
	switch r.URL.Path {
	case pb.GRPCInferenceService_ModelInfer_FullMethodName:
		s.inside(w, r, func(ctx context.Context, p *place) bool {
			message, err := s.body(ctx, w, r, p, readMessage)
			if err == nil {
				c.place, c.held = p, 4*int64(cap(message))+valueBytes*protoValues(message, inferMessage)
				err = p.hold(c.held) // with what packages grpc and proto make of it
			}
			if err != nil {
				s.fail(w, r, err)
				return true
			}
			r.Body = &messageBody{data: message}
			s.serveCall(ctx, c, w, r)
			return !c.left
		})
	case reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName, reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName:
		defer s.reading(r.Context(), w)(false)
		r.Body = &fewReads{ReadCloser: http.MaxBytesReader(nil, r.Body, maxSmallMessage), left: maxReads}
		s.serveCall(r.Context(), c, w, r)
	default:
		received := s.reading(r.Context(), w)
		message, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxSmallMessage))
		received(err == nil)
		if err != nil {
			s.fail(w, r, bodyProblem(err, "bad_body"))
			return
		}
		r.Body = &messageBody{data: message}
		s.serveCall(r.Context(), c, w, r)
	}
}

// serveCall lets package grpc answer a call, and waits for its handler, which that does not. ctx ends the
// call but not the connection to its client, who is told why.
func (s *Server) serveCall(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request) {
	c.admitted = ctx
	s.grpc.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	c.lock.Lock()
	c.over = true
	c.lock.Unlock()
	if c.running != nil {
		<-c.running
		return
	}
	if c.place == nil {
		return
	}
	p := problem(http.StatusBadRequest, "bad_body", "the message could not be read") // package grpc has told the client
	if r.Context().Err() != nil {
		p = asProblem(context.Canceled) // before the handler began
	}
	logProblem(w, p)
	if a, ok := w.(*answer); ok {
		a.status = p.Status
	}
}

// begin reports whether the handler of a call may run: not if the client has left before.
func (c *call) begin() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	if !c.over {
		c.running = make(chan struct{})
	}
	return !c.over
}

// callUnary calls the handler of a method with one message.
func (s *Server) callUnary(ctx context.Context, in any, _ *grpc.UnaryServerInfo, f grpc.UnaryHandler) (out any, err error) {
	c := callOf(ctx)
	if !c.begin() {
		return nil, status.FromContextError(context.Canceled).Err()
	}
	defer close(c.running)
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
		if s.options.WriteTimeout > 0 {
			_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(s.options.WriteTimeout)) // as in Server.write
		}
		if err != nil {
			out, err = nil, s.callFailed(c, err)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.admitted, func() { cancel(context.Cause(c.admitted)) })()
	return f(ctx, in)
}

// callStream calls the handler of a method with a stream of answers, which ends with the server.
func (s *Server) callStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, f grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	return f(service, endingStream{stream, ctx})
}

// An endingStream is a stream with another context.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (e endingStream) Context() context.Context { return e.ctx }

// callFailed returns the status of a call that failed, and says why in the log.
func (s *Server) callFailed(c *call, err error) error {
	if st, ok := status.FromError(err); ok { // of package grpc
		if a, ok := c.w.(*answer); ok && (st.Code() == codes.NotFound || st.Code() == codes.Unimplemented) {
			a.status = http.StatusNotFound
		}
		return err
	}
	p := *asProblem(err)
	logProblem(c.w, &p)
	if a, ok := c.w.(*answer); ok {
		a.status = p.Status
	}
	return p.grpcError()
}

// failGRPC answers a call with a problem, without reading it.
func (s *Server) failGRPC(w http.ResponseWriter, r *http.Request, p *Problem) {
	if a, ok := w.(*answer); ok {
		a.status = p.Status // for the log
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, &call{problem: p}))
	r.Body = http.NoBody // package grpc would read it
	s.refuser.ServeHTTP(w, r)
}

// grpcError is a problem as a status of gRPC, with its code for programs.
func (p *Problem) grpcError() error {
	st := status.New(p.grpcCode(), p.Message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: p.Code, Domain: serverName}}
	if p.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(p.RetryAfter) * time.Second)})
	}
	if with, err := st.WithDetails(details...); err == nil {
		st = with
	}
	return st.Err()
}

func (p *Problem) grpcCode() codes.Code {
	switch {
	case p.Code == "not_found", p.Code == "content_encoding":
		return codes.Unimplemented
	case p.Code == "body_too_large":
		return codes.ResourceExhausted // as package grpc says it
	case p.Status == statusLeft:
		return codes.Canceled
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	case http.StatusInternalServerError:
		return codes.Internal
	}
	return codes.InvalidArgument
}

// inferenceGRPC are the methods of the inference protocol.
type inferenceGRPC struct {
	pb.UnimplementedGRPCInferenceServiceServer
	s *Server
}

func (g inferenceGRPC) ServerLive(context.Context, *pb.ServerLiveRequest) (*pb.ServerLiveResponse, error) {
	return &pb.ServerLiveResponse{Live: true}, nil
}

func (g inferenceGRPC) ServerReady(context.Context, *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	return &pb.ServerReadyResponse{Ready: g.s.isReady()}, nil
}

func (g inferenceGRPC) ModelReady(_ context.Context, in *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	_, err := g.s.named(in.GetName(), in.GetVersion())
	return &pb.ModelReadyResponse{Ready: g.s.isReady()}, err
}

func (g inferenceGRPC) ServerMetadata(context.Context, *pb.ServerMetadataRequest) (*pb.ServerMetadataResponse, error) {
	return &pb.ServerMetadataResponse{Name: inferenceServer.Name, Version: inferenceServer.Version, Extensions: inferenceServer.Extensions}, nil
}

func (g inferenceGRPC) ModelMetadata(_ context.Context, in *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	e, err := g.s.named(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	tensors := func(list []InferenceTensor) (out []*pb.ModelMetadataResponse_TensorMetadata) {
		for _, t := range list {
			out = append(out, &pb.ModelMetadataResponse_TensorMetadata{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape})
		}
		return out
	}
	m := inferenceModel(e.name)
	return &pb.ModelMetadataResponse{Name: m.Name, Versions: m.Versions, Platform: m.Platform, Inputs: tensors(m.Inputs), Outputs: tensors(m.Outputs)}, nil
}

func (g inferenceGRPC) ModelInfer(ctx context.Context, request *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
	c := callOf(ctx)
	in, err := parseGRPC(request)
	if err != nil {
		return nil, err
	}
	in.held = c.held
	request.Reset() // or package grpc would keep the picture
	result, left, err := g.s.runInference(ctx, c.w, c.place, in)
	c.left = left
	if err != nil {
		return nil, err
	}
	return &pb.ModelInferResponse{
		ModelName: in.model, ModelVersion: modelVersion, Id: in.id,
		Outputs:           []*pb.ModelInferResponse_InferOutputTensor{{Name: outputTensor, Datatype: "BYTES", Shape: in.shape}},
		RawOutputContents: [][]byte{appendBytesElement(nil, result)},
	}, nil
}

// parseGRPC checks a request.
func parseGRPC(request *pb.ModelInferRequest) (*inference, error) {
	in := &inference{model: request.GetModelName(), version: request.GetModelVersion(), id: request.GetId(), options: url.Values{}}
	for name, p := range request.GetParameters() {
		if err := in.setGRPC(name, p); err != nil {
			return nil, err
		}
	}
	for _, o := range request.GetOutputs() {
		if o.GetName() != outputTensor {
			return nil, badInference("there is no output %q, but %q", o.GetName(), outputTensor)
		}
	}
	if n := len(request.GetInputs()); n != 1 {
		return nil, badInference("%d inputs: send one picture", n)
	}
	input := request.GetInputs()[0]
	in.shape = input.GetShape()
	if err := in.check(input.GetName(), input.GetDatatype()); err != nil {
		return nil, err
	}
	var err error
	switch contents, raw := input.GetContents().GetBytesContents(), request.GetRawInputContents(); {
	case len(contents) == 1 && len(raw) == 0:
		in.image = contents[0]
	case len(contents) == 0 && len(raw) == 1:
		in.image, err = bytesElement(raw[0])
	default:
		err = badInference("the picture is not one element of bytes_contents or of raw_input_contents")
	}
	if err == nil && len(in.image) == 0 {
		err = problem(http.StatusUnprocessableEntity, "empty_picture", "the picture has no bytes")
	}
	return in, err
}

func (in *inference) setGRPC(name string, p *pb.InferParameter) error {
	switch v := p.GetParameterChoice().(type) {
	case *pb.InferParameter_BoolParam:
		return in.set(name, v.BoolParam)
	case *pb.InferParameter_Int64Param:
		return in.set(name, v.Int64Param)
	case *pb.InferParameter_StringParam:
		return in.set(name, v.StringParam)
	case *pb.InferParameter_DoubleParam:
		return in.set(name, v.DoubleParam)
	case *pb.InferParameter_Uint64Param:
		return in.set(name, v.Uint64Param)
	}
	return in.set(name, nil)
}
