#include "gpu_cache.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace di::gpu {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[] = "diffusioninst GPU kernel 1\n";

uint64_t hash(const std::string& text) {  // FNV-1a
  uint64_t h = 14695981039346656037u;
  for (unsigned char c : text) h = (h ^ c) * 1099511628211u;
  return h;
}

// path returns the file of a key, empty if the environment names no folder.
fs::path path(const std::string& key) {
  fs::path folder;
  if (const char* named = std::getenv("DIFFUSIONINST_KERNELS")) {
    folder = named;
    if (folder.empty()) return {};
  } else if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    folder = fs::path(cache) / "diffusioninst";
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    folder = fs::path(home) / ".cache" / "diffusioninst";
  } else {
    return {};
  }
  std::ostringstream name;
  name << "kernel-" << std::hex << hash(key);
  return folder / name.str();
}

// head is what a file begins with: the whole key, since hashes may agree, and what the rest must be.
std::string head(const std::string& key, const std::string& image) {
  std::ostringstream out;
  out << kMagic << key.size() << ' ' << image.size() << ' ' << hash(image) << '\n' << key;
  return out.str();
}

}  // namespace

std::string cached(const std::string& key) {
  try {
    std::ifstream in(path(key), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    size_t begin = text.find(key);
    if (!in || begin == std::string::npos) return {};
    auto image = text.substr(begin + key.size());
    return text.substr(0, begin + key.size()) == head(key, image) ? image : "";
  } catch (const std::exception&) {
    return {};
  }
}

void keep(const std::string& key, const std::string& image) noexcept {
  try {
    auto to = path(key);
    if (to.empty()) return;
    if (fs::create_directories(to.parent_path())) fs::permissions(to.parent_path(), fs::perms::owner_all);
    // Written beside and renamed: others see all of it or nothing.
    auto part = to;
    part += "." + std::to_string(getpid()) + "." + std::to_string(hash(image)) + ".part";
    std::ofstream out(part, std::ios::binary);
    out << head(key, image) << image;
    out.close();
    std::error_code ignored;
    if (out) {
      fs::rename(part, to, ignored);
    } else {
      fs::remove(part, ignored);
    }
  } catch (const std::exception&) {
  }
}

}  // namespace di::gpu
