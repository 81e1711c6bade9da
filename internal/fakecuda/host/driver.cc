// The functions of the CUDA driver and of NVRTC that internal/libtorch/gpu.cc uses, for machines without a
// GPU: kernels are compiled by g++ behind cuda_host.h and run on the host, in the memory that backend.cc
// gives to tensors of the GPU. What a driver would refuse is refused. FAKE_CUDA_LOG names a file that gets a
// line per compilation and launch, FAKE_CUDA_CAPABILITY the compute capability times ten (90), FAKE_NVRTC_WAITS a file that a compilation
// waits for.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

constexpr int kInvalidValue = 1, kInvalidContext = 201, kInvalidHandle = 400, kNotFound = 500, kNotReady = 600;
constexpr char kMagic[] = "FAKECUBN";

std::mutex mutex;
thread_local std::vector<void*> contexts;
int primary;  // its address is the context

void note(const std::string& line) {
  if (const char* log = std::getenv("FAKE_CUDA_LOG")) std::ofstream(log, std::ios::app) << line << '\n';
}

std::string folder() {  // of this library and cuda_host.h
  Dl_info info;
  dladdr(&primary, &info);
  std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// run runs a program without backend.cc, which would load all of LibTorch, and reports whether it succeeds. A file gets
// its error output.
bool run(std::vector<std::string> arguments, const std::string& errors) {
  std::vector<char*> argv, env;
  for (auto& a : arguments) argv.push_back(a.data());
  for (char** e = environ; *e != nullptr; e++) {
    if (std::strncmp(*e, "LD_PRELOAD=", 11) != 0) env.push_back(*e);
  }
  argv.push_back(nullptr), env.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid;
  int status = -1;
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), env.data()) == 0) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  posix_spawn_file_actions_destroy(&actions);
  return status == 0;
}

// compiled returns the shared library that g++ makes of a source, empty after an error, which log then says. The
// folder keeps it for other tests, behind its source.
std::string compiled(const std::string& source, std::string& log) {
  const std::string key = source + '\0', kept = folder() + "/kernel-" + std::to_string(std::hash<std::string>{}(key));
  if (auto found = read(kept); found.compare(0, key.size(), key) == 0) return found.substr(key.size());
  char work[] = "/tmp/fake-nvrtc-XXXXXX";
  if (mkdtemp(work) == nullptr) return "";
  const std::string base = work;
  std::ofstream(base + "/kernel.cc") << source;
  const bool ok = run({"g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-o", base + "/kernel.so",
                       base + "/kernel.cc"},
                      base + "/log");
  log = read(base + "/log");
  const auto code = ok ? read(base + "/kernel.so") : "";
  for (const char* name : {"/kernel.cc", "/kernel.so", "/log"}) unlink((base + name).c_str());
  rmdir(work);
  const std::string next = kept + "." + std::to_string(getpid());  // then renamed: a file is whole
  if (ok && std::ofstream(next, std::ios::binary) << key << code << std::flush) std::rename(next.c_str(), kept.c_str());
  return code;
}

struct Program {
  std::string text, name, log, image;
};

using Launch = void (*)(unsigned, unsigned, int, bool, void**);

struct Function {
  Launch launch;
  void** (*copy)(void**);  // of arguments, for a launch that is recorded
  std::string name;
  bool barriers;
};

struct Module {
  void* handle;
  std::map<std::string, Function> functions;
};

std::map<void*, bool> functions;  // known ones

// Event is one whose time can be asked for when the host has waited for it.
struct Event {
  std::chrono::steady_clock::time_point at;
  bool recorded = false, waited = false;
};

// Recorded is a launch that belongs to a graph. It is never freed.
struct Recorded {
  const Function* function;
  unsigned gx, gy, bx;
  void** arguments;

  void run() const {
    std::lock_guard<std::mutex> lock(mutex);
    function->launch(gx, gy, static_cast<int>(bx), function->barriers, arguments);
  }
};

}  // namespace

