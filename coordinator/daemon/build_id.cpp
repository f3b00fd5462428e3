#include "coordinator/daemon/build_id.h"

#include <array>
#include <fstream>
#include <span>

#include "common/comm.h"
#include "common/digest.h"
#include "common/error.h"
#include "worker/libtorch.h"

namespace lockstep {

std::string build_id() {
  std::ifstream program("/proc/self/exe", std::ios::binary);
  Checksum sum;
  std::array<char, 1 << 16> block{};
  while (program.read(block.data(), block.size()) || program.gcount() > 0)
    sum.add(std::as_bytes(std::span(block).first(static_cast<std::size_t>(program.gcount()))));
  if (!program.eof()) throw Error(ErrorCode::kIo, "can't read the program's own file");
  return LOCKSTEP_VERSION " " + hex64(sum.value());
}

std::string libraries() {
  return mpi_library() + ", " + libtorch_version();
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
