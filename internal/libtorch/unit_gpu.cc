// Kernels on a GPU, and what starts them.
#include "boxes.hpp"
#include "gpu.hpp"
#include "gpu_cache.hpp"
#include "graph.hpp"
#include "nms.hpp"
#include "norms.hpp"
#include "predict_boxes.hpp"
#include "stream.hpp"
