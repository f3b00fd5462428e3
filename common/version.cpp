#include "common/version.h"

// LOCKSTEP_BUILD_TYPE, LOCKSTEP_COMPILER and the lists are this file's alone
// (deploy/cmake/Versions.cmake).

namespace lockstep {

std::string version_line(std::string_view program, std::string_view revision) {
  std::string line(program);
  line += " " LOCKSTEP_VERSION;
  if (!revision.empty()) line.append(" (").append(revision).append(")");
  return line;
}

std::string build_text() {
  return LOCKSTEP_BUILD_TYPE ", " LOCKSTEP_COMPILER;
}

std::string libraries_of_both() {
  return LOCKSTEP_LIBRARIES_OF_BOTH;
}

std::string libraries_of_daemon_alone() {
  return LOCKSTEP_LIBRARIES_OF_DAEMON;
}

}  // namespace lockstep
