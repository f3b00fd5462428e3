#include "coordinator/cli/complaint.h"

#include <cstdio>

#include "common/log.h"

namespace lockstep::cli {

namespace {

std::size_t end_of_cause(const std::string& text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && depth > 0) --depth;
    if (depth == 0 && text.compare(i, 2, "; ") == 0) return i;
  }
  return std::string::npos;
}

std::string advice_for(ErrorCode code, const std::string& command) {
  switch (code) {
    case ErrorCode::kIo:
      return "it may pass: try again; lockstep doctor CONFIG tells what the file system can't do";
    case ErrorCode::kDamaged:
      return "lockstep ls STORE --all shows what is good, lockstep verify STORE reads every byte";
    case ErrorCode::kInUse:
    case ErrorCode::kOwnRunAlive:
      return "wait for the end of that job (lockstep status STORE --wait), or lockstep stop STORE";
    case ErrorCode::kInternal:
      return "this is a bug";
    default:
      return "lockstep " + command + " --help shows the use";
  }
}

}  // namespace

Complaint complaint_of(ErrorCode code, const std::string& text, const std::string& command) {
  const auto end = end_of_cause(text);
  if (end == std::string::npos) return {text, advice_for(code, command)};
  return {text.substr(0, end), text.substr(end + 2)};
}

void print(const Complaint& complaint) {
  std::fflush(stdout);
  std::fprintf(stderr, "lockstep: %s\n%s\n", escape_controls(complaint.cause).c_str(),
               escape_controls(complaint.advice).c_str());
}

}  // namespace lockstep::cli
