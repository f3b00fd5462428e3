#include "worker/shard_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "common/pages.h"
#include "common/parallel.h"
#include "worker/shard_data.h"

namespace lockstep {

namespace {

constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kFlags = 8 + kDigestBytes;  // in a record

void require_time(const std::function<bool()>& time_is_over) {
  if (time_is_over && time_is_over()) throw Error(ErrorCode::kIo, "no time is left to write it");
}

// Gives a block that is to be written; `thread` is the asking thread's number.
using BlockSource = std::function<Snapshot::Block(std::size_t index, std::size_t thread)>;

// A shard's file: its data first, several blocks in flight, and then the header, which holds their
// checksums. Its size is known before.
class ShardFileWriter {
 public:
  ShardFileWriter(ShardDescription shard, const ShardData& data, BlockSource source,
                  const std::function<bool()>& time_is_over)
      : data_(data), source_(std::move(source)), time_is_over_(time_is_over), seen_(data.blocks()) {
    shard.checksums.resize(data.blocks());
    header_ = encode_shard_header(shard);
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
    LOCKSTEP_FAIL_POINT("shard created");
    file->reserve(header_.size() + data_.bytes());
    LOCKSTEP_FAIL_POINT("shard reserved");
    for_each_index(data_.blocks(), blocks_in_flight(files), [&](std::size_t i, std::size_t thread) {
      require_time(time_is_over_);
      const auto block = source_(i, thread);
      seen_[i] = block.seen;
      file->write_at(header_.size() + data_.begin_of(i), block.bytes);
      if (i == 0) LOCKSTEP_FAIL_POINT("first block written");
      if (i > 0) LOCKSTEP_FAIL_POINT("later block written");
    });
    const auto receipt = write_header(*file);
    LOCKSTEP_FAIL_POINT("header written");
    require_time(time_is_over_);
    fsync_failed_ = true;
    LOCKSTEP_FAIL_POINT("shard complete");
    file->finish();
    fsync_failed_ = false;
    LOCKSTEP_FAIL_POINT("shard fsynced");
    return receipt;
  }

  ShardReceipt write_header(WritableFile& file) {
    std::vector<std::uint64_t> checksums;
    bool finite = true;
    for (const auto& seen : seen_) {
      checksums.push_back(seen.checksum);
      finite = finite && seen.finite;
    }
    set_checksums(header_, checksums);
    file.write_at(0, std::as_bytes(std::span(header_)));
    return {header_.size() + data_.bytes(), digest128(header_), finite, file.went_direct()};
  }

  const ShardData& data_;
  const BlockSource source_;
  const std::function<bool()>& time_is_over_;
  std::vector<ShardData::Seen> seen_;  // each written by one thread
  std::string header_;                 // without the checksums, until they are known
  bool fsync_failed_ = false;
};

ShardDescription shard_of(const Manifest& manifest, Share rank) {
  return {.attempt = manifest.checkpoint.attempt,
          .iteration = manifest.checkpoint.iteration,
          .index = rank.index,
          .count = rank.count,
          .pieces = expected_pieces(manifest, rank.index),
          .checksums = {}};
}

}  // namespace

ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         const StateView& state, Share rank,
                         const std::function<bool()>& time_is_over) {
  const ShardData data(state, rank);
  std::vector<Pages> copies(std::min(blocks_in_flight(files), data.blocks()));
  for (auto& copy : copies)
    copy = Pages(data.bytes_of(0));
  const auto copied = [&](std::size_t i, std::size_t thread) -> Snapshot::Block {
    const auto copy = copies[thread].all().first(data.bytes_of(i));
    return {copy, data.copy(i, copy)};
  };
  return ShardFileWriter(shard_of(manifest, rank), data, copied, time_is_over)
      .write(files, folder + "/" + shard_file({rank.index, rank.count}));
}

ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         Snapshot& snapshot, Share rank,
                         const std::function<bool()>& time_is_over) {
  // First all of it: training waits for the copy, and for nothing else. Threads that write, beside
  // it and on the same cores, made it take half as long again.
  snapshot.await();
  const auto copied = [&](std::size_t i, std::size_t) { return snapshot.block(i); };
  return ShardFileWriter(shard_of(manifest, rank), snapshot.data(), copied, time_is_over)
      .write(files, folder + "/" + shard_file({rank.index, rank.count}));
}

ReceiptRecord encode_receipt(const ShardReceipt& receipt) {
  if (receipt.header_digest.size() != kDigestBytes)
    throw Error(ErrorCode::kInternal,
                "a digest of " + std::to_string(receipt.header_digest.size()) + " digits");
  ReceiptRecord record{};
  std::memcpy(record.data(), &receipt.bytes, sizeof receipt.bytes);
  std::memcpy(&record[8], receipt.header_digest.data(), kDigestBytes);
  record[kFlags] = receipt.finite ? std::byte{1} : std::byte{0};
  record[kFlags + 1] = receipt.direct ? std::byte{1} : std::byte{0};
  return record;
}

ShardReceipt decode_receipt(std::span<const std::byte, kReceiptBytes> record) {
  ShardReceipt receipt;
  std::memcpy(&receipt.bytes, record.data(), sizeof receipt.bytes);
  receipt.header_digest.resize(kDigestBytes);
  std::memcpy(receipt.header_digest.data(), &record[8], kDigestBytes);
  receipt.finite = record[kFlags] == std::byte{1};
  receipt.direct = record[kFlags + 1] == std::byte{1};
  return receipt;
}

}  // namespace lockstep