extern "C" {

int cuDeviceGet(int* device, int index) {
  *device = index;
  return index == 0 ? 0 : kInvalidValue;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  if (attribute != 75 && attribute != 76) return kInvalidValue;
  const char* set = std::getenv("FAKE_CUDA_CAPABILITY");
  int capability = set == nullptr || *set == 0 ? 90 : std::atoi(set);
  *value = attribute == 75 ? capability / 10 : capability % 10;
  return 0;
}

int cuDeviceGetUuid(char* uuid, int) {  // each process has a GPU of its own
  std::memset(uuid, 0, 16);
  int owner = std::getenv("FAKE_CUDA_SHARED") != nullptr ? 1 : getpid();
  std::memcpy(uuid, &owner, sizeof owner);
  return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &primary;
  return 0;
}

int cuCtxPushCurrent_v2(void* context) {
  if (context != &primary) return kInvalidContext;
  contexts.push_back(context);
  return 0;
}

int cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return kInvalidContext;
  *context = contexts.back();
  contexts.pop_back();
  return 0;
}

int cuStreamCreate(void** stream, unsigned flags) {
  if (contexts.empty()) return kInvalidContext;
  if (flags != 1) return kInvalidValue;
  *stream = new int64_t[4];  // an even number
  return 0;
}

int cuModuleLoadData(void** module, const void* image) {
  if (contexts.empty()) return kInvalidContext;
  const char* data = static_cast<const char*>(image);
  if (std::memcmp(data, kMagic, 8) != 0) return kInvalidValue;
  uint64_t size;
  std::memcpy(&size, data + 8, 8);
  int fd = memfd_create("cubin", 0);
  if (write(fd, data + 16, size) != static_cast<ssize_t>(size)) return kInvalidValue;
  void* handle = dlopen(("/proc/self/fd/" + std::to_string(fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::fprintf(stderr, "fake driver: %s\n", dlerror());
    return kInvalidValue;
  }
  *module = new Module{handle, {}};
  return 0;  // fd stays open: its name in /proc must not come again
}

int cuModuleGetFunction(void** function, void* module, const char* name) {
  std::lock_guard<std::mutex> lock(mutex);
  auto* m = static_cast<Module*>(module);
  auto launch = reinterpret_cast<Launch>(dlsym(m->handle, (std::string("launch_") + name).c_str()));
  auto* barriers = static_cast<const bool*>(dlsym(m->handle, "uses_barriers"));
  auto copy = reinterpret_cast<void** (*)(void**)>(dlsym(m->handle, (std::string("copy_") + name).c_str()));
  if (launch == nullptr || copy == nullptr || barriers == nullptr) return kNotFound;
  auto& f = m->functions[name] = {launch, copy, name, *barriers};
  functions[&f] = true;
  *function = &f;
  return 0;
}

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void* stream, void** arguments, void** extra) {
  std::lock_guard<std::mutex> lock(mutex);  // a device runs one kernel after another
  if (contexts.empty()) return kInvalidContext;
  if (functions.count(function) == 0 || arguments == nullptr || extra != nullptr || shared != 0) return kInvalidValue;
  if (gx < 1 || gx > 2147483647u || gy < 1 || gy > 65535 || gz != 1 || bx < 1 || bx > 1024 || by != 1 || bz != 1) return kInvalidValue;
  const auto& f = *static_cast<Function*>(function);
  static const auto records = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "fake_cuda_records"));  // in graph.h
  static const auto record = reinterpret_cast<void (*)(void*, void (*)(void*), void*)>(dlsym(RTLD_DEFAULT, "fake_cuda_record"));
  if (records != nullptr && records()) {
    record(stream, [](void* data) { static_cast<Recorded*>(data)->run(); }, new Recorded{&f, gx, gy, bx, f.copy(arguments)});
    return 0;
  }
  char line[200];
  std::snprintf(line, sizeof line, "launch %s %ux%u %u stream %p", f.name.c_str(), gx, gy, bx, stream);
  note(line);
  f.launch(gx, gy, static_cast<int>(bx), f.barriers, arguments);
  return 0;
}

int cuEventCreate(void** event, unsigned flags) {
  if (contexts.empty()) return kInvalidContext;
  if (flags != 0) return kInvalidValue;  // it would have no time
  *event = new Event;
  return 0;
}

int cuEventRecord(void* event, void* stream) {
  static const auto records = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "fake_cuda_records"));  // in graph.h
  if (contexts.empty()) return kInvalidContext;
  if (records != nullptr && records()) return kInvalidValue;
  auto& e = *static_cast<Event*>(event);
  e.at = std::chrono::steady_clock::now();
  e.recorded = true, e.waited = false;
  char line[100];
  std::snprintf(line, sizeof line, "event stream %p", stream);
  note(line);
  return 0;
}

