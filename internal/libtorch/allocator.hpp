// Memory of large CPU tensors. Every operator allocates its result, and page faults on fresh
// 4 KiB pages take a third of the time of an inference: so large tensors are put in huge pages,
// and freed memory is kept in a cache during a picture or a training.
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "count.h"
#include "kernels.h"

namespace {

constexpr size_t kPage = 2 << 20;
constexpr size_t kHuge = 2 * kPage;     // below, too much of the last huge page would be wasted
constexpr size_t kLeast = 16 << 10;     // below, malloc is good enough
constexpr size_t kSegment = 32 << 20;   // requested from the system at once
constexpr size_t kGrain = 256;          // sizes and addresses are multiples of it

size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

void* huge(size_t size) {
  void* p = nullptr;
  if (posix_memalign(&p, kPage, size) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(p, size, MADV_HUGEPAGE);  // a hint, which may fail
#endif
  return p;
}

// Cache is a best-fit allocator: it splits segments into blocks and coalesces free neighbours.
class Cache {
 public:
  void use(int users, int keepers) {
    std::lock_guard<std::mutex> lock(mutex_);
    users_ += users;
    keepers_ += keepers;
    if (keepers_ > 0) return;
    trim();
    peak_ = live_;
  }

  size_t held() {
    std::lock_guard<std::mutex> lock(mutex_);
    return held_;
  }

  // take returns null if the cache has no user or memory has run out.
  void* take(size_t n) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (users_ == 0 || n > SIZE_MAX / 2) return nullptr;
    n = up(n, kGrain);
    auto fit = free_.lower_bound({n, nullptr});
    if (fit == free_.end()) {
      if (!grow(n)) return nullptr;
      fit = free_.lower_bound({n, nullptr});
    }
    char* at = fit->second;
    free_.erase(fit);
    Block& b = blocks_[at];
    if (b.size - n >= kLeast) {
      blocks_[at + n] = {b.size - n, true, false};
      free_.insert({b.size - n, at + n});
      b.size = n;
    }
    b.free = false;
    live_ += b.size;
    peak_ = std::max(peak_, live_);
    return at;
  }

  // give takes memory back and reports whether it is the cache's.
  bool give(void* p) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto b = blocks_.find(static_cast<char*>(p));
    if (b == blocks_.end()) return false;
    live_ -= b->second.size;
    b->second.free = true;
    if (auto next = std::next(b); next != blocks_.end() && next->second.free && !next->second.first) {
      free_.erase({next->second.size, next->first});
      b->second.size += next->second.size;
      blocks_.erase(next);
    }
    if (!b->second.first) {
      if (auto before = std::prev(b); before->second.free) {
        free_.erase({before->second.size, before->first});
        before->second.size += b->second.size;
        blocks_.erase(b);
        b = before;
      }
    }
    free_.insert({b->second.size, b->first});
    if (keepers_ == 0) trim();
    return true;
  }

 private:
  struct Block {
    size_t size;
    bool free, first;  // first of its segment
  };

  // grow requests a segment from the system. Free segments, which were all too small, are
  // returned first if the cache would otherwise exceed its peak use by more than a quarter.
  bool grow(size_t n) {
    size_t size = up(std::max(n, kSegment), kPage);
    if (held_ + size > peak_ + peak_ / 4) trim();
    auto* p = static_cast<char*>(huge(size));
    if (p == nullptr) return false;
    segments_[p] = size;
    blocks_[p] = {size, true, true};
    free_.insert({size, p});
    held_ += size;
    return true;
  }

  // trim returns wholly free segments to the system.
  void trim() {
    for (auto s = segments_.begin(); s != segments_.end();) {
      auto b = blocks_.find(s->first);
      if (!b->second.free || b->second.size != s->second) {
        ++s;
        continue;
      }
      free_.erase({b->second.size, b->first});
      blocks_.erase(b);
      held_ -= s->second;
      std::free(s->first);
      s = segments_.erase(s);
    }
  }

  std::mutex mutex_;
  int users_ = 0, keepers_ = 0;
  size_t held_ = 0, live_ = 0, peak_ = 0;
  std::map<char*, size_t> segments_;
  std::map<char*, Block> blocks_;            // ordered by address, so that neighbours are adjacent
  std::set<std::pair<size_t, char*>> free_;  // ordered by size
};

// cache is never destroyed: tensors may be freed by static destructors.
Cache& cache() {
  static auto* c = new Cache;
  return *c;
}

void give(void* p) {
  if (p != nullptr && !cache().give(p)) std::free(p);
}

struct LargeTensors final : c10::Allocator {
  c10::Allocator* base = c10::GetCPUAllocator();

  // Which of the two overrides Allocator::allocate, and whether copy_data overrides
  // anything, depends on the LibTorch version: hence no "override" here.
  c10::DataPtr allocate(size_t n) { return get(n); }
  c10::DataPtr allocate(size_t n) const { return get(n); }
  void copy_data(void* to, const void* from, size_t n) const { std::memcpy(to, from, n); }

  c10::DeleterFnPtr raw_deleter() const override { return &give; }

  c10::DataPtr get(size_t n) const {
    di::counted_bytes += static_cast<int64_t>(n);
    void* p = nullptr;
    if (n >= kLeast) p = cache().take(n);
    if (p == nullptr && n >= kHuge && n < SIZE_MAX / 2) p = huge(up(n, kPage));
    if (p == nullptr) return base->allocate(n);  // malloc's: give frees it, too
    return {p, p, &give, c10::Device(c10::DeviceType::CPU)};
  }
};

}  // namespace

void di_use_huge_pages() noexcept {
  static LargeTensors large;
  c10::SetCPUAllocator(&large, 1);
}

void di_cache_memory(int users, int keepers) noexcept { cache().use(users, keepers); }

size_t di_cached_memory() noexcept { return cache().held(); }
