#include "common/selection.h"

#include <algorithm>

#include <fnmatch.h>

namespace lockstep {

namespace {

bool is_optimizer_state(std::string_view name) {
  return name.starts_with("optimizer.");
}

bool fits(const std::string& glob, const std::string& name) {
  return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
}

bool is_in_scope(const Selection& selection, const std::string& name) {
  return !selection.model_only || !is_optimizer_state(name);
}

}  // namespace

bool glob_matches(const std::string& glob, const std::string& name) {
  if (fits(glob, name)) return true;
  for (const std::string_view kind : {"model.", "buffer."})
    if (name.starts_with(kind)) return fits(glob, name.substr(kind.size()));
  if (!is_optimizer_state(name)) return false;
  const auto begin = name.find('.') + 1;
  const auto parameter = name.substr(begin, name.rfind('.') - begin);
  return fits(glob, parameter) || fits(glob, "model." + parameter);
}

bool is_selected(const Selection& selection, const std::string& name) {
  return is_in_scope(selection, name) &&
         std::none_of(selection.exclude.begin(), selection.exclude.end(),
                      [&](const std::string& glob) { return glob_matches(glob, name); });
}

std::vector<std::string> unmatched_globs(const Selection& selection,
                                         std::span<const std::string> names) {
  std::vector<std::string> found;
  for (const auto& glob : selection.exclude) {
    const bool hit = std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return glob_matches(glob, name); });
    if (!hit) found.push_back(glob);
  }
  return found;
}

}  // namespace lockstep
