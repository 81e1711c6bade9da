package libtorch

// #include "kernels.h"
import "C"

// EnterStream makes the calling thread's own stream of a GPU LibTorch's current one. It returns the stream's number and
// that of the one before, for LeaveStream.
func EnterStream(device int) (own, before int64, err *Error) {
	var o, b C.int64_t
	err = takeError(C.di_stream_enter(C.int(device), &o, &b))
	return int64(o), int64(b), err
}

// LeaveStream undoes EnterStream, in the same thread.
func LeaveStream(device int, own, before int64) *Error {
	return takeError(C.di_stream_leave(C.int(device), C.int64_t(own), C.int64_t(before)))
}

// A Graph is recorded work on a GPU on the C++ heap, to be released by Free.
type Graph struct{ g C.di_graph }

// HasGraphs reports whether this LibTorch has CUDA graphs that can be recorded.
func HasGraphs() bool { return bool(C.di_graphs()) }

// BeginGraph begins to record what the calling thread's operators start on a GPU, in its current stream. beside, if
// it is not nil, is a living graph of that stream, whose memory the new one shares.
func BeginGraph(device int, beside *Graph) (*Graph, *Error) {
	var near, out C.di_graph
	if beside != nil {
		near = beside.g
	}
	if e := takeError(C.di_graph_begin(C.int(device), near, &out)); e != nil {
		C.di_graph_free(out)
		return nil, e
	}
	return &Graph{out}, nil
}

// End ends the recording, in the same thread.
func (g *Graph) End() *Error { return takeError(C.di_graph_end(g.g)) }

// Launch starts what was recorded, in the calling thread's current stream.
func (g *Graph) Launch() *Error { return takeError(C.di_graph_launch(g.g)) }

// Free releases the graph, which must have ended.
func (g *Graph) Free() { C.di_graph_free(g.g) }
