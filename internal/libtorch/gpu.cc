#include "gpu.h"

#include <dlfcn.h>

#include <map>
#include <mutex>

#include "kernels.h"

namespace di::gpu {

namespace {

// The types of the CUDA driver and of NVRTC, declared here because their headers may be absent.
using CUresult = int;
using CUdevice = int;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using nvrtcResult = int;
using nvrtcProgram = struct nvrtcProgram_st*;

constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…

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
  CUresult (*load)(CUmodule*, const void*);
  CUresult (*function)(CUfunction*, CUmodule, const char*);
  CUresult (*launch)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  CUresult (*text)(CUresult, const char**);

  Driver() {
    Library l{"libcuda.so.1", "libcuda.so"};
    l.find(device, "cuDeviceGet");
    l.find(attribute, "cuDeviceGetAttribute");
    l.find(retain, "cuDevicePrimaryCtxRetain");
    l.find(push, "cuCtxPushCurrent_v2");
    l.find(pop, "cuCtxPopCurrent_v2");
    l.find(load, "cuModuleLoadData");
    l.find(function, "cuModuleGetFunction");
    l.find(launch, "cuLaunchKernel");
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
    l.find(count, "nvrtcGetNumSupportedArchs");
    l.find(architectures, "nvrtcGetSupportedArchs");
  }

  // image returns machine code (cubin) for the given compute capability or, if this NVRTC does
  // not know it, PTX, which the driver compiles.
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
    std::vector<const char*> flags;
    for (const auto& o : options) flags.push_back(o.c_str());

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

struct State {
  std::mutex mutex;
  std::map<std::string, std::string> sources;  // by name
  std::map<int, CUcontext> contexts;           // primary contexts, by device
  std::map<std::string, CUfunction> functions;
};

State& state() {
  static State s;
  return s;
}

// Current makes a device's primary context, which LibTorch uses, current in the calling thread.
class Current {
 public:
  explicit Current(int index) {
    const auto& d = driver();
    CUcontext& context = state().contexts[index];
    if (context == nullptr) {
      CUdevice device = 0;
      d.check(d.device(&device, index), "device");
      d.check(d.retain(&context, device), "context");
    }
    d.check(d.push(context), "context");
  }

  ~Current() {
    CUcontext old;
    driver().pop(&old);
  }

  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
};

CUfunction function(const Kernel& kernel, int index) {
  std::string key = std::to_string(index) + ' ' + kernel.source + ' ' + kernel.function;
  for (const auto& d : kernel.definitions) key += ' ' + d;
  CUfunction& out = state().functions[key];
  if (out != nullptr) return out;
  auto source = state().sources.find(kernel.source);
  TORCH_CHECK(source != state().sources.end(), "there is no kernel source ", kernel.source);
  const auto& d = driver();
  CUdevice device = 0;
  int major = 0, minor = 0;
  d.check(d.device(&device, index), "device");
  d.check(d.attribute(&major, kMajor, device), "compute capability");
  d.check(d.attribute(&minor, kMinor, device), "compute capability");
  auto image = compiler().image(kernel, source->second, 10 * major + minor);
  CUmodule module = nullptr;
  d.check(d.load(&module, image.data()), kernel.source);
  d.check(d.function(&out, module, kernel.function), kernel.function);
  return out;
}

}  // namespace

void enqueue(const Kernel& kernel, const at::Tensor& on, Grid blocks, int threads, void** arguments) {
  if (blocks.x == 0 || blocks.y == 0) return;
  std::lock_guard<std::mutex> lock(state().mutex);
  Current current(on.get_device());
  const auto& d = driver();
  d.check(d.launch(function(kernel, on.get_device()), static_cast<unsigned>(blocks.x), static_cast<unsigned>(blocks.y), 1,
                   static_cast<unsigned>(threads), 1, 1, 0, nullptr, arguments, nullptr),
          kernel.function);
}

std::string define(const char* name, int64_t value) { return std::string("-D") + name + '=' + std::to_string(value); }

std::string type_of(const at::Tensor& t) {
  TORCH_CHECK(t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble,
              "GPU kernels need float32 or float64, not ", t.scalar_type());
  return t.scalar_type() == at::kFloat ? "-DSCALAR=float" : "-DSCALAR=double";
}

}  // namespace di::gpu

void di_gpu_source(const char* name, const char* text) noexcept {
  auto& s = di::gpu::state();
  std::lock_guard<std::mutex> lock(s.mutex);
  s.sources[name] = text;
}
