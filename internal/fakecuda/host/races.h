// What ThreadSanitizer is told of the order of threads: that of a GPU, whose threads have none but by barriers, and by a kernel's begin
// and end. A thread of a block is a fiber, and the next block's are others; shared memory is new to each block, and what
// the scheduler does is not seen. ThreadSanitizer tells 255 threads apart: blocks that are further from each other than so many
// threads may pass as ordered. Without -fsanitize=thread all of this does nothing.
#pragma once

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

#define UNSEEN __attribute__((no_sanitize("thread")))  // for what is no memory on a GPU
#define __shared__ static __attribute__((section("cuda_shared")))

extern "C" {
__attribute__((weak)) extern char __start_cuda_shared[], __stop_cuda_shared[];  // by the linker
// For managed heaps, whose memory is used again; in the library, but not in its headers.
void __tsan_java_init(unsigned long, unsigned long);
void __tsan_java_alloc(unsigned long, unsigned long);
void __tsan_java_free(unsigned long, unsigned long);
}

namespace host {

constexpr bool kRaces = true;

// What passed an Edge comes before what follows it.
struct Edge {
  long long at;

  void pass() { __tsan_release(&at); }
  void follow() { __tsan_acquire(&at); }
  void forget() { __atomic_store_n(&at, 0, __ATOMIC_RELEASE); }  // all that the caller does not follow
};

// forget_shared makes shared memory new.
static void forget_shared() {
  static bool before = false;
  unsigned long at = reinterpret_cast<unsigned long>(__start_cuda_shared), size = reinterpret_cast<unsigned long>(__stop_cuda_shared) - at;
  if (size == 0) return;
  before ? __tsan_java_free(at, size) : __tsan_java_init(at, size);
  __tsan_java_alloc(at, size);
  before = true;
}

// A Thread is one of those that ThreadSanitizer tells apart.
struct Thread {
  void* fiber = nullptr;

  UNSEEN void own() { fiber = __tsan_get_current_fiber(); }
  UNSEEN void make() { fiber = __tsan_create_fiber(0); }
  UNSEEN void enter() { __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync); }
};

}  // namespace host
#else
#define UNSEEN
#define __shared__ static

namespace host {
constexpr bool kRaces = false;
struct Edge {
  void pass() {}
  void follow() {}
  void forget() {}
};
static void forget_shared() {}
struct Thread {
  void own() {}
  void make() {}
  void enter() {}
};
}  // namespace host
#endif
