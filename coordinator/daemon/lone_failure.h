#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

// A failure that this rank can't agree on with the others, which may be anywhere in code that is
// not lockstep's: only main() catches it, says what it says, and ends the whole job.
class LoneFailure : public std::runtime_error {
 public:
  LoneFailure(int exit_code, const std::string& what)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_;
};

}  // namespace lockstep
