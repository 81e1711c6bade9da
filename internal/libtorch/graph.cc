// CUDA graphs by LibTorch's own class at::cuda::CUDAGraph: its allocator gives a graph memory that nobody else gets, its
// generators and libraries know that they are recorded. The class's header needs CUDA's headers, which may be
// absent. Its functions are therefore found by their symbols. These name the types of all parameters: a
// LibTorch whose functions take others does not have them, and then there are no graphs. From LibTorch 2.1 on a
// recording forbids only its own thread what would disturb it.
#include "graph.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include <memory>
#include <utility>

#include "count.h"
#include "kernels.h"
#include "shim.h"

namespace {

using Pool = std::pair<unsigned long long, unsigned long long>;  // at::cuda::MempoolId_t

constexpr int kThreadLocal = 1;  // cudaStreamCaptureModeThreadLocal

// Functions are those of the class; the first parameter is the object.
struct Functions {
  void (*create)(void*) = nullptr;
  void (*create_keeping)(void*, bool) = nullptr;  // from LibTorch 2.8 on, in place of create
  void (*destroy)(void*) = nullptr;
  void (*begin)(void*, Pool, int) = nullptr;
  void (*end)(void*) = nullptr;
  void (*replay)(void*) = nullptr;
  Pool (*pool)(void*) = nullptr;

  Functions() {
    find(create, "C1Ev");
    find(create_keeping, "C1Eb");
    find(destroy, "D1Ev");
    find(begin, "13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    find(end, "11capture_endEv");
    find(replay, "6replayEv");
    find(pool, "4poolEv");
  }

  template <typename F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, (std::string("_ZN2at4cuda9CUDAGraph") + name).c_str()));
  }

  bool whole() const {
    return (create != nullptr || create_keeping != nullptr) && destroy != nullptr && begin != nullptr && end != nullptr &&
           replay != nullptr && pool != nullptr;
  }
};

const Functions& functions() {
  static const Functions f;
  return f;
}

thread_local bool records = false;

}  // namespace

// The object is far smaller than its place in all releases, which is some hundred bytes.
struct di_graph_s {
  alignas(64) unsigned char object[8192] = {};
  at::Device device;
  bool whole = false;

  explicit di_graph_s(at::Device d) : device(d) {}
};

namespace di {

bool recording() { return records; }

void refuse_copy() {
  TORCH_CHECK(!records, "a copy between the host and a GPU cannot be part of a CUDA graph");
}

}  // namespace di

bool di_graphs() noexcept { return functions().whole(); }

di_error* di_graph_begin(int device, di_graph beside, di_graph* graph) noexcept {
  return di::guard([&] {
    const auto& f = functions();
    TORCH_CHECK(f.whole(), "this LibTorch has no CUDA graphs that are recorded in one thread: 2.1 and later have");
    TORCH_CHECK(!records, "a CUDA graph within a CUDA graph");
    auto g = std::make_unique<di_graph_s>(di::device(device));
    c10::DeviceGuard on(g->device);
    Pool pool = beside != nullptr ? f.pool(beside->object) : Pool{0, 0};
    if (f.create != nullptr) {
      f.create(g->object);
    } else {
      f.create_keeping(g->object, false);
    }
    *graph = g.release();  // from here on it is freed by di_graph_free
    f.begin((*graph)->object, pool, kThreadLocal);
    records = true;
  });
}

di_error* di_graph_end(di_graph graph) noexcept {
  records = false;
  return di::guard([&] {
    c10::DeviceGuard on(graph->device);
    functions().end(graph->object);
    graph->whole = true;
  });
}

di_error* di_graph_launch(di_graph graph) noexcept {
  return di::guard([&] {
    c10::DeviceGuard on(graph->device);
    functions().replay(graph->object);
    di::counted_launches++;
  });
}

void di_graph_free(di_graph graph) noexcept {
  // LibTorch's allocator goes on asking an object whether it records, if its recording did not end well: that
  // one stays.
  if (graph == nullptr || !graph->whole) return;
  auto* e = di::guard([&] {
    c10::DeviceGuard on(graph->device);
    functions().destroy(graph->object);
  });
  di_error_free(e);
  delete graph;
}
