// What needs LibTorch's largest headers, those of autograd and of recorded functions.
#include "autograd.hpp"
#include "buckets.hpp"
#include "count.hpp"
#include "gradients.hpp"
