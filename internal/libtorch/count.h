// What count.cc counts of kernels that are not operators of LibTorch.
#pragma once
#include <atomic>
#include <cstdint>

namespace di {

extern std::atomic<int64_t> counted_bytes;  // of memory that tensors on the CPU have asked for
extern std::atomic<int64_t> counted_flop;   // of products

}  // namespace di
