#include "common/manifest.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <unordered_set>
#include <utility>

#include "common/digest.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/partition.h"
#include "common/record_json.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr std::size_t kDigestDigits = 32;

// Tens of thousands: as a tree their list took 3 KiB a tensor and most of a commit's time.
std::string tensors_text(const std::vector<TensorInfo>& tensors) {
  std::string text = "[";
  for (const TensorInfo& tensor : tensors) {
    text += (text.size() > 1 ? R"(,{"dtype":")" : R"({"dtype":")") + to_text(tensor.dtype);
    text += R"(","name":)";
    append_string(text, tensor.name);
    text += R"(,"shape":)";
    append_integers(text, tensor.shape);
    text += '}';
  }
  return text + ']';
}

json shards_json(const std::vector<ShardInfo>& shards) {
  json list = json::array();
  for (const ShardInfo& shard : shards) {
    list.push_back(
        {{"file", shard.file}, {"bytes", shard.bytes}, {"header_digest", shard.header_digest}});
  }
  return list;
}

json partition_json(const std::vector<PartitionSection>& partition) {
  json list = json::array();
  for (const PartitionSection& section : partition) {
    list.push_back({{"tensors", section.tensors}, {"elements", section.elements}});
  }
  return list;
}

std::vector<TensorInfo> parse_tensors(const json& object, std::string_view what) {
  std::vector<TensorInfo> tensors;
  for_each_element(object, "tensors", what, [&](const json& entry) {
    TensorInfo& tensor = tensors.emplace_back();
    tensor.name = text_member(entry, "name", what);
    try {
      tensor.dtype = parse_dtype(text_member(entry, "dtype", what));
    } catch (const Error& error) {
      throw_damaged(what, error.what());
    }
    tensor.shape = integers_member(entry, "shape", what);
  });
  return tensors;
}

std::vector<ShardInfo> parse_shards(const json& object, std::string_view what) {
  std::vector<ShardInfo> shards;
  for (const json& entry : array_member(object, "shards", what)) {
    shards.push_back({.file = text_member(entry, "file", what),
                      .bytes = static_cast<std::uint64_t>(integer_member(entry, "bytes", what)),
                      .header_digest = text_member(entry, "header_digest", what)});
  }
  return shards;
}

std::vector<PartitionSection> parse_partition(const json& object, std::string_view what) {
  std::vector<PartitionSection> partition;
  for (const json& entry : array_member(object, "partition", what)) {
    partition.push_back({.tensors = integer_member(entry, "tensors", what),
                         .elements = integer_member(entry, "elements", what)});
  }
  return partition;
}

// Signed, unlike all else.
std::int64_t parse_seed(const json& object, std::string_view what) {
  const json& seed = member(object, "seed", what);
  const bool fits =
      seed.is_number_integer() &&
      (!seed.is_number_unsigned() || std::in_range<std::int64_t>(seed.get<std::uint64_t>()));
  if (!fits) throw_damaged(what, "seed is no integer");
  return seed.get<std::int64_t>();
}

std::map<std::string, double> parse_metrics(const json& object, std::string_view what) {
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : object_member(object, "metrics", what).items()) {
    if (!value.is_number()) throw_damaged(what, "metric " + name + " is no number");
    metrics.emplace(name, value.get<double>());
  }
  return metrics;
}

std::map<std::string, std::string> parse_environment(const json& object, std::string_view what) {
  std::map<std::string, std::string> environment;
  for (const auto& [name, value] : object_member(object, "environment", what).items()) {
    if (!value.is_string()) throw_damaged(what, "environment: " + name + " is no text");
    environment.emplace(name, value.get<std::string>());
  }
  return environment;
}

DataPosition parse_data(const json& object, std::string_view what) {
  const json& data = object_member(object, "data", what);
  return {.position = integer_member(data, "position", what),
          .length = integer_member(data, "length", what),
          .digest = text_member(data, "digest", what)};
}

// What is wrong with values of the right types; "" where nothing is. Encoder and parser ask alike.
std::string problem_of_tensors(const std::vector<TensorInfo>& tensors) {
  std::unordered_set<std::string_view> names(tensors.size());
  for (const TensorInfo& tensor : tensors) {
    if (!is_tensor_name(tensor.name)) return "a tensor has a bad name";
    if (!names.insert(tensor.name).second) return "tensor " + tensor.name + " is there twice";
    if (!elements_of(tensor.shape)) return "tensor " + tensor.name + " has a bad shape";
  }
  return "";
}

std::string problem_of_shards(const Manifest& manifest) {
  if (manifest.world_size < 1 || !std::cmp_equal(manifest.shards.size(), manifest.world_size)) {
    return "shards are not one for each rank of world_size";
  }
  std::int64_t index = 0;
  for (const ShardInfo& shard : manifest.shards) {
    const std::string file = shard_file({.index = index++, .count = manifest.world_size});
    if (shard.file != file) return "shards lack " + file + " at its place";
    if (!std::in_range<std::int64_t>(shard.bytes)) return file + " has a bad size";
    if (shard.header_digest.size() != kDigestDigits || !is_hex(shard.header_digest)) {
      return file + " has a bad header_digest";
    }
  }
  return "";
}

