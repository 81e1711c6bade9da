// NCCL for the fake GPUs of processes on one machine: they meet in a file, whose name is the id, and add up in it,
// in the order of the ranks. As NCCL's, work is done in the background, and waits for a process that is gone until it is
// aborted. FAKE_NCCL says what is wrong, "init", "async", "enqueue" or "old", and FAKE_NCCL_RANK in which process.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace {

constexpr int kRanks = 8;
constexpr size_t kChunk = 1 << 20;

struct Shared {  // all zero at first
  std::atomic<int64_t> arrived;
  alignas(64) char data[kRanks][kChunk];
};

bool wrong(const char* what, int rank) {
  const char *set = std::getenv("FAKE_NCCL"), *of = std::getenv("FAKE_NCCL_RANK");
  return set != nullptr && std::strcmp(set, what) == 0 && (of == nullptr || std::atoi(of) == rank);
}

struct Work {
  void* data;
  size_t n;
  int type;
  void* stream;
};

// In backend.cc.
void stream(const char* what, void* of) {
  auto f = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, what));
  if (f != nullptr) f(of);
}

template <typename T>
void add(void* to, const Shared* s, int size, size_t bytes) {
  auto* out = static_cast<T*>(to);
  for (size_t i = 0; i < bytes / sizeof(T); i++) {
    T sum = 0;
    for (int r = 0; r < size; r++) sum += reinterpret_cast<const T*>(s->data[r])[i];
    out[i] = sum;
  }
}

}  // namespace

struct ncclComm {
  Shared* shared = nullptr;
  int rank = 0, size = 0;
  int64_t meetings = 0;
  std::atomic<bool> aborted{false}, ended{false};
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;
  std::thread worker;

  bool meet() {
    shared->arrived++;
    meetings++;
    for (int pause = 50; shared->arrived < meetings * size; pause = std::min(2 * pause, 5000)) {
      if (aborted) return false;
      usleep(pause);
    }
    return true;
  }

  void add_up(const Work& w) {
    size_t bytes = w.n * (w.type == 7 ? 4 : 8);
    for (size_t at = 0; at < bytes; at += kChunk) {
      size_t part = std::min(kChunk, bytes - at);
      char* data = static_cast<char*>(w.data) + at;
      std::memcpy(shared->data[rank], data, part);
      if (!meet()) return;
      switch (w.type) {
        case 4: add<int64_t>(data, shared, size, part); break;
        case 7: add<float>(data, shared, size, part); break;
        case 8: add<double>(data, shared, size, part); break;
      }
      if (!meet()) return;
    }
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return ended || !queue.empty(); });
      if (queue.empty()) return;
      auto w = queue.front();
      queue.pop_front();
      lock.unlock();
      if (wrong("async", rank)) {
        while (!aborted) usleep(1000);
      }
      if (!aborted) add_up(w);
      stream("fake_cuda_stream_end", w.stream);
      lock.lock();
    }
  }

  void end() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ended = true;
    }
    changed.notify_all();
    worker.join();
    munmap(shared, sizeof(Shared));
    delete this;
  }
};

extern "C" {

int ncclGetVersion(int* version) {
  *version = wrong("old", 0) ? 2307 : 22005;
  return 0;
}

struct ncclUniqueId {
  char internal[128];
};

int ncclGetUniqueId(ncclUniqueId* id) {
  const char* folder = std::getenv("TMPDIR");
  std::snprintf(id->internal, sizeof id->internal, "%s/fake-nccl-XXXXXX", folder != nullptr ? folder : "/tmp");
  int fd = mkstemp(id->internal);
  if (fd < 0 || ftruncate(fd, sizeof(Shared)) != 0) return 2;
  close(fd);
  return 0;
}

int ncclCommInitRank(ncclComm** out, int size, ncclUniqueId id, int rank) {
  if (size > kRanks) return 4;
  if (wrong("init", rank)) return 2;
  int fd = open(id.internal, O_RDWR);
  if (fd < 0) return 2;
  auto* c = new ncclComm;
  c->shared = static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  close(fd);
  c->rank = rank;
  c->size = size;
  c->meet();
  if (rank == 0) unlink(id.internal);
  c->worker = std::thread([c] { c->work(); });
  *out = c;
  return 0;
}

int ncclAllReduce(const void* from, void* to, size_t n, int type, int op, ncclComm* c, void* in) {
  if (from != to || op != 0 || (type != 4 && type != 7 && type != 8) || c->aborted) return 4;
  if (wrong("enqueue", c->rank)) return 3;
  stream("fake_cuda_stream_begin", in);
  {
    std::lock_guard<std::mutex> lock(c->mutex);
    c->queue.push_back({to, n, type, in});
  }
  c->changed.notify_all();
  return 0;
}

int ncclCommGetAsyncError(ncclComm* c, int* error) {
  *error = wrong("async", c->rank) ? 6 : 0;
  return 0;
}

#ifndef WITHOUT_ABORT
int ncclCommAbort(ncclComm* c) {
  c->aborted = true;
  c->end();
  return 0;
}
#endif

int ncclCommDestroy(ncclComm* c) {
  c->end();
  return 0;
}

const char* ncclGetErrorString(int code) {
  switch (code) {
    case 2: return "unhandled system error";
    case 3: return "internal error";
    case 4: return "invalid argument";
    case 6: return "remote process exited or there was a network error";
  }
  return "no error";
}

const char* ncclGetLastError(ncclComm*) { return "fake NCCL"; }
}
