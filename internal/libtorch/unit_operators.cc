// What is composed of LibTorch's operators.
#include "activations.hpp"
#include "batch_norm_gpu.hpp"
#include "border.hpp"
#include "ops_gen.hpp"
#include "products.hpp"
