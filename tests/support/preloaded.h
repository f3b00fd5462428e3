#pragma once

#include <cstdlib>
#include <string>

#include <dlfcn.h>

// What the preloaded shims share.
namespace lockstep::testing {

// The function that a shim stands before.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// Of the environment; "" where it is not set.
inline std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

}  // namespace lockstep::testing
