#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/error.h"

namespace lockstep {

// What an exception says, for people: an Error's text; of others the first line, since LibTorch's
// bring a stack with them. Never empty. An MpiError passes. Local.
std::string failure_text(const std::exception_ptr& error);

// An Error's code; of others kInternal.
ErrorCode failure_code(const std::exception_ptr& error);

// Throws what `error` is as an Error that says where it was: "WHERE: TEXT". An MpiError passes.
[[noreturn]] void throw_from(std::string_view where, const std::exception_ptr& error);

// Runs code that is not lockstep's, as in within("the task's train()", ...): what it throws names
// it, since its text alone often says nothing of where it comes from. Local.
template <std::invocable Fn>
std::invoke_result_t<Fn> within(std::string_view where, Fn&& call) {
  try {
    return std::invoke(std::forward<Fn>(call));
  } catch (...) {
    throw_from(where, std::current_exception());
  }
}

// Pure: whether it is the text of such a failure.
bool names_others_code(std::string_view text);

}  // namespace lockstep
