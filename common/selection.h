#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// Which tensors of a source a restore takes: `restore.scope` and `restore.exclude`.
struct Selection {
  bool model_only = false;           // scope: model: parameters and buffers, no optimizer state
  std::vector<std::string> exclude;  // globs

  friend bool operator==(const Selection&, const Selection&) = default;
};

// All: Pure.

// Whether a glob (fnmatch) means a tensor: by its whole name ("model.head.weight") or by the
// module's own ("head.weight").
bool glob_matches(const std::string& glob, const std::string& name);

// Whether a tensor is taken. State of the optimizer goes with its parameter: momentum of a tensor
// that starts anew would be of another tensor.
bool is_selected(const Selection& selection, const std::string& name);

// The globs of `exclude` that match none of the names. What the scope leaves out already may be
// named, too.
std::vector<std::string> unmatched_globs(const Selection& selection,
                                         std::span<const std::string> names);

}  // namespace lockstep
