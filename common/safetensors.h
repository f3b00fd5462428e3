#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace lockstep {

// The safetensors format (Hugging Face): 8 bytes little-endian header length, a JSON header padded
// with spaces, then the data. Readers here are strict: see RELIABILITY's rules; every length,
// offset, overlap, hole, dtype, name and duplicate key is checked before use, and nothing is
// allocated that is larger than what the file holds.

enum class Dtype : std::uint8_t { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU8, kBool };
std::size_t bytes_of(Dtype dtype);
std::string to_text(Dtype dtype);          // "F32"
Dtype parse_dtype(std::string_view text);  // Error(kDamaged)

// 1 to 1024 bytes of UTF-8 without control characters (C0, DEL, C1).
bool is_plain_text(std::string_view text);
// Of those, without path separators; not "__metadata__".
bool is_tensor_name(std::string_view name);

// The product of a shape; nullopt where a dimension is negative, there are more than 64 of them or
// it passes 2^63 - 1.
std::optional<std::int64_t> elements_of(std::span<const std::int64_t> shape);

struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // bytes from the start of the data section
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;             // in the order of their data: no hole, no overlap
  std::map<std::string, std::string> metadata;  // "__metadata__"
  std::uint64_t data_begin = 0;                 // bytes from the start of the file
  std::uint64_t data_bytes = 0;
  std::string digest;  // digest128 of all bytes before data_begin: length, JSON and padding
};

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::uint64_t kDataAlignment = 4096;

// Pure: the bytes before the data. Entries lie one after the other in the order given (begin and
// end are filled in); the data section starts at a multiple of `alignment`. Error(kInternal) on a
// bad or repeated name.
std::string encode_safetensors_header(std::span<TensorEntry> tensors,
                                      const std::map<std::string, std::string>& metadata,
                                      std::uint64_t alignment = kDataAlignment);

// Local: reads and checks the header of a file. Error(kDamaged), text starts with `what`; kIo.
SafetensorsHeader read_safetensors_header(const ReadableFile& file, std::string_view what);

// Local: all bytes before the data, as they are: what SafetensorsHeader::digest is of. Only the
// length is checked; Error(kDamaged), kIo.
std::vector<std::byte> read_safetensors_head(const ReadableFile& file, std::string_view what);

// Pure: the same for a header in memory; file_bytes is the size of the whole file.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head,
                                           std::uint64_t file_bytes, std::string_view what);

// What a lockstep shard says of itself in its metadata, beside the plain format:
//   "lockstep.shard":     {"attempt","iteration","index","count"}           (JSON text)
//   "lockstep.pieces":    {"NAME": [first, count], ...}   the element range of each tensor held
//   here "lockstep.checksums": 16 hex digits for each 4 MiB block of the data section, in order;
//   the last
//                         block may be shorter
constexpr std::uint64_t kChecksumBlockBytes = std::uint64_t{4} << 20;

struct Piece {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::int64_t first = 0;  // elements of the whole tensor, flattened
  std::int64_t count = 0;  // > 0
};

struct ShardDescription {
  std::int64_t attempt = 0;
  std::int64_t iteration = 0;
  std::int64_t index = 0;
  std::int64_t count = 0;
  std::vector<Piece> pieces;             // in the order of their data
  std::vector<std::uint64_t> checksums;  // of each block of the data section
};

// Pure: the header bytes of a shard, and back. describe_shard: Error(kDamaged) on anything that is
// missing, of another shape, or does not fit the entries (each 1-D, count elements).
std::string encode_shard_header(const ShardDescription& shard);
// Pure: the same with other checksums, as many: known only when the data has been seen, whose place
// depends on the header's size. Error(kInternal) where it is no such header.
void set_checksums(std::string& header, std::span<const std::uint64_t> checksums);
ShardDescription describe_shard(const SafetensorsHeader& header, std::string_view what);

}  // namespace lockstep
