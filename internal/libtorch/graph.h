// Recording of CUDA graphs, as other parts of the C++ side see it; see graph.hpp.
#pragma once

namespace di {

// recording reports whether the calling thread records a graph: kernels are then noted, not started.
bool recording();

// refuse_copy throws while the calling thread records. A graph would copy from or to whatever lies at the
// same place of the host's memory when it is launched, or the host would read what is not there yet.
void refuse_copy();

}  // namespace di
