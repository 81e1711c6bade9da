// Kernels of training on the CPU.
#include "batch_norm.hpp"
#include "mask_dice.hpp"
#include "optimize.hpp"
#include "stage_losses.hpp"
