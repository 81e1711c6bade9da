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
