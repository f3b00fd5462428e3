#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/comm.h"
#include "common/digest.h"
#include "common/error.h"

namespace lockstep {

namespace internal {
struct Outcome {
  ErrorCode code = ErrorCode::kOk;
  std::string what;
};
Outcome describe(const std::exception_ptr& error);
void throw_if_any_failed(const Comm& comm, std::string_view phase, const Outcome& mine);
std::string broadcast_outcome(const Comm& comm, std::string_view phase, const Outcome& root,
                              const std::string& payload);
}  // namespace internal

// Runs `local` on every rank, then makes the result unanimous.
//
// Collective: every rank of `comm` calls it, with the same `phase`.
// `local` must not communicate on `comm`.
// Returns local()'s own value on each rank when all ranks succeeded.
// Throws AgreedError, equal on all ranks, when any rank's `local` threw.
// Cost: one 4-byte allreduce; on failure, three small broadcasts more.
template <std::invocable Fn>
std::invoke_result_t<Fn> agree(const Comm& comm, std::string_view phase, Fn&& local) {
  using Value = std::invoke_result_t<Fn>;
  internal::Outcome mine;
  if constexpr (std::is_void_v<Value>) {
    try {
      std::invoke(std::forward<Fn>(local));
    } catch (...) {
      mine = internal::describe(std::current_exception());
    }
    internal::throw_if_any_failed(comm, phase, mine);
  } else {
    std::optional<Value> value;
    try {
      value.emplace(std::invoke(std::forward<Fn>(local)));
    } catch (...) {
      mine = internal::describe(std::current_exception());
    }
    internal::throw_if_any_failed(comm, phase, mine);
    return std::move(*value);
  }
}

// Runs `decide` on rank 0 only and gives its string to every rank.
//
// Collective: every rank calls it, with the same `phase`; other ranks never run `decide`.
// Throws AgreedError (rank 0), equal on all ranks, when `decide` threw.
// Cost: one broadcast of 2 KiB, and a second one where what was decided is longer, on success and
// on failure alike.
template <std::invocable Fn>
std::string root_decides(const Comm& comm, std::string_view phase, Fn&& decide) {
  internal::Outcome mine;
  std::string payload;
  if (comm.is_root()) {
    try {
      payload = std::invoke(std::forward<Fn>(decide));
    } catch (...) {
      mine = internal::describe(std::current_exception());
    }
  }
  return internal::broadcast_outcome(comm, phase, mine, payload);
}

// What a rank has of something that all must have alike: the hash of it.
//
// Hash what is known early before the collective that the others wait in, so that nobody waits for
// hashing.
struct Answer {
  std::string_view phase;
  Hash128 mine;
  std::string_view advice = {};  // for people, where it differs
};

// Proves that every rank has what rank 0 has.
//
// Collective: every rank calls it, with the same phases in the same order.
// Throws AgreedError(kMismatch), equal on all ranks, for the first phase in which some differ; it
// names every rank that does, with its host.
// Cost: one allreduce of 32 bytes a phase; on failure a broadcast and two allgathers more.
void require_same(const Comm& comm, std::initializer_list<Answer> answers);

}  // namespace lockstep
