#include "worker/state.h"

#include <algorithm>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {

namespace {

void check_section(const StateSection& section) {
  std::int64_t sum = 0;
  for (const auto& tensor : section.tensors) {
    if (tensor.dtype != section.dtype)
      throw Error(ErrorCode::kInternal, tensor.name + " is " + to_text(tensor.dtype) +
                                            " in a section of " + to_text(section.dtype));
    sum += elements(tensor);
  }
  if (sum != section.elements)
    throw Error(ErrorCode::kInternal, "a section of " + std::to_string(section.elements) +
                                          " elements holds tensors of " + std::to_string(sum));
}

}  // namespace

std::vector<TensorInfo> tensors_of(const StateView& state) {
  std::vector<TensorInfo> tensors;
  for (const auto& section : state.sections)
    tensors.insert(tensors.end(), section.tensors.begin(), section.tensors.end());
  return tensors;
}

std::uint64_t data_bytes(const StateView& state) {
  std::uint64_t bytes = 0;
  for (const auto& section : state.sections)
    bytes += static_cast<std::uint64_t>(section.elements) * bytes_of(section.dtype);
  return bytes;
}

std::span<std::byte> own_bytes(const StateSection& section, Share rank) {
  const auto width = bytes_of(section.dtype);
  const auto part = part_of(section.elements, rank);
  const auto skipped = section.replicated ? static_cast<std::size_t>(part.first) * width : 0;
  return {section.data + skipped, static_cast<std::size_t>(part.count) * width};
}

void describe_state(const StateView& state, std::int64_t world_size, Manifest& manifest) {
  manifest.world_size = world_size;
  manifest.tensors.clear();
  manifest.partition.clear();
  for (const auto& section : state.sections) {
    check_section(section);
    if (section.tensors.empty()) continue;
    manifest.tensors.insert(manifest.tensors.end(), section.tensors.begin(), section.tensors.end());
    manifest.partition.push_back(
        {static_cast<std::int64_t>(section.tensors.size()), section.elements});
  }
}

std::string tensors_digest(const StateView& state) {
  std::vector<const TensorInfo*> tensors;
  for (const auto& section : state.sections)
    for (const auto& tensor : section.tensors)
      tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const TensorInfo* t) -> const std::string& { return t->name; });
  std::string text;
  for (const auto* tensor : tensors) {
    text += tensor->name;
    text += '\0';
    text += to_text(tensor->dtype);
    for (const auto length : tensor->shape)
      text += ' ' + std::to_string(length);
    text += '\0';
  }
  return digest128(text);
}

}  // namespace lockstep
