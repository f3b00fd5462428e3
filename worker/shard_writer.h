#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "common/file_system.h"
#include "common/manifest.h"
#include "common/partition.h"
#include "worker/snapshot.h"
#include "worker/state.h"

namespace lockstep {

// What rank 0 must know of a shard to list it in the manifest.
struct ShardReceipt {
  std::uint64_t bytes = 0;    // the file's size
  std::string header_digest;  // SafetensorsHeader::digest
  bool finite = true;         // neither NaN nor Inf in this rank's bytes
  bool direct = false;        // written past the page cache
};

// Local: writes this rank's own bytes of `state` as its shard into `folder`, and fsyncs it.
//
// `manifest` must be what describe_state makes of `state`. A rank that owns nothing writes a shard
// without entries. The bytes must not change meanwhile; each is read once.
// A failed fsync has the file written anew, once, under a new handle. Throws Error(kIo), also where
// `time_is_over`, asked before each block of 4 MiB and before the fsync, by any thread, says so.
// Cost: four blocks of memory.
ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         const StateView& state, Share rank,
                         const std::function<bool()>& time_is_over = {});
// The same of what a snapshot copies, when it is whole. Cost: no memory.
ShardReceipt write_shard(FileSystem& files, const std::string& folder, const Manifest& manifest,
                         Snapshot& snapshot, Share rank,
                         const std::function<bool()>& time_is_over = {});

// Pure: a receipt as it travels to rank 0, and back.
constexpr std::size_t kReceiptBytes = 48;
using ReceiptRecord = std::array<std::byte, kReceiptBytes>;
ReceiptRecord encode_receipt(const ShardReceipt& receipt);
ShardReceipt decode_receipt(std::span<const std::byte, kReceiptBytes> record);

}  // namespace lockstep
