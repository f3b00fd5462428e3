#include "coordinator/weights_index.h"

#include <filesystem>
#include <set>

#include "common/error.h"
#include "common/json_members.h"
#include "common/record_json.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {

namespace {

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

}  // namespace

WeightsIndex parse_weights_index(std::string_view text, std::string_view what) {
  const auto object = parse_strict_json(text, what);
  WeightsIndex index;
  std::set<std::string> files;
  const auto& map = object_member(object, "weight_map", what);
  for (const auto& [tensor, file] : map.items()) {
    const auto name = text_member(map, tensor.c_str(), what);
    if (!is_tensor_name(tensor)) throw_damaged(what, "weight_map has a bad name of a tensor");
    if (!is_plain_name(name))
      throw_damaged(what, "weight_map names a file that is not beside the index");
    index.places[tensor] = name;
    files.insert(name);
  }
  if (files.empty()) throw_damaged(what, "weight_map is empty");
  index.files.assign(files.begin(), files.end());
  return index;
}

void require_as_indexed(const WeightsIndex& index, const Weights& weights, std::string_view what) {
  std::string wrong;
  std::set<std::string> seen;
  for (const auto& [tensor, file, begin] : weights.tensors) {
    const auto name = std::filesystem::path(weights.files.at(file).path).filename().string();
    const auto place = index.places.find(tensor.name);
    if (place == index.places.end() || place->second != name)
      wrong += "\n  " + tensor.name + ": in " + name + ", not there by the index";
    else if (!seen.insert(tensor.name).second)
      wrong += "\n  " + tensor.name + ": in two files";
  }
  for (const auto& [tensor, file] : index.places)
    if (!seen.contains(tensor))
      wrong += "\n  " + tensor + ": by the index in " + file + ", not there";
  if (!wrong.empty())
    throw Error(ErrorCode::kMismatch, std::string(what) + " and its files differ:" + wrong);
}

CheckpointId checkpoint_of_manifest(std::string_view text) {
  return checkpoint_members(unseal(text, "manifest.json"), "manifest.json");
}

}  // namespace lockstep
