// Package inference has the messages and the service of the Open Inference Protocol over gRPC, generated from
// open_inference_grpc.proto of github.com/kserve/open-inference-protocol (commit d49cc23). To do so again:
//
//	protoc -I. --go_out=. --go-grpc_out=. --go_opt=paths=source_relative,Mopen_inference_grpc.proto=github.com/diffusioninst/go/serve/internal/inference \
//		--go-grpc_opt=paths=source_relative,Mopen_inference_grpc.proto=github.com/diffusioninst/go/serve/internal/inference open_inference_grpc.proto
package inference
