#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

// What went wrong, in a form that crosses ranks as one int. Values are stable: append only.
enum class ErrorCode : int {
  kOk = 0,
  kInvalidConfig = 1,  // the YAML, the command line or the environment
  kNotFound = 2,       // a named thing is not there
  kDamaged = 3,        // proven: digest, size or header wrong, file missing after a fresh look-up
  kIo = 4,             // can't be read or written now; says nothing about the bytes
  kMismatch = 5,       // does not fit: model, config, build, store
  kInternal = 6,       // a bug
  kInUse = 7,          // another attempt is alive on the store
  kOwnRunAlive = 8,    // ... and it is this very run
  kSuperseded = 9,     // a newer attempt has claimed the store
  kNonFinite = 10,     // loss or gradients
};

// The exit code that DESIGN gives to an error: 3 where a retry may help, 2 where it can't.
constexpr int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kOk:
      return 0;
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
    case ErrorCode::kOwnRunAlive:
      return 3;
    default:
      return 2;
  }
}

// A failure of this rank alone. Never let one cross a collective call: see agree.h.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& what) : std::runtime_error(what), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// A failure that every rank of the communicator throws with the same contents: what() is
// "PHASE: rank R: CAUSE".
class AgreedError : public Error {
 public:
  AgreedError(ErrorCode code, int rank, const std::string& phase, const std::string& cause)
      : Error(code, phase + ": rank " + std::to_string(rank) + ": " + cause),
        rank_(rank),
        cause_(cause) {}
  int rank() const noexcept { return rank_; }  // lowest failing rank
  const std::string& cause() const noexcept { return cause_; }

 private:
  int rank_;
  std::string cause_;
};

// MPI itself failed: the communicator's state is unknown. Only main() catches it, and aborts.
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lockstep
