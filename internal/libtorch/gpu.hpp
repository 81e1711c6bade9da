#include "gpu.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

#include "count.h"
#include "gpu_cache.h"
#include "graph.h"
#include "guard.h"
#include "kernels.h"

namespace di::gpu {

namespace {

// The types of the CUDA driver and of NVRTC, declared here because their headers may be absent.
using CUresult = int;
using CUdevice = int;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using nvrtcResult = int;
using nvrtcProgram = struct nvrtcProgram_st*;

constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
constexpr unsigned kNonBlocking = 1;      // CU_STREAM_NON_BLOCKING: it does not wait for the NULL stream
constexpr unsigned kTimed = 0;            // CU_EVENT_DEFAULT: an event knows its time

// Library is a shared library, opened under the first of its names that is found.
class Library {
 public:
  explicit Library(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if ((handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL)) != nullptr) return;
    }
    TORCH_CHECK(false, "GPU kernels need ", *names.begin(), ", which was not found: ", dlerror());
  }

  template <typename F>
  void find(F& function, const char* name) const {
    function = reinterpret_cast<F>(dlsym(handle_, name));
    TORCH_CHECK(function != nullptr, "the CUDA driver or NVRTC lacks the function ", name);
  }

 private:
  void* handle_;
};

struct Driver {
  CUresult (*device)(CUdevice*, int);
  CUresult (*attribute)(int*, int, CUdevice);
  CUresult (*retain)(CUcontext*, CUdevice);
  CUresult (*push)(CUcontext);
  CUresult (*pop)(CUcontext*);
  CUresult (*stream)(CUstream*, unsigned);
  CUresult (*load)(CUmodule*, const void*);
  CUresult (*function)(CUfunction*, CUmodule, const char*);
  CUresult (*launch)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void**, void**);
  CUresult (*event)(CUevent*, unsigned);
  CUresult (*record)(CUevent, CUstream);
  CUresult (*wait)(CUevent);
  CUresult (*elapsed)(float*, CUevent, CUevent);
  CUresult (*forget)(CUevent);
  CUresult (*text)(CUresult, const char**);

  Driver() {
    Library l{"libcuda.so.1", "libcuda.so"};
    l.find(device, "cuDeviceGet");
    l.find(attribute, "cuDeviceGetAttribute");
    l.find(retain, "cuDevicePrimaryCtxRetain");
    l.find(push, "cuCtxPushCurrent_v2");
    l.find(pop, "cuCtxPopCurrent_v2");
    l.find(stream, "cuStreamCreate");
    l.find(load, "cuModuleLoadData");
    l.find(function, "cuModuleGetFunction");
    l.find(launch, "cuLaunchKernel");
    l.find(event, "cuEventCreate");
    l.find(record, "cuEventRecord");
    l.find(wait, "cuEventSynchronize");
    l.find(elapsed, "cuEventElapsedTime");
    l.find(forget, "cuEventDestroy_v2");
    l.find(text, "cuGetErrorString");
  }

  void check(CUresult r, const char* what) const {
    const char* message = nullptr;
    if (r != 0) text(r, &message);
    TORCH_CHECK(r == 0, "CUDA: ", what, ": ", message ? message : "unknown error");
  }
};

struct Compiler {
  nvrtcResult (*create)(nvrtcProgram*, const char*, const char*, int, const char* const*, const char* const*);
  nvrtcResult (*compile)(nvrtcProgram, int, const char* const*);
  nvrtcResult (*destroy)(nvrtcProgram*);
  nvrtcResult (*log_size)(nvrtcProgram, size_t*);
  nvrtcResult (*log)(nvrtcProgram, char*);
  nvrtcResult (*ptx_size)(nvrtcProgram, size_t*);
  nvrtcResult (*ptx)(nvrtcProgram, char*);
  nvrtcResult (*cubin_size)(nvrtcProgram, size_t*);
  nvrtcResult (*cubin)(nvrtcProgram, char*);
  nvrtcResult (*version)(int*, int*);
  nvrtcResult (*count)(int*);
  nvrtcResult (*architectures)(int*);

  Compiler() {
    // The first comes with LibTorch and loads the NVRTC that LibTorch was built with.
    Library l{"libcaffe2_nvrtc.so", "libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"};
    l.find(create, "nvrtcCreateProgram");
    l.find(compile, "nvrtcCompileProgram");
    l.find(destroy, "nvrtcDestroyProgram");
    l.find(log_size, "nvrtcGetProgramLogSize");
    l.find(log, "nvrtcGetProgramLog");
    l.find(ptx_size, "nvrtcGetPTXSize");
    l.find(ptx, "nvrtcGetPTX");
    l.find(cubin_size, "nvrtcGetCUBINSize");
    l.find(cubin, "nvrtcGetCUBIN");
    l.find(version, "nvrtcVersion");
    l.find(count, "nvrtcGetNumSupportedArchs");
    l.find(architectures, "nvrtcGetSupportedArchs");
  }

