// CUDA for a C++ compiler: includes before a .cu file make its kernels functions of the host. The threads
// of a block are fibers, run one after another up to their next barrier. A barrier that not all threads
// reach, or that they reach at different places of the source, ends the process.
#pragma once
#include <math.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "races.h"

#define __global__
#define __device__
#define __restrict__ __restrict

namespace host {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

}  // namespace host

static host::Index threadIdx, blockIdx, blockDim, gridDim;

namespace host {

constexpr int kWarp = 32, kThreads = kRaces ? 512 : 1024;  // in a block; under ThreadSanitizer each takes long to make
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BY_CONTEXT  // how threads change places
constexpr size_t kStack = 32 << 10;  // AddressSanitizer clears its notes on the whole stack at each change of threads
#else
constexpr size_t kStack = 128 << 10;
#endif

[[noreturn]] static void fail(const char* what) {
  std::fprintf(stderr, "cuda_host: %s (block %u,%u, thread %u of %u)\n", what, blockIdx.x, blockIdx.y, threadIdx.x, blockDim.x);
  std::abort();
}

enum State { kReady, kBlock, kWarpWait, kDone };

// A Place is where a fiber or the scheduler goes on. swapcontext asks the kernel for the signal mask each time,
// which takes most of a test, so that threads change places by the compiler's own longjmp, except under
// the sanitizers, which know one stack only of longjmp.
struct Place {
#ifndef BY_CONTEXT
  void* jump[5];
  bool jumps = false;  // it has been left by change before
#endif
  ucontext_t context;
  Thread thread;
};

#ifndef BY_CONTEXT
[[noreturn]] __attribute__((noinline)) static void jump(Place& to) { __builtin_longjmp(to.jump, 1); }  // not from the function that set it
#endif

UNSEEN __attribute__((noinline)) static void change(Place& from, Place& to) {
  to.thread.enter();
#ifdef BY_CONTEXT
  swapcontext(&from.context, &to.context);
#else
  from.jumps = true;
  if (__builtin_setjmp(from.jump) != 0) return;
  if (to.jumps) jump(to);
  setcontext(&to.context);
#endif
}

struct Fiber {
  State state;
  const void* site;  // of the barrier that it waits at
  int barriers[2];   // it has passed in its block, of warps and of the block
  Place place;
  std::unique_ptr<char[]> stack;  // not filled: most of its pages are never touched
};

static Fiber fibers[kThreads], *block = fibers;  // the running block's
static Place scheduler;
static int current;
static Edge begun, ended, barriers[1 + kThreads / kWarp][2];  // of a kernel; of a block and its warps, by turns
static bool descending;  // the last thread runs first: a result that depends on it lacks a barrier
static void (*body)(void*);
static void* body_data;

// start is what a fiber does: a thread of each block that has so many.
UNSEEN static void start() {
  for (;;) {
    begun.follow();
    body(body_data);
    ended.pass();
    Fiber& f = block[current];
    f.state = kDone;
    change(f.place, scheduler);
  }
}

// wait gives no order to accesses of memory.
UNSEEN static void wait(State s, const void* site) {
  Fiber& f = block[current];
  f.state = s, f.site = site;
  change(f.place, scheduler);
}

// barrier is a wait that puts what its threads did before it in front of what they do after it. A thread may reach the next barrier
// before another has left this one, hence two edges by turns.
UNSEEN static void barrier(State s, const void* site) {
  Edge& e = barriers[s == kBlock ? 0 : 1 + current / kWarp][block[current].barriers[s == kBlock]++ % 2];
  e.pass();
  wait(s, site);
  e.follow();
}

// release lets threads go on that all wait at one barrier, and reports whether they did.
UNSEEN static bool release(int from, int to, State s) {
  const void* site = nullptr;
  for (int i = from; i < to; i++) {
    if (block[i].state != s) return false;
    if (site != nullptr && site != block[i].site) fail("threads wait at different barriers");
    site = block[i].site;
  }
  for (int i = from; i < to; i++) block[i].state = kReady;
  return true;
}

UNSEEN static void run_block(int threads) {
  if (threads > kThreads) fail("a block has too many threads");
  if (kRaces && (block += threads) + threads > fibers + kThreads) block = fibers;
  forget_shared();
  for (auto& turns : barriers) turns[0].forget(), turns[1].forget();
  begun.pass();
  for (int i = 0; i < threads; i++) {
    Fiber& f = block[i];
    f.state = kReady, f.barriers[0] = f.barriers[1] = 0;
    if (f.stack) continue;
    f.stack.reset(new char[kStack]);
    f.place.thread.make();
    const size_t apart = i % 16 * 256;  // or all stacks would want the same lines of the processor's cache
    ucontext_t& c = f.place.context;
    getcontext(&c);
    c.uc_stack.ss_sp = f.stack.get(), c.uc_stack.ss_size = kStack - apart, c.uc_link = nullptr;
    makecontext(&c, start, 0);
  }
  const int warps = (threads + kWarp - 1) / kWarp;
  for (;;) {
    bool moved = false;
    for (int k = 0; k < warps; k++) {
      const int first = (descending ? warps - 1 - k : k) * kWarp, end = std::min(first + kWarp, threads);
      do {  // a warp runs until the block's next barrier
        for (int l = 0; l < end - first; l++) {
          int i = descending ? end - 1 - l : first + l;
          if (block[i].state != kReady) continue;
          current = i, threadIdx.x = i, moved = true;
          change(scheduler, block[i].place);
        }
      } while (release(first, end, kWarpWait));
    }
    moved |= release(0, threads, kBlock);
    if (moved) continue;
    for (int i = 0; i < threads; i++) {
      if (block[i].state != kDone) fail("a barrier is reached by a part of the threads only");
    }
    return;
  }
}

// run_grid calls f with its data once per thread of each block. Threads of kernels without barriers
// need no fibers, which is much faster.
UNSEEN static void run_grid(unsigned gx, unsigned gy, int threads, bool barriers, void (*f)(void*), void* data) {
  gridDim = {gx, gy, 1}, blockDim = {static_cast<unsigned>(threads), 1, 1};
  body = f, body_data = data;
  scheduler.thread.own();
  for (unsigned y = 0; y < gy; y++) {
    for (unsigned x = 0; x < gx; x++) {
      blockIdx = {x, y, 0};
      if (barriers || kRaces) {
        run_block(threads);
        continue;
      }
      for (int i = 0; i < threads; i++) {
        threadIdx.x = i;
        f(data);
      }
    }
  }
  ended.follow();
}

template <typename F>
void launch(unsigned gx, unsigned gy, int threads, F f) {
  run_grid(gx, gy, threads, true, [](void* data) { (*static_cast<F*>(data))(); }, &f);
}

// Values that the lanes of a warp exchange. That orders no other memory: shuffles and ballots are no barriers.
struct alignas(16) Slot {
  unsigned char at[16];
};
static Slot slots[kThreads];

template <typename T>
UNSEEN T shuffle_down(T v, int step, const char* site) {
  unsigned i = threadIdx.x;
  *reinterpret_cast<T*>(slots[i].at) = v;
  wait(kWarpWait, site);
  if (static_cast<int>(i % kWarp) + step < kWarp && i + step < blockDim.x) v = *reinterpret_cast<T*>(slots[i + step].at);
  wait(kWarpWait, site + 1);
  return v;
}

UNSEEN static inline unsigned ballot(bool p, const char* site) {
  unsigned i = threadIdx.x, first = i / kWarp * kWarp, out = 0;
  slots[i].at[0] = p;
  wait(kWarpWait, site);
  for (unsigned k = 0; k < kWarp && first + k < blockDim.x; k++) out |= static_cast<unsigned>(slots[first + k].at[0]) << k;
  wait(kWarpWait, site + 1);
  return out;
}

}  // namespace host

