// What count.hpp counts of kernels that are not operators of LibTorch.
#pragma once
#include <atomic>
#include <cstdint>

namespace di {

extern std::atomic<int64_t> counted_bytes;  // of memory that tensors on the CPU have asked for
extern std::atomic<int64_t> counted_flop;   // of products
extern std::atomic<int64_t> counted_launches;  // of this module's kernels on GPUs

}  // namespace di
