// Kernels of inference on the CPU.
#include "decoder.hpp"
#include "dynamic_conv.hpp"
#include "int8.hpp"
#include "masks.hpp"
#include "roi_align.hpp"
#include "small_bmm.hpp"
#include "upsample.hpp"
#include "winograd.hpp"
