#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/names.h"
#include "common/safetensors.h"

namespace lockstep {

struct TensorInfo {
  std::string name;  // model.NAME, buffer.NAME, optimizer.NAME.KIND
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;

  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};
std::int64_t elements(const TensorInfo& tensor);  // product of shape; checked, Error(kDamaged)
std::uint64_t data_bytes(std::span<const TensorInfo> tensors);  // of their elements, in all

struct ShardInfo {
  std::string file;           // "shard-00003-of-00008.safetensors"
  std::uint64_t bytes = 0;    // the file's size
  std::string header_digest;  // SafetensorsHeader::digest
};

// Consecutive tensors of the manifest, of one dtype, laid end to end: shard i of N holds the
// elements [elements * i / N, elements * (i + 1) / N) of each section, and its data is its parts of
// the sections in this order. So a reader knows without a listing which shards hold what it needs.
struct PartitionSection {
  std::int64_t tensors = 0;   // how many, from where the section before ended
  std::int64_t elements = 0;  // the sum of theirs
};

struct DataPosition {
  std::int64_t position = 0;  // samples since the start of the run's lineage
  std::int64_t length = 0;    // samples in the data set
  std::string digest;         // of the data set
};

// The checkpoint from which an attempt started. `store` is set only where it lies in another store:
// that store's id, "" for a loose folder.
struct Parent {
  CheckpointId checkpoint;
  std::optional<std::string> store;

  friend bool operator==(const Parent&, const Parent&) = default;
};

// manifest.json: one JSON object that describes a checkpoint; its own digest is in it.
struct Manifest {
  CheckpointId checkpoint;
  std::int64_t world_size = 0;
  std::int64_t seed = 0;
  bool finite = true;
  std::vector<TensorInfo> tensors;
  std::vector<ShardInfo> shards;            // in the order of their index
  std::vector<PartitionSection> partition;  // how the tensors' elements are spread over the shards
  std::optional<Parent> parent;
  DataPosition data;
  std::map<std::string, double> metrics;  // finite numbers only
  std::string config = "{}";              // canonical JSON; an object in the file
  std::string run;
  std::string created;  // RFC 3339, UTC; for people, never for decisions
  // How its shards were written: "pwrite-dio", "buffered", or both with a comma. The first stores
  // don't tell.
  std::optional<std::string> engine;
  std::map<std::string, std::string>
      environment;  // what bit-identity depends on: threads, build ...
};

// Pure, for people: "accuracy 0.9228, loss 0.2214"; "" where there is none.
std::string metrics_text(const std::map<std::string, double>& metrics);

constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{1} << 28;

// Pure: the file's text, and back. Everything that the file says is checked: types, ranges, names,
// duplicates, that shards are one for each index of world_size, that the digest is right, and that
// it is the manifest of `expected` (the folder's name). Error(kDamaged), text starts with `what`.
std::string encode_manifest(const Manifest& manifest);
Manifest parse_manifest(std::string_view text, const CheckpointId& expected, std::string_view what);

// Pure: digest128 of the file's text.
std::string manifest_digest(std::string_view text);

// Pure: the pieces that shard `index` must hold by the partition, in the order of its data.
std::vector<Piece> expected_pieces(const Manifest& manifest, std::int64_t index);

// Pure: that a shard's header is the one that the manifest names at `index`, whole: file size,
// header digest, attempt, iteration, index, count and pieces. Error(kDamaged), text starts with
// `what`.
void check_shard(const Manifest& manifest, std::int64_t index, const SafetensorsHeader& header,
                 const ShardDescription& shard, std::uint64_t file_bytes, std::string_view what);

}  // namespace lockstep