int cuEventSynchronize(void* event) {
  static_cast<Event*>(event)->waited = true;
  note("wait");
  return 0;
}

int cuEventElapsedTime(float* milliseconds, void* first, void* last) {
  const auto &from = *static_cast<Event*>(first), &to = *static_cast<Event*>(last);
  if (!from.recorded || !to.recorded) return kInvalidHandle;
  if (!from.waited || !to.waited) return kNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(to.at - from.at).count();
  return 0;
}

int cuEventDestroy_v2(void* event) {
  if (contexts.empty()) return kInvalidContext;
  delete static_cast<Event*>(event);
  return 0;
}

int cuGetErrorString(int code, const char** text) {
  *text = code == kInvalidContext ? "invalid device context" : code == kNotFound ? "named symbol not found" : code == kInvalidHandle ? "invalid resource handle" : code == kNotReady ? "device not ready" : "invalid argument";
  return 0;
}

int nvrtcVersion(int* major, int* minor) {
  *major = 12, *minor = 0;
  return 0;
}

int nvrtcGetNumSupportedArchs(int* n) {
  *n = 3;
  return 0;
}

int nvrtcGetSupportedArchs(int* list) {
  list[0] = 75, list[1] = 80, list[2] = 90;
  return 0;
}

int nvrtcCreateProgram(void** program, const char* text, const char* name, int, const char* const*, const char* const*) {
  *program = new Program{text, name, {}, {}};
  return 0;
}

int nvrtcCompileProgram(void* program, int n, const char* const* options) {
  auto& p = *static_cast<Program*>(program);
  std::string line = "compile " + p.name, definitions;
  for (int i = 0; i < n; i++) {
    line += std::string(" ") + options[i];
    if (std::strncmp(options[i], "-D", 2) != 0) continue;
    std::string definition = options[i] + 2;  // NAME=VALUE
    auto equals = definition.find('=');
    definitions += "#define " + definition.substr(0, equals) + ' ' + definition.substr(equals + 1) + '\n';
  }
  note(line);
  if (const char* file = std::getenv("FAKE_NVRTC_WAITS"); file != nullptr && *file != 0) {
    while (access(file, F_OK) != 0) usleep(1000);
  }
  bool barriers = false;
  for (const char* word : {"__syncthreads", "__syncwarp", "__shfl", "__ballot"}) barriers |= p.text.find(word) != std::string::npos;
  // Definitions follow the header, which g++ then takes as compiled by Build.
  std::string source = "#include \"" + folder() + "/cuda_host.h\"\nextern \"C\" {\n__attribute__((visibility(\"default\"))) extern const bool uses_barriers = " +
                       std::to_string(barriers) + ";\n}\n" + definitions + "#line 1 \"" + p.name + "\"\n" + p.text + '\n';
  const std::string kernel = "extern \"C\" __global__ void ";
  for (size_t at = 0; (at = p.text.find(kernel, at)) != std::string::npos;) {
    at += kernel.size();
    source += "HOST_KERNEL(" + p.text.substr(at, p.text.find('(', at) - at) + ")\n";
  }
  auto code = compiled(source, p.log);
  uint64_t size = code.size();
  p.image = std::string(kMagic, 8) + std::string(reinterpret_cast<char*>(&size), 8) + code;
  return code.empty() ? 6 : 0;
}

int nvrtcDestroyProgram(void** program) {
  delete static_cast<Program*>(*program);
  return 0;
}

int nvrtcGetProgramLogSize(void* program, size_t* size) {
  *size = static_cast<Program*>(program)->log.size() + 1;
  return 0;
}

int nvrtcGetProgramLog(void* program, char* log) {
  std::strcpy(log, static_cast<Program*>(program)->log.c_str());
  return 0;
}

int nvrtcGetCUBINSize(void* program, size_t* size) {
  *size = static_cast<Program*>(program)->image.size();
  return 0;
}

int nvrtcGetCUBIN(void* program, char* image) {
  const auto& from = static_cast<Program*>(program)->image;
  std::memcpy(image, from.data(), from.size());
  return 0;
}

int nvrtcGetPTXSize(void*, size_t*) { return 1; }  // the capability is known: cubin is asked for
int nvrtcGetPTX(void*, char*) { return 1; }
}
