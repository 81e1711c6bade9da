// Large tensors on the CPU lie in huge pages. Every operator makes its result anew,
// and touching it 4 KiB at a time costs a third of a picture's time in page faults.
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include "kernels.h"
#include "shim.h"

#ifdef MADV_HUGEPAGE
namespace {

constexpr size_t kPage = 2 << 20;
constexpr size_t kLeast = 2 * kPage;  // smaller tensors would waste too much of their last page

struct HugePages final : c10::Allocator {
  c10::Allocator* base = c10::GetCPUAllocator();

  // Which of the two overrides Allocator::allocate, and whether copy_data does
  // anything, depends on LibTorch's version: hence no "override" here.
  c10::DataPtr allocate(size_t n) { return get(n); }
  c10::DataPtr allocate(size_t n) const { return get(n); }
  void copy_data(void* to, const void* from, size_t n) const { std::memcpy(to, from, n); }

  c10::DeleterFnPtr raw_deleter() const override { return base->raw_deleter(); }

  c10::DataPtr get(size_t n) const {
    void* p = nullptr;
    size_t size = (n + kPage - 1) / kPage * kPage;
    if (n < kLeast || size < n || posix_memalign(&p, kPage, size) != 0) return base->allocate(n);
    madvise(p, size, MADV_HUGEPAGE);  // a hint; without it all works as before
    return {p, p, &std::free, c10::Device(c10::DeviceType::CPU)};
  }
};

}  // namespace

void di_use_huge_pages() noexcept {
  static HugePages pages;
  c10::SetCPUAllocator(&pages, 1);
}
#else
void di_use_huge_pages() noexcept {}
#endif
