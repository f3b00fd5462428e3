#include "worker/weights_reader.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/error.h"
#include "common/parallel.h"
#include "common/retries.h"
#include "common/safetensors.h"
#include "worker/finite.h"

namespace lockstep {

namespace {

using Names = std::set<std::string_view>;

std::string prefixed(const std::string& name, const Names& model) {
  const auto buffer = "buffer." + name;
  return model.contains(buffer) ? buffer : "model." + name;
}

// A piece of a file and where it goes.
struct FileRange {
  std::uint64_t from = 0;  // from the start of the file
  std::uint64_t to = 0;    // from the start of the staging buffer
  std::uint64_t bytes = 0;
};

constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20;

using RangesByFile = std::map<std::size_t, std::vector<FileRange>>;

RangesByFile ranges_of(const Weights& weights, std::span<const Piece> wanted,
                       std::uint64_t& total) {
  std::unordered_map<std::string_view, const WeightTensor*> by_name;
  for (const auto& one : weights.tensors)
    by_name[one.tensor.name] = &one;
  RangesByFile ranges;
  for (const auto& piece : wanted) {
    const auto found = by_name.find(piece.name);
    if (found == by_name.end() || found->second->tensor.dtype != piece.dtype ||
        piece.first + piece.count > elements(found->second->tensor))
      throw Error(ErrorCode::kMismatch, "the weights have no such piece of " + piece.name);
    const auto width = bytes_of(piece.dtype);
    const auto bytes = static_cast<std::uint64_t>(piece.count) * width;
    const auto from = found->second->begin + static_cast<std::uint64_t>(piece.first) * width;
    ranges[found->second->file].push_back({from, total, bytes});
    total += bytes;
  }
  return ranges;
}

void read_file(const FileSystem& files, const WeightFile& expected,
               const std::vector<FileRange>& ranges, std::span<std::byte> staging) {
  std::unique_ptr<ReadableFile> file;
  try {
    file = files.open(expected.path);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kNotFound) throw Error(ErrorCode::kDamaged, e.what());
    throw;
  }
  const auto header = read_safetensors_header(*file, expected.path);
  if (file->size() != expected.bytes || header.digest != expected.header_digest)
    throw Error(ErrorCode::kDamaged, expected.path + " is another file than when it was decided");
  const auto at_work = files.at_work();
  // Several in flight, as of a shard.
  std::vector<FileRange> pieces;
  for (auto range : ranges)
    while (range.bytes > 0) {
      const auto bytes = std::min(range.bytes, kPieceBytes);
      pieces.push_back({range.from, range.to, bytes});
      range = {range.from + bytes, range.to + bytes, range.bytes - bytes};
    }
  for_each_index(pieces.size(), blocks_in_flight(files), [&](std::size_t i) {
    file->read_at(pieces[i].from, staging.subspan(pieces[i].to, pieces[i].bytes));
  });
}

// Training would stop at its first iteration, and not say why. A buffer may hold Inf: a mask does.
void require_finite(const Weights& weights, std::span<const Piece> pieces,
                    std::span<const std::byte> staging) {
  for (const auto& piece : pieces) {
    const auto bytes = static_cast<std::uint64_t>(piece.count) * bytes_of(piece.dtype);
    if (piece.name.starts_with("model.") && !all_finite(piece.dtype, staging.first(bytes)))
      throw Error(ErrorCode::kMismatch, weights.files.front().path + ": " + piece.name +
                                            " holds NaN or Inf: such weights are never loaded");
    staging = staging.subspan(bytes);
  }
}

}  // namespace

Weights named_as_in_model(const Weights& weights, std::span<const TensorInfo> model) {
  Names names;
  for (const auto& tensor : model)
    names.insert(tensor.name);
  std::int64_t as_they_are = 0;
  std::int64_t with_prefix = 0;
  for (const auto& [tensor, file, begin] : weights.tensors) {
    as_they_are += names.contains(tensor.name) ? 1 : 0;
    with_prefix += names.contains(prefixed(tensor.name, names)) ? 1 : 0;
  }
  Weights named = weights;
  if (with_prefix > as_they_are) {
    for (auto& one : named.tensors)
      one.tensor.name = prefixed(one.tensor.name, names);
  }
  return named;
}

std::span<const std::byte> read_weights(const FileSystem& files, const Weights& weights,
                                        std::span<const Piece> wanted, Arena& staging) {
  std::uint64_t total = 0;
  const auto ranges = ranges_of(weights, wanted, total);
  const auto bytes = staging.take(total);
  for (const auto& [index, ranges_here] : ranges) {
    const auto& file = weights.files.at(index);
    const auto& wanted_here = ranges_here;
    with_retries([&] { read_file(files, file, wanted_here, bytes); });
  }
  require_finite(weights, wanted, bytes);
  return bytes;
}

}  // namespace lockstep
