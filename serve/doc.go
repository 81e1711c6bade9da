// Package serve answers HTTP requests with what models find in pictures. A Server is an
// http.Handler for any mux; nothing in it is global. It is a module of its own, so that importers of
// the SDK do not inherit gRPC and Prometheus.
//
//	s, err := serve.New(map[string]*diffusioninst.Model{"nuclei": model}, serve.Options{})
//	if err != nil { … }
//	if err := s.Warm(ctx); err != nil { … }
//	err = http.ListenAndServe("127.0.0.1:8080", s)
//
// # Paths
//
//	POST /v1/segment           a picture in; JSON, an overlay, a label map, GeoJSON, CSV … out
//	POST /v1/segment/stream    the same with each denoising step, as server-sent events
//	GET  /v1/models            names, classes and devices
//	GET  /healthz              200 while the process runs
//	GET  /readyz               200 after Warm and until Shutdown
//	GET  /, /openapi.json      the page for browsers; all paths for other programs
//	/v2/…                      the Open Inference Protocol over REST
//	/inference.GRPCInferenceService/…   the same over gRPC, with health checks and reflection,
//	                           if the http.Server has HTTP/2
//
// # Admission
//
// A request has a place from its header to its answer; there are as many places as pictures
// that run and wait (Options.Workers, Batch and Queue), and no client has more than
// Options.PerClient. One without a place is refused at once with 429 and Retry-After. Bodies
// and pictures are held within Options.MaxHeld, by what the headers of the request and of the
// picture say before anything is read, and calls of the model within
// Options.Segment.MaxBytes. Clients take turns.
package serve
