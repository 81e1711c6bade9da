#include "processes.h"

#include <cstdlib>
#include <cstring>
#include <exception>

namespace {

char* message(const char* text) noexcept { return strdup(text); }

}  // namespace

#if __has_include(<gloo/context.h>)

#define USE_C10D_GLOO
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "guard.h"

namespace {

using dp::guard;
using std::chrono::milliseconds;

using Store = c10::intrusive_ptr<c10d::TCPStore>;
using Group = c10::intrusive_ptr<c10d::ProcessGroupGloo>;

#if TORCH_VERSION_MAJOR < 2
using WorkOf = decltype(std::declval<c10d::ProcessGroupGloo>().barrier());
#else
using WorkOf = c10::intrusive_ptr<c10d::Work>;
#endif

// A Work keeps the tensors over the caller's memory until it is freed.
struct Work {
  std::vector<at::Tensor> in;
  std::vector<std::vector<at::Tensor>> out;
  WorkOf work;
};

Store& ref(dp_store s) { return *reinterpret_cast<Store*>(s); }
Group& ref(dp_group g) { return *reinterpret_cast<Group*>(g); }

at::Tensor view(void* data, size_t n, at::ScalarType type) {
  return at::from_blob(data, {static_cast<int64_t>(n)}, at::TensorOptions(type));
}

template <typename F>
char* begin(dp_work* out, F&& f) noexcept {
  return guard([&] {
    auto w = std::make_unique<Work>();
    f(*w);
    *out = reinterpret_cast<dp_work>(w.release());
  });
}

}  // namespace

bool dp_available() noexcept { return true; }

char* dp_store_open(const char* host, int* port, bool listen, int64_t timeout_ms, dp_store* out) noexcept {
  return guard([&] {
    c10d::TCPStoreOptions o;
    o.port = static_cast<uint16_t>(*port);
    o.isServer = listen;
    o.waitWorkers = false;
    o.timeout = milliseconds(timeout_ms);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
    o.useLibUV = false;  // Debian's builds lack it
#endif
    auto s = c10::make_intrusive<c10d::TCPStore>(host, o);
    *port = s->getPort();
    *out = reinterpret_cast<dp_store>(new Store(std::move(s)));
  });
}

void dp_store_free(dp_store s) noexcept { delete &ref(s); }

void dp_store_timeout(dp_store s, int64_t timeout_ms) noexcept { ref(s)->setTimeout(milliseconds(timeout_ms)); }

char* dp_store_set(dp_store s, const char* key, const void* data, size_t n) noexcept {
  return guard([&] {
    auto* p = static_cast<const uint8_t*>(data);
    ref(s)->set(key, std::vector<uint8_t>(p, p + n));
  });
}

char* dp_store_get(dp_store s, const char* key, void** data, size_t* n) noexcept {
  return guard([&] {
    *data = nullptr;
    if (!ref(s)->check({key})) return;
    auto v = ref(s)->get(key);
    *data = std::malloc(v.size() + 1);
    std::memcpy(*data, v.data(), v.size());
    *n = v.size();
  });
}

char* dp_store_add(dp_store s, const char* key, int64_t* value) noexcept {
  return guard([&] { *value = ref(s)->add(key, *value); });
}

char* dp_group_open(dp_store s, const char* prefix, const char* address, int rank, int size, int64_t timeout_ms,
                    dp_group* out) noexcept {
  return guard([&] {
    auto o = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout_ms));
    o->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    o->threads = 2;
    ref(s)->setTimeout(milliseconds(timeout_ms));
    auto store = c10::make_intrusive<c10d::PrefixStore>(prefix, ref(s));
    *out = reinterpret_cast<dp_group>(new Group(c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, o)));
  });
}

void dp_group_free(dp_group g) noexcept { delete &ref(g); }

char* dp_sum(dp_group g, void* data, size_t n, int type, dp_work* out) noexcept {
  return begin(out, [&](Work& w) {
    w.in = {view(data, n, static_cast<at::ScalarType>(type))};
    w.work = ref(g)->allreduce(w.in);
  });
}

char* dp_broadcast(dp_group g, void* data, size_t bytes, int root, dp_work* out) noexcept {
  return begin(out, [&](Work& w) {
    w.in = {view(data, bytes, at::kByte)};
    c10d::BroadcastOptions o;
    o.rootRank = root;
    w.work = ref(g)->broadcast(w.in, o);
  });
}

char* dp_all_gather(dp_group g, const void* mine, void* all, size_t bytes, int size, dp_work* out) noexcept {
  return begin(out, [&](Work& w) {
    w.in = {view(const_cast<void*>(mine), bytes, at::kByte)};
    w.out.resize(1);
    for (int i = 0; i < size; i++) w.out[0].push_back(view(static_cast<uint8_t*>(all) + i * bytes, bytes, at::kByte));
    w.work = ref(g)->allgather(w.out, w.in);
  });
}

char* dp_work_wait(dp_work w, int64_t timeout_ms, bool* done) noexcept {
  auto& work = reinterpret_cast<Work*>(w)->work;
  char* failed = guard([&] { work->wait(milliseconds(timeout_ms)); });
  *done = failed == nullptr || work->isCompleted();
  if (failed == nullptr) return nullptr;
  std::free(failed);
  // It may have ended after the wait had given up: what counts is how it ended.
  return *done ? guard([&] { work->wait(); }) : nullptr;
}

void dp_work_free(dp_work w) noexcept { delete reinterpret_cast<Work*>(w); }

#else

namespace {

char* absent() noexcept { return message("this program was built without gloo's headers"); }

}  // namespace

bool dp_available() noexcept { return false; }
char* dp_store_open(const char*, int*, bool, int64_t, dp_store*) noexcept { return absent(); }
void dp_store_free(dp_store) noexcept {}
void dp_store_timeout(dp_store, int64_t) noexcept {}
char* dp_store_set(dp_store, const char*, const void*, size_t) noexcept { return absent(); }
char* dp_store_get(dp_store, const char*, void**, size_t*) noexcept { return absent(); }
char* dp_store_add(dp_store, const char*, int64_t*) noexcept { return absent(); }
char* dp_group_open(dp_store, const char*, const char*, int, int, int64_t, dp_group*) noexcept { return absent(); }
void dp_group_free(dp_group) noexcept {}
char* dp_sum(dp_group, void*, size_t, int, dp_work*) noexcept { return absent(); }
char* dp_broadcast(dp_group, void*, size_t, int, dp_work*) noexcept { return absent(); }
char* dp_all_gather(dp_group, const void*, void*, size_t, int, dp_work*) noexcept { return absent(); }
char* dp_work_wait(dp_work, int64_t, bool* done) noexcept {
  *done = true;
  return absent();
}
void dp_work_free(dp_work) noexcept {}

#endif