  // image returns machine code (cubin) for the given compute capability or, if this NVRTC does
  // not know it, PTX, which the driver compiles. It takes it from the disk if it is there.
  std::string image(const Kernel& kernel, const std::string& text, int capability) const {
    int n = 0, best = 0;
    count(&n);
    std::vector<int> known(n);
    architectures(known.data());
    for (int a : known) {
      if (a <= capability) best = std::max(best, a);
    }
    TORCH_CHECK(best > 0, "NVRTC no longer supports GPUs of compute capability ", capability / 10, ".", capability % 10);
    std::vector<std::string> options = kernel.definitions;
    options.push_back("--gpu-architecture=" + std::string(best == capability ? "sm_" : "compute_") + std::to_string(best));
    options.push_back("--std=c++17");
    int major = 0, minor = 0;
    version(&major, &minor);
    std::string key = "NVRTC " + std::to_string(major) + '.' + std::to_string(minor) + ' ' + kernel.source;
    std::vector<const char*> flags;
    for (const auto& o : options) {
      flags.push_back(o.c_str());
      key += ' ' + o;
    }
    key += '\n' + text;
    if (auto known = cached(key); !known.empty()) return known;

    nvrtcProgram program = nullptr;
    TORCH_CHECK(create(&program, text.c_str(), kernel.source, 0, nullptr, nullptr) == 0, "NVRTC cannot load ", kernel.source);
    std::unique_ptr<nvrtcProgram, nvrtcResult (*)(nvrtcProgram*)> owner(&program, destroy);
    if (compile(program, static_cast<int>(flags.size()), flags.data()) != 0) {
      size_t size = 0;
      log_size(program, &size);
      std::string message(size, 0);
      log(program, message.data());
      TORCH_CHECK(false, "NVRTC cannot compile ", kernel.source, ": ", message.substr(0, 2000).c_str());
    }
    size_t size = 0;
    auto get_size = best == capability ? cubin_size : ptx_size;
    auto get = best == capability ? cubin : ptx;
    TORCH_CHECK(get_size(program, &size) == 0, "NVRTC gives nothing for ", kernel.source);
    std::string out(size, 0);
    TORCH_CHECK(get(program, out.data()) == 0, "NVRTC gives nothing for ", kernel.source);
    keep(key, out);
    return out;
  }
};

const Driver& driver() {
  static const Driver d;
  return d;
}

const Compiler& compiler() {
  static const Compiler c;
  return c;
}

// Module is a source compiled for a device with certain definitions. Compiling holds its own mutex
// only, so that other kernels start meanwhile.
struct Module {
  std::mutex mutex;
  CUmodule handle = nullptr;
  std::map<std::string, CUfunction> functions;
};

struct State {
  std::mutex mutex;
  std::map<std::string, std::string> sources;  // by name
  std::map<int, CUcontext> contexts;           // primary contexts, by device
  std::map<std::string, Module> modules;
};

// state is never destroyed: a thread may compile while the process ends.
State& state() {
  static auto* s = new State;
  return *s;
}

// context returns a device's primary context, which LibTorch uses.
CUcontext context(int index) {
  std::lock_guard<std::mutex> lock(state().mutex);
  CUcontext& out = state().contexts[index];
  if (out == nullptr) {
    const auto& d = driver();
    CUdevice device = 0;
    d.check(d.device(&device, index), "device");
    d.check(d.retain(&out, device), "context");
  }
  return out;
}

// Current makes a device's primary context current in the calling thread.
class Current {
 public:
  explicit Current(int index) { driver().check(driver().push(context(index)), "context"); }

  ~Current() {
    CUcontext old;
    driver().pop(&old);
  }

  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
};

CUmodule compile(const Kernel& kernel, const std::string& text, int index) {
  const auto& d = driver();
  CUmodule out = nullptr;
  auto image = compiler().image(kernel, text, capability(index));
  d.check(d.load(&out, image.data()), kernel.source);
  return out;
}

// source returns what a kernel is compiled from.
std::string source(const Kernel& kernel) {
  std::lock_guard<std::mutex> lock(state().mutex);
  auto found = state().sources.find(kernel.source);
  TORCH_CHECK(found != state().sources.end(), "there is no kernel source ", kernel.source);
  return state().sources["numbers.cuh"] + "#line 1\n" + found->second;
}

CUfunction function(const Kernel& kernel, int index) {
  std::string key = std::to_string(index) + ' ' + kernel.source;
  for (const auto& d : kernel.definitions) key += ' ' + d;
  Module* module = nullptr;
  {
    std::lock_guard<std::mutex> lock(state().mutex);
    module = &state().modules[key];
  }
  std::lock_guard<std::mutex> lock(module->mutex);
  if (module->handle == nullptr) module->handle = compile(kernel, source(kernel), index);
  CUfunction& out = module->functions[kernel.function];
  if (out == nullptr) driver().check(driver().function(&out, module->handle, kernel.function), kernel.function);
  return out;
}

