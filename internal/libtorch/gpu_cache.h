// Machine code of GPU kernels on disk, so that a process need not compile what another one has.
#pragma once
#include <string>

namespace di::gpu {

// cached returns the machine code that was kept under a key, "" if there is none.
std::string cached(const std::string& key);

// keep stores machine code under a key. That it cannot is not an error: it is compiled again.
void keep(const std::string& key, const std::string& image) noexcept;

}  // namespace di::gpu
