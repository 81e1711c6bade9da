// Memory, threads and clocks of the process; hardly needs LibTorch.
#include "allocator.hpp"
#include "blas.hpp"
#include "group.hpp"
#include "peak.hpp"
#include "simd.hpp"