// stream returns the calling thread's current stream of a device in LibTorch. A Stream of c10 has a
// number: 0 is the default stream, even numbers are pointers to streams made by others, and odd ones are
// LibTorch's own, which c10::cuda::CUDAStream::stream knows. Its header needs CUDA's, hence the symbol.
CUstream stream(int index) {
  auto s = c10::impl::getDeviceGuardImpl(c10::kCUDA)->getStream(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index)));
  if (s.id() == 0) return nullptr;
  if (s.id() % 2 == 0) return reinterpret_cast<CUstream>(s.id());
  using Find = CUstream (*)(const c10::Stream*);
  static const auto find = reinterpret_cast<Find>(dlsym(RTLD_DEFAULT, "_ZNK3c104cuda10CUDAStream6streamEv"));
  TORCH_CHECK(find != nullptr, "GPU kernels run on LibTorch's default stream or on a stream made by others, not on stream ", s.id());
  return find(&s);
}

}  // namespace

int capability(int index) {
  const auto& d = driver();
  CUdevice device = 0;
  int major = 0, minor = 0;
  d.check(d.device(&device, index), "device");
  d.check(d.attribute(&major, kMajor, device), "compute capability");
  d.check(d.attribute(&minor, kMinor, device), "compute capability");
  return 10 * major + minor;
}

void enqueue(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, void** arguments) {
  if (blocks.x == 0 || blocks.y == 0) return;
  auto index = static_cast<int>(on.get_device());
  Current current(index);
  const auto& d = driver();
  d.check(d.launch(function(kernel, index), static_cast<unsigned>(blocks.x), static_cast<unsigned>(blocks.y), 1,
                   static_cast<unsigned>(threads), 1, 1, 0, stream(index), arguments, nullptr),
          kernel.function);
  if (!recording()) counted_launches++;
}

int64_t new_stream(int index) {
  Current current(index);
  CUstream out = nullptr;
  driver().check(driver().stream(&out, kNonBlocking), "stream");
  return reinterpret_cast<int64_t>(out);
}

std::string define(const char* name, int64_t value) { return std::string("-D") + name + '=' + std::to_string(value); }

at::ScalarType computed(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16 ? at::kFloat : type;
}

std::string stored(const char* name, at::ScalarType type) {
  const char* text = nullptr;
  switch (type) {
    case at::kFloat: text = "float"; break;
    case at::kDouble: text = "double"; break;
    case at::kHalf: text = "Half"; break;
    case at::kBFloat16: text = "BFloat16"; break;
    case at::kByte: text = "unsigned char"; break;
    default: TORCH_CHECK(false, "GPU kernels need floating-point numbers, not ", type);
  }
  return std::string("-D") + name + '=' + text;
}

std::string scalar_of(const at::Tensor& t) { return stored("SCALAR", computed(t.scalar_type())); }

}  // namespace di::gpu

void di_gpu_source(const char* name, const char* text) noexcept {
  auto& s = di::gpu::state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.sources[name] = text;
}

di_error* di_event_record(int device, di_event* event) noexcept {
  return di::guard([&] {
    TORCH_CHECK(!di::recording(), "an event of a CUDA graph has no time");
    const auto& d = di::gpu::driver();
    di::gpu::Current current(device);
    di::gpu::CUevent e = nullptr;
    d.check(d.event(&e, di::gpu::kTimed), "event");
    *event = reinterpret_cast<di_event>(e);  // from here on it is freed by di_event_free
    d.check(d.record(e, di::gpu::stream(device)), "event");
  });
}

di_error* di_event_seconds(int device, di_event first, di_event last, double* seconds) noexcept {
  return di::guard([&] {
    const auto& d = di::gpu::driver();
    di::gpu::Current current(device);
    auto from = reinterpret_cast<di::gpu::CUevent>(first), to = reinterpret_cast<di::gpu::CUevent>(last);
    float milliseconds = 0;
    d.check(d.wait(from), "event");
    d.check(d.wait(to), "event");
    d.check(d.elapsed(&milliseconds, from, to), "time between events");
    *seconds = milliseconds / 1e3;
  });
}

void di_event_free(int device, di_event event) noexcept {
  di_error_free(di::guard([&] {
    di::gpu::Current current(device);
    di::gpu::driver().forget(reinterpret_cast<di::gpu::CUevent>(event));
  }));
}

di_error* di_gpu_capability(int device, int* capability) noexcept {
  return di::guard([&] { *capability = di::gpu::capability(device); });
}
