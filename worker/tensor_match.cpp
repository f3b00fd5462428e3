#include "worker/tensor_match.h"

#include <cstddef>
#include <map>

#include "common/error.h"

namespace lockstep {

namespace {

std::string describe(const TensorInfo& tensor) {
  std::string text = to_text(tensor.dtype) + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
  return text + "]";
}

}  // namespace

std::vector<std::string> misfits(std::span<const TensorInfo> checkpoint,
                                 std::span<const TensorInfo> model) {
  struct Sides {
    const TensorInfo* checkpoint = nullptr;
    const TensorInfo* model = nullptr;
  };
  std::map<std::string_view, Sides> by_name;
  for (const auto& tensor : checkpoint)
    by_name[tensor.name].checkpoint = &tensor;
  for (const auto& tensor : model)
    by_name[tensor.name].model = &tensor;

  std::vector<std::string> lines;
  for (const auto& [name, sides] : by_name) {
    const auto start = std::string(name) + ": ";
    if (sides.model == nullptr) {
      lines.push_back(start + "in the checkpoint, not in the model");
    } else if (sides.checkpoint == nullptr) {
      lines.push_back(start + "in the model, not in the checkpoint");
    } else if (*sides.checkpoint != *sides.model) {
      lines.push_back(start + describe(*sides.checkpoint) + " in the checkpoint, " +
                      describe(*sides.model) + " in the model");
    }
  }
  return lines;
}

void require_fit(std::string_view what, std::span<const TensorInfo> checkpoint,
                 std::span<const TensorInfo> model) {
  constexpr std::size_t kMostLines = 20;
  const auto lines = misfits(checkpoint, model);
  if (lines.empty()) return;
  std::string text = std::string(what) + " does not fit the model:";
  for (std::size_t i = 0; i < lines.size() && i < kMostLines; ++i)
    text += "\n  " + lines[i];
  if (lines.size() > kMostLines)
    text += "\n  and " + std::to_string(lines.size() - kMostLines) + " more";
  throw Error(ErrorCode::kMismatch, text);
}

}  // namespace lockstep
