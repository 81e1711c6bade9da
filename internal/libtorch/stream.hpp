// Streams of threads: work of several threads on one GPU overlaps, and a graph can be recorded, which the default
// stream does not allow.
#include <c10/core/Event.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <map>
#include <mutex>
#include <vector>

#include "gpu.h"
#include "guard.h"
#include "kernels.h"
#include "stream.h"

namespace {

// Idle are the streams of threads that have ended, by device. None is ever destroyed: LibTorch keeps memory
// for each stream that it has seen.
struct Idle {
  std::mutex mutex;
  std::map<int, std::vector<int64_t>> streams;
};

Idle& idle() {
  static auto* i = new Idle;
  return *i;
}

// Own are the calling thread's streams by device.
struct Own {
  std::map<int, int64_t> streams;

  ~Own() {
    std::lock_guard<std::mutex> lock(idle().mutex);
    for (auto [device, stream] : streams) idle().streams[device].push_back(stream);
  }

  int64_t on(int device) {
    if (auto known = streams.find(device); known != streams.end()) return known->second;
    int64_t out = 0;
    {
      std::lock_guard<std::mutex> lock(idle().mutex);
      if (auto& list = idle().streams[device]; !list.empty()) {
        out = list.back();
        list.pop_back();
      }
    }
    if (out == 0) out = di::gpu::new_stream(device);
    return streams[device] = out;
  }
};

thread_local Own own_streams;

}  // namespace

namespace di {

c10::Stream stream(int device, int64_t number) {
  return c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)), number);
}

c10::Stream current_stream(int device) {
  return c10::impl::getDeviceGuardImpl(c10::kCUDA)->getStream(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
}

void follow(c10::Stream later, c10::Stream first) {
  c10::Event event(c10::kCUDA);
  event.record(first);
  event.block(later);
}

}  // namespace di

di_error* di_stream_enter(int device, int64_t* own, int64_t* before) noexcept {
  return di::guard([&] {
    auto* gpu = c10::impl::getDeviceGuardImpl(c10::kCUDA);
    auto to = di::stream(device, *own = own_streams.on(device)), from = gpu->getStream(to.device());
    *before = from.id();
    di::follow(to, from);
    gpu->exchangeStream(to);
  });
}

di_error* di_stream_leave(int device, int64_t own, int64_t before) noexcept {
  return di::guard([&] {
    auto from = di::stream(device, own), to = di::stream(device, before);
    c10::impl::getDeviceGuardImpl(c10::kCUDA)->exchangeStream(to);
    di::follow(to, from);
  });
}
