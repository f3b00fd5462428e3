#pragma once

#include <exception>
#include <string>

#include "common/error.h"

namespace lockstep {

// What an exception says, for people: an Error's text; of others the first line, since LibTorch's
// bring a stack with them. Never empty. An MpiError passes. Local.
std::string failure_text(const std::exception_ptr& error);

// An Error's code; of others kInternal.
ErrorCode failure_code(const std::exception_ptr& error);

}  // namespace lockstep
