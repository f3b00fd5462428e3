#pragma once

#include <string>

#include "common/error.h"

namespace lockstep::cli {

// What is said of a mistake or failure: why it is one, and what to do next, a line each.
struct Complaint {
  std::string cause;
  std::string advice;
};

// Pure: of an error of `command`. The texts of errors have their advice behind the first "; " that
// stands in no brackets; those that have none get one by their code.
Complaint complaint_of(ErrorCode code, const std::string& text, const std::string& command);

// Prints it on stderr, with control characters escaped.
void print(const Complaint& complaint);

}  // namespace lockstep::cli
