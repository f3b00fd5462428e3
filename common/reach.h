#pragma once

#include <string>
#include <utility>

#include "common/error.h"

namespace lockstep {

// A step of a save. A store that is not there while a job runs on it is a file system that went
// away, not a wrong name: kNotFound becomes Error(kIo), which a save survives and a requeue heals.
template <typename Fn>
auto in_reach(const std::string& store, Fn&& step) {
  try {
    return std::forward<Fn>(step)();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    throw Error(ErrorCode::kIo, "the store " + store + " is out of reach: " + e.what());
  }
}

}  // namespace lockstep
