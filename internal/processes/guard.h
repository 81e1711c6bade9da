// Errors of C++ as text that the caller frees.
#pragma once
#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

namespace dp {

// guard calls f and returns the text of what it throws, or null.
template <typename F>
char* guard(F&& f) noexcept {
  try {
    f();
    return nullptr;
  } catch (const c10::Error& e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("unknown C++ exception");
  }
}

}  // namespace dp
