// CUDA graphs by LibTorch's own class at::cuda::CUDAGraph: its allocator gives a graph memory that nobody else gets, its
// generators and libraries know that they are recorded. The class's header needs CUDA's headers, which may be
// absent. Its functions are therefore found by their symbols. These name the types of all parameters: a
// LibTorch whose functions take others does not have them, and then there are no graphs. From LibTorch 2.1 on a
// recording forbids only its own thread what would disturb it. Its random generator, however, is one of all threads: it
// refuses to launch a graph while another one is recorded, and keeps a list of graphs without a lock. Hence turns().
#include "graph.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>

#include <memory>
#include <shared_mutex>
#include <utility>

#include "count.h"
#include "kernels.h"
#include "shim.h"

namespace {

using Pool = std::pair<unsigned long long, unsigned long long>;  // at::cuda::MempoolId_t

constexpr int kThreadLocal = 1;  // cudaStreamCaptureModeThreadLocal

// Functions are the class's; the first parameter is the object.
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

// turns is held alone by who records or frees a graph, and with others by who launches one. It is never destroyed.
std::shared_mutex& turns() {
  static auto* m = new std::shared_mutex;
  return *m;
}

}  // namespace

// The object is far smaller than its place in all releases, which is some hundred bytes.
struct di_graph_s {
  alignas(64) unsigned char object[8192] = {};
  at::Device device;
  bool whole = false;

  explicit di_graph_s(at::Device d) : device(d) {}

  void create() {
    const auto& f = functions();
    if (f.create != nullptr) {
      f.create(object);
    } else {
      f.create_keeping(object, false);
    }
  }
};

namespace {

// settle records and drops a graph after one whose recording has broken off, which leaves LibTorch's random generator as if it
// went on, so that it would refuse to launch any graph.
void settle(at::Device device) {
  const auto& f = functions();
  auto t = di::zeros({1}, at::TensorOptions(at::kFloat).device(device));
  auto g = std::make_unique<di_graph_s>(device);
  g->create();
  auto* object = g.release()->object;  // which stays if this one breaks off, too
  f.begin(object, Pool{0, 0}, kThreadLocal);
  t.zero_();
  f.end(object);
  f.destroy(object);
}

// settled is settle for who has a better error to report.
void settled(at::Device device) { di_error_free(di::guard([&] { settle(device); })); }

}  // namespace

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
    std::unique_lock<std::shared_mutex> alone(turns());
    auto g = std::make_unique<di_graph_s>(di::device(device));
    c10::DeviceGuard on(g->device);
    Pool pool = beside != nullptr ? f.pool(beside->object) : Pool{0, 0};
    g->create();
    *graph = g.release();  // from here on it is freed by di_graph_free
    try {
      f.begin((*graph)->object, pool, kThreadLocal);
    } catch (...) {
      settled((*graph)->device);
      throw;
    }
    records = true;
    alone.release();  // until di_graph_end
  });
}

di_error* di_graph_end(di_graph graph) noexcept {
  records = false;
  std::unique_lock<std::shared_mutex> alone(turns(), std::adopt_lock);
  return di::guard([&] {
    c10::DeviceGuard on(graph->device);
    try {
      functions().end(graph->object);
    } catch (...) {
      settled(graph->device);
      throw;
    }
    graph->whole = true;
  });
}

di_error* di_graph_launch(di_graph graph) noexcept {
  return di::guard([&] {
    TORCH_CHECK(!records, "a CUDA graph within a CUDA graph");
    std::shared_lock<std::shared_mutex> together(turns());
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
    std::unique_lock<std::shared_mutex> alone(turns(), std::defer_lock);
    if (!records) alone.lock();
    c10::DeviceGuard on(graph->device);
    functions().destroy(graph->object);
  });
  di_error_free(e);
  delete graph;
}
