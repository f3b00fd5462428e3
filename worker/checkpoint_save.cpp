// The save. No rank waits for one that has failed:
//   1. rank 0 begins: makes the .partial folder, and sends what all ranks must have alike;
//   2. each rank compares that with its own, writes its shard and fsyncs it; all agree;
//   3. each rank's receipt, less than 64 bytes, goes to rank 0;
//   4. rank 0 completes the manifest and commits; its result is every rank's result.
// Where 1, 2 or 4 fails, it has failed on all ranks alike, and rank 0 drops the .partial.

#include <cstddef>
#include <utility>

#include "common/agree.h"
#include "common/error.h"
#include "common/names.h"
#include "worker/checkpoint.h"
#include "worker/common_ground.h"
#include "worker/shard_writer.h"
#include "worker/spread.h"

namespace lockstep {

namespace {

Manifest complete(Manifest manifest, std::span<const std::byte> records) {
  manifest.finite = true;
  manifest.shards.clear();
  for (std::int64_t i = 0; i < manifest.world_size; ++i) {
    const auto at = static_cast<std::size_t>(i) * kReceiptBytes;
    auto receipt = decode_receipt(records.subspan(at).first<kReceiptBytes>());
    manifest.finite = manifest.finite && receipt.finite;
    manifest.shards.push_back(
        {shard_file({i, manifest.world_size}), receipt.bytes, std::move(receipt.header_digest)});
  }
  return manifest;
}

// The first error is the one to tell; a .partial that stays behind is swept later.
void drop(const CommitSteps& steps, const CheckpointId& checkpoint) noexcept {
  try {
    steps.abandon(checkpoint);
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace

void save_checkpoint(const Comm& comm, FileSystem& files, const std::string& store,
                     const Manifest& manifest, const StateView& state, const CommitSteps& steps,
                     const std::function<bool()>& time_is_over) {
  const auto& checkpoint = manifest.checkpoint;
  auto described = manifest;
  try {
    const auto ground = root_decides(comm, "begin save", [&] {
      auto mine = common_ground(checkpoint, state);
      steps.begin(checkpoint);
      return mine;
    });
    const auto record = agree(comm, "write shards", [&] {
      require_common_ground(common_ground(checkpoint, state), ground);
      describe_state(state, comm.size(), described);
      return encode_receipt(write_shard(files, partial_path(store, checkpoint), described, state,
                                        {comm.rank(), comm.size()}, time_is_over));
    });
    const auto records = gather_records(comm, record);
    root_decides(comm, "commit", [&] {
      steps.commit(complete(std::move(described), records));
      return std::string();
    });
  } catch (const AgreedError&) {
    if (comm.is_root()) drop(steps, checkpoint);
    throw;
  }
}

}  // namespace lockstep
