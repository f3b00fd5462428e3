#include "coordinator/daemon/build_id.h"

#include <array>
#include <fstream>
#include <span>

#include "common/comm.h"
#include "common/digest.h"
#include "common/error.h"
#include "worker/libtorch.h"
#include "worker/nccl_collectives.h"

namespace lockstep {

namespace {

// `what` is named where it can't be read.
std::string file_digest(const std::string& path, const std::string& what) {
  std::ifstream file(path, std::ios::binary);
  Checksum sum;
  std::array<char, 1 << 16> block{};
  while (file.read(block.data(), block.size()) || file.gcount() > 0)
    sum.add(std::as_bytes(std::span(block).first(static_cast<std::size_t>(file.gcount()))));
  if (!file.eof()) throw Error(ErrorCode::kIo, "can't read " + what);
  return hex64(sum.value());
}

}  // namespace

std::string build_id() {
  return LOCKSTEP_VERSION " " + file_digest("/proc/self/exe", "the program's own file");
}

std::string library_id(const std::optional<std::string>& path) {
  return path ? file_digest(*path, "task.library: " + *path) : "";
}

std::string libraries() {
  const auto nccl = load_nccl();
  return mpi_library() + ", " + libtorch_version() +
         (nccl.module != nullptr ? std::string(", ") + nccl.module->version : "");
}

std::string processor_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(": ");
      return colon == std::string::npos ? "" : line.substr(colon + 2);
    }
  return "";
}

}  // namespace lockstep
