// Settings of OpenBLAS and OpenMP that the user would otherwise have to make in the environment.
// What the environment says overrides them.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels.h"

namespace {

template <typename F>
F find(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

bool set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != 0;
}

// core returns the name of OpenBLAS's kernels, null without OpenBLAS.
const char* core() {
  static auto get = find<const char* (*)()>("openblas_get_corename");
  return get == nullptr ? nullptr : get();
}

// level says how wide the vectors of OpenBLAS's kernels are: 2 is AVX-512, 1 is AVX2.
int level(const char* name) {
  for (const char* n : {"SkylakeX", "Cooperlake", "SapphireRapids"}) {
    if (std::strcmp(n, name) == 0) return 2;
  }
  for (const char* n : {"Haswell", "Zen", "Excavator"}) {
    if (std::strcmp(n, name) == 0) return 1;
  }
  return 0;
}

// choose_core makes OpenBLAS use the kernels that the processor allows. Releases older than the
// processor take a Pentium 4's, which are four to seven times slower. OpenBLAS reads its
// variable only as it starts, which its own functions make it do again.
void choose_core() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (core() == nullptr || set("OPENBLAS_CORETYPE")) return;
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int best = avx512 ? 2 : avx2 ? 1 : 0;
  auto quit = find<void (*)()>("gotoblas_dynamic_quit"), init = find<void (*)()>("gotoblas_dynamic_init");
  if (level(core()) >= best || quit == nullptr || init == nullptr) return;
  setenv("OPENBLAS_CORETYPE", best == 2 ? "SkylakeX" : "Haswell", 1);
  quit();
  init();
  unsetenv("OPENBLAS_CORETYPE");  // children decide for themselves
#endif
}

// one_thread keeps OpenBLAS's own threads (libopenblas0-pthread) from competing for the cores with
// OpenMP's, on which LibTorch and oneDNN run.
void one_thread() {
  constexpr int kOwnThreads = 1;
  auto kind = find<int (*)()>("openblas_get_parallel");
  auto limit = find<void (*)(int)>("openblas_set_num_threads");
  if (kind == nullptr || limit == nullptr || kind() != kOwnThreads || set("OPENBLAS_NUM_THREADS")) return;
  limit(1);
}

// room reports whether the system lets this process start so many threads more. OpenMP ends the program if it does not.
bool room(int threads) {
  sem_t end;
  if (sem_init(&end, 0, 0) != 0) return false;
  auto stay = [](void* end) -> void* {
    while (sem_wait(static_cast<sem_t*>(end)) != 0) {
    }
    return nullptr;
  };
  std::vector<pthread_t> all;
  for (pthread_t one; static_cast<int>(all.size()) < threads && pthread_create(&one, nullptr, stay, &end) == 0;) all.push_back(one);
  for (size_t i = 0; i < all.size(); i++) sem_post(&end);
  for (pthread_t one : all) pthread_join(one, nullptr);
  sem_destroy(&end);
  return static_cast<int>(all.size()) == threads;
}

// Before main there is no other thread that could read the environment at the same time.
__attribute__((constructor)) void start() {
  choose_core();
  one_thread();
}

}  // namespace

const char* di_blas_core() noexcept {
  const char* name = core();
  return name == nullptr ? "" : name;
}

// GNU's OpenMP reads its settings before the program starts: by default its threads spin for some
// milliseconds while they wait for work, but only briefly once there are more of them than processors.
// So threads sleep while a team of more than that is asleep itself. Where the system allows no such team, they spin.
void di_sleep_while_waiting(bool sleep) noexcept {
#ifdef _OPENMP
  static std::mutex calls;
  static sem_t end;
  static pthread_t team;
  static bool asleep = false;
  std::lock_guard<std::mutex> lock(calls);
  if (asleep == sleep) return;
  if (asleep) {
    sem_post(&end);
    pthread_join(team, nullptr);  // its threads end with it
    asleep = false;
    return;
  }
  static const bool fits = room(omp_get_num_procs() + 2);
  if (!fits) return;
  auto stay = [](void*) -> void* {
    int n = omp_get_num_procs() + 1, started = 0;
#pragma omp parallel num_threads(n) reduction(+ : started)
    started++;
    while (started == 0 || sem_wait(&end) != 0) {
    }
    return nullptr;
  };
  asleep = sem_init(&end, 0, 0) == 0 && pthread_create(&team, nullptr, stay, nullptr) == 0;
#else
  (void)sleep;
#endif
}
