#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Pure: "lockstep 0.1.0 (b559bf4)", the first line of what --version says; without the parentheses
// where the revision is "".
std::string version_line(std::string_view program, std::string_view revision);

// Local: "Release, GCC 12.2.0".
std::string build_text();

// Local: "yaml-cpp 0.7.0, nlohmann-json 3.11.2, ..." : what is linked, compiled in or embedded, as
// it was found when this was configured. Without MPI, LibTorch and NCCL, which say it themselves.
std::string libraries_of_both();  // lockstep's and lockstepd's
std::string libraries_of_daemon_alone();

}  // namespace lockstep
