// CUDA graphs of the fake GPU: what its operators and kernels do between capture_begin and capture_end of LibTorch's class
// is kept and done again by replay, in the same memory. What a GPU refuses meanwhile is refused. As memory is
// shared there, a replay spoils what graphs beside it have computed that were recorded later.
#pragma once
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };

namespace fake {

inline thread_local c10::StreamId current_stream = 0;

struct Recording {
  std::vector<std::function<void()>> work;
  std::vector<at::Tensor> memory;  // that was asked for meanwhile
  std::vector<std::function<void()>> undo;  // what has been written to other memory, where a GPU would only record
  unsigned long long pool = 0, number = 0;
  c10::StreamId stream = 0;
  std::thread::id thread;
  bool broken = false;
  std::atomic<bool> busy{false};
};

inline std::atomic<Recording*> underway{nullptr};

// recording returns what the calling thread's work becomes part of: a stream records whatever thread gives it work, as
// those of autograd's do.
inline Recording* recording() {
  auto* r = underway.load();
  return r != nullptr && r->stream == current_stream ? r : nullptr;
}

inline thread_local bool replaying = false;

// refuse throws what a GPU throws for what it cannot record, which ends the recording.
inline void refuse(const char* what) {
  auto* r = recording();
  if (r == nullptr) return;
  r->broken = true;
  TORCH_CHECK(false, "CUDA error: operation not permitted when stream is capturing (fake GPU): ", what);
}

// spoil makes every number NaN, or as absurd as its type allows.
inline void spoil(const at::Tensor& t) {
  if (t.nbytes() > 0) std::memset(const_cast<void*>(t.storage().data()), 0xff, t.storage().nbytes());
}

struct Live {
  std::mutex mutex;
  std::set<Recording*> recordings;
};

inline Live& live() {
  static auto* l = new Live;
  return *l;
}

// Generator is what LibTorch's random generator knows of graphs, which all threads share: from capture_begin to a capture_end
// that succeeds it refuses to launch any. Its list of graphs has no lock.
struct Generator {
  std::atomic<bool> capturing{false};
  std::atomic<bool> broken{false};  // the recording has broken off
  std::atomic<int> inside{0};       // threads that change the list

  struct Change {
    Change();
    ~Change();
  };
};

inline Generator& generator() {
  static auto* g = new Generator;
  return *g;
}

inline Generator::Change::Change() {
  TORCH_CHECK(generator().inside++ == 0, "two threads in the generator's list of graphs (fake GPU)");
  std::this_thread::yield();
}

inline Generator::Change::~Change() { generator().inside--; }

}  // namespace fake

namespace at::cuda {

// The class of LibTorch 2.1 to 2.7 as far as internal/libtorch uses it.
struct CUDAGraph {
  using Pool = std::pair<unsigned long long, unsigned long long>;
  CUDAGraph();
  ~CUDAGraph();
  void capture_begin(Pool pool, cudaStreamCaptureMode mode);
  void capture_end();
  void replay();
  Pool pool();

 private:
  fake::Recording* recording_;
};

CUDAGraph::CUDAGraph() : recording_(new fake::Recording) {}

CUDAGraph::~CUDAGraph() {
  fake::Generator::Change change;
  std::lock_guard<std::mutex> lock(fake::live().mutex);
  TORCH_INTERNAL_ASSERT(!recording_->busy);
  fake::live().recordings.erase(recording_);
  delete recording_;
}

void CUDAGraph::capture_begin(Pool pool, cudaStreamCaptureMode mode) {
  static std::atomic<unsigned long long> numbers{0};
  TORCH_CHECK(fake::current_stream != 0, "CUDA graphs must be captured on a non-default stream (fake GPU)");
  TORCH_CHECK(mode == cudaStreamCaptureModeThreadLocal && fake::recording() == nullptr);
  auto& r = *recording_;
  r.number = ++numbers;
  r.pool = pool.first != 0 ? pool.first : r.number;
  r.stream = fake::current_stream;
  r.thread = std::this_thread::get_id();
  {
    std::lock_guard<std::mutex> lock(fake::live().mutex);
    bool shared = pool.first == 0;
    for (auto* other : fake::live().recordings) shared |= other->pool == r.pool && other->stream == r.stream;
    TORCH_CHECK(shared, "the pool of a graph that is gone, or of another stream (fake GPU)");
  }
  {
    fake::Generator::Change change;
    TORCH_CHECK(!fake::generator().capturing.exchange(true) || fake::generator().broken.exchange(false), "two threads record (fake GPU)");
  }
  fake::underway = &r;
}

void CUDAGraph::capture_end() {
  TORCH_CHECK(fake::recording() == recording_ && recording_->thread == std::this_thread::get_id(), "Capture must end in the stream and the thread that it began in (fake GPU)");
  fake::underway = nullptr;
  for (const auto& f : recording_->undo) f();
  recording_->undo.clear();
  fake::generator().broken = recording_->broken;
  TORCH_CHECK(!recording_->broken, "CUDA error: operation failed due to a previous error during capture (fake GPU)");
  fake::generator().capturing = false;
  for (const auto& t : recording_->memory) fake::spoil(t);  // nothing has been computed
  std::lock_guard<std::mutex> lock(fake::live().mutex);
  fake::live().recordings.insert(recording_);
}

void CUDAGraph::replay() {
  auto& r = *recording_;
  TORCH_CHECK(!fake::generator().capturing, "Offset increment outside graph capture encountered unexpectedly. (fake GPU)");
  TORCH_CHECK(fake::recording() == nullptr && fake::current_stream == r.stream && !r.busy.exchange(true), "a graph of another stream, or in use (fake GPU)");
  {
    std::lock_guard<std::mutex> lock(fake::live().mutex);
    for (auto* other : fake::live().recordings) {
      if (other->pool != r.pool || other->number <= r.number) continue;
      for (const auto& t : other->memory) fake::spoil(t);
    }
  }
  struct Replaying {
    fake::Recording& of;
    at::AutoDispatchBelowADInplaceOrView below;  // as where the operators were recorded
    at::DisableRecordFunctionGuard uncounted;    // the host calls none of them
    explicit Replaying(fake::Recording& r) : of(r) { fake::replaying = true; }
    ~Replaying() {
      fake::replaying = false;
      of.busy = false;
    }
  } on(r);
  for (const auto& f : r.work) f();
}

CUDAGraph::Pool CUDAGraph::pool() { return {recording_->pool, 0}; }

}  // namespace at::cuda

// Called by driver.cc: whether the calling thread's stream records, and a launch that it records.
extern "C" __attribute__((visibility("default"))) int fake_cuda_records() { return fake::recording() != nullptr; }

extern "C" __attribute__((visibility("default"))) void fake_cuda_record(void* stream, void (*launch)(void*), void* data) {
  TORCH_CHECK(reinterpret_cast<c10::StreamId>(stream) == fake::recording()->stream, "a kernel in another stream than the one that records (fake GPU)");
  fake::recording()->work.push_back([launch, data] { launch(data); });
}