std::string problem_of_partition(const Manifest& manifest) {
  std::size_t at = 0;
  std::int64_t bytes = 0;
  for (const PartitionSection& section : manifest.partition) {
    if (section.tensors < 0 || std::cmp_greater(section.tensors, manifest.tensors.size() - at)) {
      return "partition speaks of more tensors than there are";
    }
    const auto count = static_cast<std::size_t>(section.tensors);
    const auto tensors = std::span(manifest.tensors).subspan(at, count);
    std::int64_t elements_here = 0;
    std::int64_t bytes_here = 0;
    for (const TensorInfo& tensor : tensors) {
      if (tensor.dtype != tensors.front().dtype) return "partition has a section of two dtypes";
      if (__builtin_add_overflow(elements_here, elements(tensor), &elements_here)) {
        return "partition has a section that is too large";
      }
    }
    if (elements_here != section.elements) return "partition has a section of other elements";
    const auto width = tensors.empty() ? 0 : static_cast<std::int64_t>(bytes_of(tensors[0].dtype));
    if (__builtin_mul_overflow(elements_here, width, &bytes_here) ||
        __builtin_add_overflow(bytes, bytes_here, &bytes)) {
      return "partition is too large";
    }
    at += count;
  }
  return at == manifest.tensors.size() ? "" : "partition leaves tensors out";
}

std::string problem_of(const Manifest& manifest) {
  if (manifest.checkpoint.attempt < 1) return "attempt is below 1";
  if (manifest.checkpoint.iteration < 0) return "iteration is below 0";
  if (manifest.data.position < 0 || manifest.data.length < 0) return "data is below 0";
  // Far beyond what can be trained, and far enough below 2^63 that nobody counts beyond that.
  constexpr auto kMostSamples = std::int64_t{1} << 62U;
  if (manifest.data.position > kMostSamples) return "data's position is above 2^62";
  if (manifest.parent) {
    const auto& [parent, store] = *manifest.parent;
    if (parent.attempt < 1 || parent.iteration < 0) return "parent is no checkpoint";
    // Lineage goes back, hence ends.
    if (!store && parent.attempt >= manifest.checkpoint.attempt)
      return "parent is no earlier attempt";
  }
  for (const auto& [name, value] : manifest.metrics) {
    if (!std::isfinite(value)) return "metric " + name + " is not finite";
  }
  std::string problem = problem_of_tensors(manifest.tensors);
  if (problem.empty()) problem = problem_of_shards(manifest);
  if (problem.empty()) problem = problem_of_partition(manifest);
  return problem;
}

}  // namespace

std::int64_t elements(const TensorInfo& tensor) {
  const auto count = elements_of(tensor.shape);
  if (!count) throw_damaged("tensor " + tensor.name, "has a bad shape");
  return *count;
}

std::uint64_t data_bytes(std::span<const TensorInfo> tensors) {
  std::uint64_t bytes = 0;
  for (const auto& tensor : tensors)
    bytes += static_cast<std::uint64_t>(elements(tensor)) * bytes_of(tensor.dtype);
  return bytes;
}

std::string metrics_text(const std::map<std::string, double>& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) {
    std::array<char, 32> number{};
    // Digits that count, not decimals: a loss of 1e-5 is not 0.
    std::snprintf(number.data(), number.size(), "%.4g", value);
    text += (text.empty() ? "" : ", ") + name + " " + number.data();
  }
  return text;
}

std::string encode_manifest(const Manifest& manifest) {
  const std::string problem = problem_of(manifest);
  if (!problem.empty()) throw Error(ErrorCode::kInternal, "manifest: " + problem);
  json object = {{"attempt", manifest.checkpoint.attempt},
                 {"iteration", manifest.checkpoint.iteration},
                 {"world_size", manifest.world_size},
                 {"seed", manifest.seed},
                 {"finite", manifest.finite},
                 {"parent", parent_json(manifest.parent)},
                 {"data",
                  {{"position", manifest.data.position},
                   {"length", manifest.data.length},
                   {"digest", manifest.data.digest}}},
                 {"metrics", manifest.metrics},
                 {"config", object_of_text(manifest.config, "config")},
                 {"run", manifest.run},
                 {"created", manifest.created},
                 {"environment", manifest.environment}};
  // Not in the list, which copies what it holds.
  object["shards"] = shards_json(manifest.shards);
  object["partition"] = partition_json(manifest.partition);
  if (manifest.engine) object["engine"] = *manifest.engine;
  return seal(std::move(object),
              std::array{ReadyMember{"tensors", tensors_text(manifest.tensors)}});
}

Manifest parse_manifest(std::string_view text, const CheckpointId& expected,
                        std::string_view what) {
  if (text.size() > kMaxManifestBytes) throw_damaged(what, "is too large");
  const json object = unseal(text, what, "tensors");
  Manifest manifest;
  manifest.checkpoint = checkpoint_members(object, what);
  manifest.world_size = integer_member(object, "world_size", what);
  manifest.seed = parse_seed(object, what);
  manifest.finite = bool_member(object, "finite", what);
  manifest.tensors = parse_tensors(object, what);
  manifest.shards = parse_shards(object, what);
  manifest.partition = parse_partition(object, what);
  manifest.parent = parent_member(object, "parent", what);
  manifest.data = parse_data(object, what);
  manifest.metrics = parse_metrics(object, what);
  manifest.config = object_member(object, "config", what).dump();
  manifest.run = text_member(object, "run", what);
  manifest.created = text_member(object, "created", what);
  if (object.contains("engine")) manifest.engine = text_member(object, "engine", what);
  manifest.environment = parse_environment(object, what);
  const std::string problem = problem_of(manifest);
  if (!problem.empty()) throw_damaged(what, problem);
  if (manifest.checkpoint != expected) {
    throw_damaged(what, "is the manifest of " + to_text(manifest.checkpoint) + ", expected " +
                            to_text(expected));
  }
  return manifest;
}

std::string manifest_digest(std::string_view text) {
  return digest128(text);
}

}  // namespace lockstep
