#include "worker/shard_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/names.h"
#include "common/pages.h"
#include "common/parallel.h"
#include "worker/finite.h"

namespace lockstep {

namespace {

constexpr std::size_t kDigestBytes = 32;

// A rank's own bytes of a section.
struct Part {
  Dtype dtype;
  std::span<const std::byte> bytes;
  std::uint64_t begin;  // in the shard's data
};

struct Parts {
  std::vector<Part> all;
  std::uint64_t bytes = 0;
};

Parts own_parts(const StateView& state, Share rank) {
  Parts parts;
  for (const auto& section : state.sections) {
    const auto bytes = own_bytes(section, rank);
    parts.all.push_back({section.dtype, bytes, parts.bytes});
    parts.bytes += bytes.size();
  }
  return parts;
}

struct Block {
  std::uint64_t checksum = 0;
  bool finite = true;
};

// Copies a block of the shard's data to `into`, and looks at each stretch while it is in the cache:
// one pass over the state.
Block copy_block(const Parts& parts, std::uint64_t begin, std::span<std::byte> into) {
  constexpr std::uint64_t kStretch = std::uint64_t{256} << 10;
  Block block;
  Checksum checksum;
  const auto end = begin + into.size();
  for (const auto& part : parts.all) {
    const auto last = std::min(end, part.begin + part.bytes.size());
    for (auto at = std::max(begin, part.begin); at < last;) {
      const auto take = std::min(last - at, kStretch);
      const auto from = at - part.begin;  // in the part
      const auto copy = into.subspan(at - begin, take);
      std::memcpy(copy.data(), &part.bytes[from], take);
      checksum.add(copy);
      // A stretch may end inside an element, which is then looked at with the next one.
      const std::uint64_t width = bytes_of(part.dtype);
      const auto first = from / width * width;
      const auto whole = part.bytes.subspan(first, (from + take) / width * width - first);
      block.finite = block.finite && all_finite(part.dtype, whole);
      at += take;
    }
  }
  block.checksum = checksum.value();
  return block;
}

void require_time(const std::function<bool()>& time_is_over) {
  if (time_is_over && time_is_over()) throw Error(ErrorCode::kIo, "no time is left to write it");
}

// A shard's file: its data first, several blocks in flight, and then the header, which holds their
// checksums. Its size is known before.
class ShardFileWriter {
 public:
  ShardFileWriter(ShardDescription shard, Parts parts, const std::function<bool()>& time_is_over)
      : shard_(std::move(shard)), parts_(std::move(parts)), time_is_over_(time_is_over) {
    shard_.checksums.resize((parts_.bytes + kChecksumBlockBytes - 1) / kChecksumBlockBytes);
    blocks_.resize(shard_.checksums.size());
    data_begin_ = encode_shard_header(shard_).size();
  }

  ShardReceipt write(FileSystem& files, const std::string& path) {
    try {
      return write_once(files, path);
    } catch (const Error&) {
      if (!fsync_failed_) throw;
    }
    files.unlink(path);
    return write_once(files, path);
  }

 private:
  ShardReceipt write_once(FileSystem& files, const std::string& path) {
    const auto at_work = files.at_work();
    const auto file = files.create(path);
    file->reserve(data_begin_ + parts_.bytes);
    const auto threads = blocks_in_flight(files);
    std::vector<Pages> copies(std::min(threads, blocks_.size()));
    for (auto& copy : copies)
      copy = Pages(std::min(parts_.bytes, kChecksumBlockBytes));
    for_each_index(blocks_.size(), threads, [&](std::size_t i, std::size_t thread) {
      require_time(time_is_over_);
      const auto begin = i * kChecksumBlockBytes;
      const auto copy =
          copies[thread].all().first(std::min(kChecksumBlockBytes, parts_.bytes - begin));
      blocks_[i] = copy_block(parts_, begin, copy);
      file->write_at(data_begin_ + begin, copy);
    });
    auto receipt = write_header(*file);
    require_time(time_is_over_);
    fsync_failed_ = true;
    file->finish();
    fsync_failed_ = false;
    return receipt;
  }

  ShardReceipt write_header(WritableFile& file) {
    bool finite = true;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      shard_.checksums[i] = blocks_[i].checksum;
      finite = finite && blocks_[i].finite;
    }
    const auto header = encode_shard_header(shard_);
    if (header.size() != data_begin_)
      throw Error(ErrorCode::kInternal, "a shard's header has grown with its checksums");
    file.write_at(0, std::as_bytes(std::span(header)));
    return {data_begin_ + parts_.bytes, digest128(header), finite};
  }

  ShardDescription shard_;
  Parts parts_;
  const std::function<bool()>& time_is_over_;
  std::vector<Block> blocks_;  // each written by one thread
  std::uint64_t data_begin_ = 0;
  bool fsync_failed_ = false;
};

}  // namespace

ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         const StateView& state, Share rank,
                         const std::function<bool()>& time_is_over) {
  ShardDescription shard;
  shard.attempt = manifest.checkpoint.attempt;
  shard.iteration = manifest.checkpoint.iteration;
  shard.index = rank.index;
  shard.count = rank.count;
  shard.pieces = expected_pieces(manifest, rank.index);
  return ShardFileWriter(std::move(shard), own_parts(state, rank), time_is_over)
      .write(files, folder + "/" + shard_file({rank.index, rank.count}));
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
