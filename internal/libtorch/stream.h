// Streams of GPUs, as other parts of the C++ side see them; see stream.hpp.
#pragma once
#include <c10/core/Stream.h>

namespace di {

// stream returns a stream of a GPU by its number.
c10::Stream stream(int device, int64_t number);

// current_stream returns the calling thread's current stream of a GPU.
c10::Stream current_stream(int device);

// follow makes what a stream does from now on wait for what another one has been given so far.
void follow(c10::Stream later, c10::Stream first);

}  // namespace di
