#include <array>
#include <utility>

#include "common/digest.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/safetensors.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr const char* kShardKey = "lockstep.shard";
constexpr const char* kPiecesKey = "lockstep.pieces";
constexpr const char* kChecksumsKey = "lockstep.checksums";
constexpr std::size_t kChecksumDigits = 16;

std::uint64_t blocks_of(std::uint64_t data_bytes) {
  return data_bytes / kChecksumBlockBytes + (data_bytes % kChecksumBlockBytes == 0 ? 0 : 1);
}

const std::string& metadata_of(const SafetensorsHeader& header, const char* key,
                               std::string_view what) {
  const auto place = header.metadata.find(key);
  if (place == header.metadata.end()) {
    throw_damaged(what, std::string(key) + " is missing in its header");
  }
  return place->second;
}

json object_of(const SafetensorsHeader& header, const char* key, std::string_view what) {
  const std::string where = std::string(what) + ": " + key;
  json object = parse_strict_json(metadata_of(header, key, what), where, 2);
  if (!object.is_object()) throw_damaged(where, "is no object");
  return object;
}

Piece piece_of(const TensorEntry& tensor, const json& ranges, std::string_view what) {
  const std::vector<std::int64_t> range = integers_member(ranges, tensor.name.c_str(), what);
  std::int64_t end = 0;
  if (range.size() != 2 || range[1] < 1 || __builtin_add_overflow(range[0], range[1], &end)) {
    throw_damaged(what, tensor.name + " has no range of elements");
  }
  if (tensor.shape.size() != 1 || tensor.shape[0] != range[1]) {
    throw_damaged(what, tensor.name + " has another shape than its range");
  }
  return {.name = tensor.name, .dtype = tensor.dtype, .first = range[0], .count = range[1]};
}

std::vector<std::uint64_t> checksums_of(const SafetensorsHeader& header, std::string_view what) {
  const std::string_view text = metadata_of(header, kChecksumsKey, what);
  std::vector<std::uint64_t> checksums;
  if (text.size() != blocks_of(header.data_bytes) * kChecksumDigits) {
    throw_damaged(what, "its checksums are not one for each block of its data");
  }
  checksums.reserve(text.size() / kChecksumDigits);
  for (std::size_t at = 0; at < text.size(); at += kChecksumDigits) {
    const auto checksum = parse_hex64(text.substr(at, kChecksumDigits));
    if (!checksum) throw_damaged(what, "its checksums are not hex digits");
    checksums.push_back(*checksum);
  }
  return checksums;
}

}  // namespace

std::string encode_shard_header(const ShardDescription& shard) {
  std::vector<TensorEntry> tensors;
  // Not as a tree: see the manifest's tensors.
  std::string ranges = "{";
  tensors.reserve(shard.pieces.size());
  for (const Piece& piece : shard.pieces) {
    if (piece.first < 0 || piece.count < 1) {
      throw Error(ErrorCode::kInternal, "a shard's piece of " + piece.name + " is no range");
    }
    if (ranges.size() > 1) ranges += ',';
    append_string(ranges, piece.name);
    ranges += ':';
    append_integers(ranges, std::array{piece.first, piece.count});
    TensorEntry& tensor = tensors.emplace_back();
    tensor.name = piece.name;
    tensor.dtype = piece.dtype;
    tensor.shape = {piece.count};
  }
  std::string checksums;
  checksums.reserve(shard.checksums.size() * kChecksumDigits);
  for (const std::uint64_t checksum : shard.checksums)
    checksums += hex64(checksum);
  const json identity = {{"attempt", shard.attempt},
                         {"iteration", shard.iteration},
                         {"index", shard.index},
                         {"count", shard.count}};
  std::string text = encode_safetensors_header(tensors, {{kShardKey, dump_json(identity)},
                                                         {kPiecesKey, std::move(ranges) + '}'},
                                                         {kChecksumsKey, std::move(checksums)}});
  if (shard.checksums.size() != blocks_of(tensors.empty() ? 0 : tensors.back().end)) {
    throw Error(ErrorCode::kInternal, "a shard's checksums are not one for each block");
  }
  return text;
}

void set_checksums(std::string& header, std::span<const std::uint64_t> checksums) {
  // Inside a JSON text a quote would be escaped: only the key itself looks so.
  const std::string before = std::string("\"") + kChecksumsKey + "\":\"";
  auto at = header.find(before);
  const auto end = at == std::string::npos ? at : header.find('"', at + before.size());
  if (end == std::string::npos || end - at != before.size() + checksums.size() * kChecksumDigits)
    throw Error(ErrorCode::kInternal, "a shard's header has no room for its checksums");
  at += before.size();
  for (const std::uint64_t checksum : checksums) {
    header.replace(at, kChecksumDigits, hex64(checksum));
    at += kChecksumDigits;
  }
}

ShardDescription describe_shard(const SafetensorsHeader& header, std::string_view what) {
  const json identity = object_of(header, kShardKey, what);
  ShardDescription shard;
  shard.attempt = integer_member(identity, "attempt", what);
  shard.iteration = integer_member(identity, "iteration", what);
  shard.index = integer_member(identity, "index", what);
  shard.count = integer_member(identity, "count", what);
  if (shard.attempt < 1 || shard.index >= shard.count) {
    throw_damaged(what, "names an attempt or index that can't be");
  }
  const json ranges = object_of(header, kPiecesKey, what);
  if (ranges.size() != header.tensors.size()) {
    throw_damaged(what, "its pieces are not one for each tensor");
  }
  shard.pieces.reserve(header.tensors.size());
  for (const TensorEntry& tensor : header.tensors) {
    shard.pieces.push_back(piece_of(tensor, ranges, what));
  }
  shard.checksums = checksums_of(header, what);
  return shard;
}

}  // namespace lockstep
