#include "worker/tensor_match.h"

#include <algorithm>
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

struct Sides {
  const TensorInfo* offered = nullptr;
  const TensorInfo* model = nullptr;
};

std::vector<std::string> names_of(std::span<const TensorInfo> tensors) {
  std::vector<std::string> names;
  for (const auto& tensor : tensors)
    names.push_back(tensor.name);
  return names;
}

}  // namespace

std::vector<std::string> misfits(const TensorOffer& offer, std::span<const TensorInfo> model,
                                 const Selection& selection) {
  std::map<std::string_view, Sides> by_name;
  for (const auto& tensor : offer.tensors)
    if (is_selected(selection, tensor.name)) by_name[tensor.name].offered = &tensor;
  for (const auto& tensor : model)
    if (is_selected(selection, tensor.name)) by_name[tensor.name].model = &tensor;

  std::vector<std::string> lines;
  const auto there = "in the " + offer.kind;
  for (const auto& [name, sides] : by_name) {
    const auto start = std::string(name) + ": ";
    if (sides.model == nullptr) {
      lines.push_back(start + there + ", not in the model");
    } else if (sides.offered == nullptr) {
      lines.push_back(start + "in the model, not " + there);
    } else if (*sides.offered != *sides.model) {
      lines.push_back(start + describe(*sides.offered) + " " + there + ", " +
                      describe(*sides.model) + " in the model");
    }
  }
  return lines;
}

namespace {

// A line for each glob that means nothing on either side: a tensor may be new in the model.
std::vector<std::string> unmatched(const TensorOffer& offer, std::span<const TensorInfo> model,
                                   const Selection& selection) {
  auto names = names_of(offer.tensors);
  const auto in_model = names_of(model);
  names.insert(names.end(), in_model.begin(), in_model.end());
  std::vector<std::string> lines;
  for (const auto& glob : unmatched_globs(selection, names))
    lines.push_back("restore.exclude: '" + glob + "' matches no tensor of " + offer.name +
                    "; they are named such as " + (names.empty() ? "none" : names.front()));
  return lines;
}

// A restore of nothing would look like one.
void require_something(const TensorOffer& offer, const Selection& selection) {
  const bool any = std::ranges::any_of(
      offer.tensors, [&](const TensorInfo& tensor) { return is_selected(selection, tensor.name); });
  if (any) return;
  throw Error(ErrorCode::kMismatch, "restore.exclude leaves nothing of " + offer.name +
                                        " to load; to start anew write restore: fresh");
}

}  // namespace

void require_fit(const TensorOffer& offer, std::span<const TensorInfo> model,
                 const Selection& selection) {
  const auto lines = misfits(offer, model, selection);
  const auto globs = unmatched(offer, model, selection);
  if (lines.empty() && globs.empty()) return require_something(offer, selection);
  if (lines.empty()) throw Error(ErrorCode::kMismatch, globs.front());  // one at a time will do
  auto text = offer.name + " does not fit the model:";
  for (const auto* part : {&lines, &globs})
    for (const auto& line : *part)
      text += "\n  " + line;
  if (std::ranges::all_of(lines, [](const auto& l) { return l.starts_with("optimizer."); }))
    text += "\nonly the optimizer's state differs: restore.scope: model takes the weights alone";
  else if (2 * lines.size() <= offer.tensors.size())  // else it is another model
    text += "\nwhat should not be loaded can be named in restore.exclude";
  throw Error(ErrorCode::kMismatch, text);
}

}  // namespace lockstep
