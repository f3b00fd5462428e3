#include "coordinator/process_memory.h"

#include <fstream>
#include <iterator>
#include <string>

#include "common/names.h"

namespace lockstep {
namespace {

// Of a line such as "VmHWM:     1234 kB".
std::optional<std::int64_t> bytes_of(std::string_view status, std::string_view name) {
  constexpr std::int64_t kMostKilobytes = INT64_MAX / 1024;
  const auto start = "\n" + std::string(name) + ":";
  auto at = status.find(start);
  if (at == std::string_view::npos) return std::nullopt;
  at = status.find_first_not_of(" \t", at + start.size());
  const auto end = status.find(" kB\n", at);
  if (at == std::string_view::npos || end == std::string_view::npos) return std::nullopt;
  const auto kilobytes = parse_number(status.substr(at, end - at));
  if (!kilobytes || *kilobytes > kMostKilobytes) return std::nullopt;
  return *kilobytes * 1024;
}

}  // namespace

ProcessMemory parse_process_memory(std::string_view status) {
  return {bytes_of(status, "VmRSS"), bytes_of(status, "VmHWM")};
}

ProcessMemory process_memory() {
  std::ifstream file("/proc/self/status");
  return parse_process_memory({std::string(std::istreambuf_iterator<char>(file), {})});
}

}  // namespace lockstep
