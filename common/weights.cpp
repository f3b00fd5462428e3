#include "common/weights.h"

#include "common/error.h"
#include "common/json_members.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {

namespace {

using nlohmann::json;

constexpr auto kWhat = "the weights that were broadcast";

json files_json(const Weights& weights) {
  json list = json::array();
  for (const auto& file : weights.files)
    list.push_back(
        {{"path", file.path}, {"bytes", file.bytes}, {"header_digest", file.header_digest}});
  return list;
}

json tensors_json(const Weights& weights) {
  json list = json::array();
  for (const auto& [tensor, file, begin] : weights.tensors)
    list.push_back({{"name", tensor.name},
                    {"dtype", to_text(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"file", file},
                    {"begin", begin}});
  return list;
}

std::uint64_t unsigned_member(const json& object, const char* key) {
  return static_cast<std::uint64_t>(integer_member(object, key, kWhat));
}

Weights parse(std::string_view text) {
  const auto object = unseal(text, kWhat);
  Weights weights;
  for (const auto& entry : array_member(object, "files", kWhat))
    weights.files.push_back({text_member(entry, "path", kWhat), unsigned_member(entry, "bytes"),
                             text_member(entry, "header_digest", kWhat)});
  for (const auto& entry : array_member(object, "tensors", kWhat)) {
    WeightTensor one{
        {text_member(entry, "name", kWhat), parse_dtype(text_member(entry, "dtype", kWhat)),
         integers_member(entry, "shape", kWhat)},
        unsigned_member(entry, "file"),
        unsigned_member(entry, "begin")};
    if (one.file >= weights.files.size()) throw_damaged(kWhat, "a tensor is in no file");
    weights.tensors.push_back(std::move(one));
  }
  return weights;
}

}  // namespace

std::string encode(const Weights& weights) {
  return seal({{"files", files_json(weights)}, {"tensors", tensors_json(weights)}});
}

Weights parse_weights(std::string_view text) {
  try {
    auto weights = parse(text);
    if (encode(weights) != text) throw_damaged(kWhat, "are not as rank 0 writes them");
    return weights;
  } catch (const Error& e) {
    throw Error(ErrorCode::kInternal, e.what());
  }
}

}  // namespace lockstep
