// NCCL adds up memory of several GPUs. Its functions are declared here and found by their names, because its headers and
// CUDA's may be absent, and so may the library. Numbers and types are as in nccl.h since 2.4.
#include "nccl.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/ScalarType.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "guard.h"

namespace {

using dp::guard;

struct Id {
  char bytes[DP_NCCL_ID];  // ncclUniqueId, passed by value
};

using Result = int;  // ncclResult_t
using Comm = struct ncclComm*;

constexpr Result kSuccess = 0, kInProgress = 7;
constexpr int kSum = 0;        // ncclSum
constexpr int kOldest = 2400;  // has ncclCommGetAsyncError and ncclCommAbort

struct Library {
  void* handle = nullptr;
  Result (*version)(int*) = nullptr;
  Result (*new_id)(Id*) = nullptr;
  Result (*open)(Comm*, int, Id, int) = nullptr;
  Result (*sum)(const void*, void*, size_t, int, int, Comm, void*) = nullptr;
  Result (*async_error)(Comm, Result*) = nullptr;
  Result (*abort)(Comm) = nullptr;
  Result (*close)(Comm) = nullptr;
  const char* (*text)(Result) = nullptr;
  const char* (*last)(Comm) = nullptr;  // from 2.13 on

  template <typename F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    return function != nullptr;
  }

  template <typename F>
  void need(F& function, const char* name) {
    if (!find(function, name)) throw std::runtime_error("libnccl.so.2 lacks the function " + std::string(name));
  }
};

Library& library() {
  static auto* l = new Library;
  return *l;
}

void check(Result r, const char* what, Comm c = nullptr) {
  if (r == kSuccess || r == kInProgress) return;
  auto& l = library();
  std::string message = std::string("NCCL: ") + what + ": " + l.text(r);
  const char* more = l.last != nullptr ? l.last(c) : nullptr;
  if (more != nullptr && *more != 0) message += std::string(" (") + more + ")";
  throw std::runtime_error(message);
}

c10::Device gpu(int index) { return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

int type(int of) {  // ncclDataType_t of an at::ScalarType
  switch (static_cast<c10::ScalarType>(of)) {
    case c10::ScalarType::Long: return 4;
    case c10::ScalarType::Float: return 7;
    case c10::ScalarType::Double: return 8;
    default: throw std::runtime_error("NCCL: want float32, float64 or int64");
  }
}

}  // namespace

struct dp_nccl_s {
  Comm comm = nullptr;
  int device = 0;
};

char* dp_nccl_load(const char* name, bool* missing, int* version) noexcept {
  *missing = false;
  return guard([&] {
    auto& l = library();
    if (l.handle == nullptr) {
      void* handle = dlopen(name != nullptr ? name : "libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
      *missing = handle == nullptr;
      if (handle == nullptr) throw std::runtime_error(dlerror());
      l.handle = handle;
    }
    l.need(l.version, "ncclGetVersion");
    *version = 0;
    if (l.version(version) != kSuccess || *version < kOldest) {
      throw std::runtime_error("libnccl.so.2 is of version " + std::to_string(*version) + ": want 2.4 (2400) or later");
    }
    l.need(l.new_id, "ncclGetUniqueId");
    l.need(l.open, "ncclCommInitRank");
    l.need(l.sum, "ncclAllReduce");
    l.need(l.async_error, "ncclCommGetAsyncError");
    l.need(l.abort, "ncclCommAbort");
    l.need(l.close, "ncclCommDestroy");
    l.need(l.text, "ncclGetErrorString");
    l.find(l.last, "ncclGetLastError");
  });
}

char* dp_nccl_new_id(char id[DP_NCCL_ID]) noexcept {
  return guard([&] {
    Id out;
    check(library().new_id(&out), "new id");
    std::memcpy(id, out.bytes, sizeof out.bytes);
  });
}

char* dp_nccl_open(int device, const char id[DP_NCCL_ID], int rank, int size, dp_nccl* out) noexcept {
  return guard([&] {
    c10::DeviceGuard on(gpu(device));
    Id of;
    std::memcpy(of.bytes, id, sizeof of.bytes);
    Comm comm = nullptr;
    check(library().open(&comm, size, of, rank), "join");
    *out = new dp_nccl_s{comm, device};
  });
}

char* dp_nccl_sum(dp_nccl c, void* data, size_t n, int of, void* stream) noexcept {
  return guard([&] {
    c10::DeviceGuard on(gpu(c->device));
    check(library().sum(data, data, n, type(of), kSum, c->comm, stream), "sum", c->comm);
  });
}

char* dp_nccl_error(dp_nccl c) noexcept {
  return guard([&] {
    Result r = kSuccess;
    check(library().async_error(c->comm, &r), "state", c->comm);
    check(r, "in the background", c->comm);
  });
}

char* dp_nccl_abort(dp_nccl c) noexcept {
  return guard([&] {
    c10::DeviceGuard on(gpu(c->device));
    check(library().abort(c->comm), "abort");
  });
}

char* dp_nccl_close(dp_nccl c) noexcept {
  return guard([&] {
    c10::DeviceGuard on(gpu(c->device));
    Comm comm = c->comm;
    delete c;
    check(library().close(comm), "close");
  });
}

char* dp_gpu_uuid(int device, char uuid[16]) noexcept {
  return guard([&] {
    static void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    using Get = int (*)(int*, int);
    using Number = int (*)(char*, int);
    auto get = reinterpret_cast<Get>(driver != nullptr ? dlsym(driver, "cuDeviceGet") : nullptr);
    auto number = reinterpret_cast<Number>(driver != nullptr ? dlsym(driver, "cuDeviceGetUuid") : nullptr);
    int of = 0;
    if (get == nullptr || number == nullptr || get(&of, device) != 0 || number(uuid, of) != 0) {
      throw std::runtime_error("the CUDA driver does not name its GPU " + std::to_string(device));
    }
  });
}
