#include "worker/common_ground.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {

namespace {

constexpr std::string_view kCheckpoint = "checkpoint";
constexpr std::string_view kPosition = "position";
constexpr std::string_view kTensors = "tensors";

bool is_integer(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
    case Dtype::kF32:
    case Dtype::kF16:
    case Dtype::kBf16:
      return false;
    default:
      return true;
  }
}

std::string_view take_line(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

}  // namespace

std::string compared_contents(const StateView& state) {
  std::string text;
  for (const auto& section : state.sections) {
    if (!section.replicated || !(section.compared || is_integer(section.dtype))) continue;
    const std::byte* at = section.data;
    for (const auto& tensor : section.tensors) {
      const auto bytes = static_cast<std::size_t>(elements(tensor)) * bytes_of(tensor.dtype);
      text += tensor.name + " " + hex64(checksum64({at, bytes})) + "\n";
      at += bytes;
    }
  }
  return text;
}

std::string common_ground(const CheckpointId& checkpoint, std::int64_t position,
                          const StateView& state, const std::string& contents) {
  return std::string(kCheckpoint) + " " + to_text(checkpoint) + "\n" + std::string(kPosition) +
         " " + std::to_string(position) + "\n" + std::string(kTensors) + " " +
         tensors_digest(state) + "\n" + contents;
}

void require_common_ground(std::string_view mine, std::string_view root) {
  while (!mine.empty() || !root.empty()) {
    const auto here = take_line(mine);
    const auto there = take_line(root);
    if (here == there) continue;
    const auto name = here.substr(0, here.find(' '));
    const bool same_thing = name == there.substr(0, there.find(' '));
    if (same_thing && name == kPosition)
      throw Error(ErrorCode::kMismatch,
                  std::string(here) + " in the data differs from rank 0's, " +
                      std::string(there.substr(kPosition.size() + 1)) +
                      ": completed() must be given the samples of all ranks together, the same "
                      "number on each");
    if (same_thing && name != kCheckpoint && name != kTensors)
      throw Error(ErrorCode::kMismatch,
                  std::string(name) +
                      " has other values than on rank 0: all ranks must begin with the same ones, "
                      "and step by gradients summed over all");
    throw Error(ErrorCode::kInternal,
                "'" + std::string(here) + "' differs from rank 0's '" + std::string(there) + "'");
  }
}

}  // namespace lockstep