// Each place in the source is a barrier of its own.
#define __syncthreads() do { static const char site = 0; host::barrier(host::kBlock, &site); } while (0)
#define __shfl_down_sync(mask, v, step) ([&] { static const char site[2] = {0, 0}; return host::shuffle_down(v, step, site); }())
#define __ballot_sync(mask, p) ([&] { static const char site[2] = {0, 0}; return host::ballot(p, site); }())

#define __syncwarp() do { static const char site = 0; host::barrier(host::kWarpWait, &site); } while (0)

static inline float __uint_as_float(unsigned u) {
  float f;
  std::memcpy(&f, &u, sizeof f);
  return f;
}

static inline unsigned __float_as_uint(float f) {
  unsigned u;
  std::memcpy(&u, &f, sizeof u);
  return u;
}

static inline float __fmul_rn(float a, float b) { return a * b; }

template <typename T>
T atomicAdd(T* at, T v) {
  T old, sum;
  __atomic_load(at, &old, __ATOMIC_RELAXED);  // no other thread runs in between
  sum = old + v;
  __atomic_store(at, &sum, __ATOMIC_RELAXED);
  return old;
}

// HOST_KERNEL(f) defines launch_f, which launches kernel f with arguments as cuLaunchKernel takes them, and copy_f, which
// copies those.
template <typename... A, size_t... I>
void call_with(void (*f)(A...), void** arguments, std::index_sequence<I...>) {
  f(*static_cast<std::decay_t<A>*>(arguments[I])...);
}

template <typename... A>
void call_kernel(void (*f)(A...), void** arguments) {
  call_with(f, arguments, std::index_sequence_for<A...>{});
}

template <typename... A, size_t... I>
void** copy_with(void (*)(A...), void** arguments, std::index_sequence<I...>) {
  return new void*[sizeof...(A)]{new std::decay_t<A>(*static_cast<std::decay_t<A>*>(arguments[I]))...};
}

template <typename... A>
void** copy_arguments(void (*f)(A...), void** arguments) {
  return copy_with(f, arguments, std::index_sequence_for<A...>{});
}

#define HOST_KERNEL(f)                                                                                            \
  extern "C" __attribute__((visibility("default"))) void launch_##f(unsigned gx, unsigned gy, int threads, bool barriers, void** arguments) { \
    host::run_grid(gx, gy, threads, barriers, [](void* data) { call_kernel(f, static_cast<void**>(data)); }, arguments); \
  }                                                                                                               \
  extern "C" __attribute__((visibility("default"))) void** copy_##f(void** arguments) { return copy_arguments(f, arguments); }
