#include "worker/shard_writer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/names.h"
#include "worker/finite.h"

namespace lockstep {

namespace {

constexpr std::size_t kDigestBytes = 32;

struct Part {
  Dtype dtype;
  std::span<const std::byte> bytes;
};

struct Contents {
  std::vector<std::uint64_t> checksums;  // of each block
  bool finite = true;
};

// One pass over the data: each stretch is looked at twice while it is in the cache.
Contents examine(std::span<const Part> parts) {
  Contents contents;
  Checksum block;
  std::uint64_t in_block = 0;
  for (const auto& part : parts) {
    const std::uint64_t width = bytes_of(part.dtype);
    for (std::uint64_t at = 0; at < part.bytes.size();) {
      const auto take = std::min(part.bytes.size() - at, kChecksumBlockBytes - in_block);
      block.add(part.bytes.subspan(at, take));
      // A block may end inside an element, which is then looked at with the next stretch.
      const auto first = at / width * width;
      const auto stretch = part.bytes.subspan(first, (at + take) / width * width - first);
      contents.finite = contents.finite && all_finite(part.dtype, stretch);
      at += take;
      in_block += take;
      if (in_block < kChecksumBlockBytes) continue;
      contents.checksums.push_back(block.value());
      block.reset();
      in_block = 0;
    }
  }
  if (in_block > 0) contents.checksums.push_back(block.value());
  return contents;
}

void require_time(const std::function<bool()>& time_is_over) {
  if (time_is_over && time_is_over()) throw Error(ErrorCode::kIo, "no time is left to write it");
}

void write_once(FileSystem& files, const std::string& path, const std::string& header,
                std::span<const Part> parts, const std::function<bool()>& time_is_over,
                bool& fsync_failed) {
  constexpr std::size_t kPiece = std::size_t{64} << 20;
  const auto file = files.create(path);
  file->append(std::as_bytes(std::span(header)));
  for (const auto& part : parts)
    for (auto left = part.bytes; !left.empty();
         left = left.subspan(std::min(left.size(), kPiece))) {
      require_time(time_is_over);
      file->append(left.first(std::min(left.size(), kPiece)));
    }
  require_time(time_is_over);
  fsync_failed = true;
  file->finish();
  fsync_failed = false;
}

void write_file(FileSystem& files, const std::string& path, const std::string& header,
                std::span<const Part> parts, const std::function<bool()>& time_is_over) {
  bool fsync_failed = false;
  try {
    write_once(files, path, header, parts, time_is_over, fsync_failed);
    return;
  } catch (const Error&) {
    if (!fsync_failed) throw;
  }
  files.unlink(path);
  write_once(files, path, header, parts, time_is_over, fsync_failed);
}

}  // namespace

ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         const StateView& state, Share rank,
                         const std::function<bool()>& time_is_over) {
  std::vector<Part> parts;
  for (const auto& section : state.sections)
    parts.push_back({section.dtype, own_bytes(section, rank)});
  std::uint64_t data_bytes = 0;
  for (const auto& part : parts)
    data_bytes += part.bytes.size();

  auto contents = examine(parts);
  ShardDescription shard;
  shard.attempt = manifest.checkpoint.attempt;
  shard.iteration = manifest.checkpoint.iteration;
  shard.index = rank.index;
  shard.count = rank.count;
  shard.pieces = expected_pieces(manifest, rank.index);
  shard.checksums = std::move(contents.checksums);
  const auto header = encode_shard_header(shard);

  write_file(files, folder + "/" + shard_file({rank.index, rank.count}), header, parts,
             time_is_over);
  return {header.size() + data_bytes, digest128(header), contents.finite};
}

ReceiptRecord encode_receipt(const ShardReceipt& receipt) {
  if (receipt.header_digest.size() != kDigestBytes)
    throw Error(ErrorCode::kInternal,
                "a digest of " + std::to_string(receipt.header_digest.size()) + " digits");
  ReceiptRecord record{};
  std::memcpy(record.data(), &receipt.bytes, sizeof receipt.bytes);
  std::memcpy(&record[8], receipt.header_digest.data(), kDigestBytes);
  record[8 + kDigestBytes] = receipt.finite ? std::byte{1} : std::byte{0};
  return record;
}

ShardReceipt decode_receipt(std::span<const std::byte, kReceiptBytes> record) {
  ShardReceipt receipt;
  std::memcpy(&receipt.bytes, record.data(), sizeof receipt.bytes);
  receipt.header_digest.resize(kDigestBytes);
  std::memcpy(receipt.header_digest.data(), &record[8], kDigestBytes);
  receipt.finite = record[8 + kDigestBytes] == std::byte{1};
  return receipt;
}

}  // namespace lockstep
