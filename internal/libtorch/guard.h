// Exceptions are converted to errors.
#pragma once
#include <c10/util/Exception.h>

#include <cstdlib>
#include <cstring>
#include <exception>

#include "libtorch.h"

namespace di {

inline di_error* error(const char* message) noexcept {
  auto* e = static_cast<di_error*>(std::malloc(sizeof(di_error)));
  e->message = strdup(message);
  // LibTorch has a class for its own GPU allocator's only, not for the host's, cuDNN's and cuBLAS'.
  e->out_of_memory = false;
  for (const char* text : {"out of memory", "not enough memory", "ALLOC_FAILED", "bad_alloc", "can't allocate memory"}) {
    e->out_of_memory |= std::strstr(message, text) != nullptr;
  }
  return e;
}

// guard runs f and returns whatever it throws as an error.
template <typename F>
di_error* guard(F&& f) noexcept {
  try {
    f();
    return nullptr;
  } catch (const c10::Error& e) {
    return error(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return error(e.what());
  } catch (...) {
    return error("unknown C++ exception");
  }
}

}  // namespace di
