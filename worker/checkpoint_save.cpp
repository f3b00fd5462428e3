// The save. No rank waits for one that has failed:
//   1. rank 0 begins: makes the .partial folder, and sends what all ranks must have alike;
//   2. each rank compares that with its own, writes its shard and fsyncs it; all agree;
//   3. each rank's receipt, less than 64 bytes, goes to rank 0;
//   4. rank 0 completes the manifest and commits; its result is every rank's result.
// Where 1, 2 or 4 fails, it has failed on all ranks alike, and rank 0 drops the .partial.
// Beside training the ranks' work in 2 and 4 is done by threads, and the collectives follow when
// all have said, by the tick, that they are through.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "common/agree.h"
#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "worker/checkpoint.h"
#include "worker/common_ground.h"
#include "worker/shard_data.h"
#include "worker/shard_writer.h"
#include "worker/snapshot.h"
#include "worker/spread.h"

namespace lockstep {

namespace {

std::string engine_text(bool direct, bool buffered) {
  if (!direct) return "buffered";
  return buffered ? "pwrite-dio, buffered" : "pwrite-dio";
}

Manifest complete(Manifest manifest, std::span<const std::byte> records) {
  manifest.finite = true;
  manifest.shards.clear();
  bool direct = false;
  bool buffered = false;
  for (std::int64_t i = 0; i < manifest.world_size; ++i) {
    const auto at = static_cast<std::size_t>(i) * kReceiptBytes;
    auto receipt = decode_receipt(records.subspan(at).first<kReceiptBytes>());
    manifest.finite = manifest.finite && receipt.finite;
    (receipt.direct ? direct : buffered) = true;
    manifest.shards.push_back(
        {shard_file({i, manifest.world_size}), receipt.bytes, std::move(receipt.header_digest)});
  }
  manifest.engine = engine_text(direct, buffered);
  return manifest;
}

// Work of this rank's own, on a thread or, where none is asked for or can be had, in get().
template <typename Work>
auto start(bool on_thread, Work work) {
  if (on_thread) try {
      return std::async(std::launch::async, work);
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
      // A limit on threads fails no save.
    }
  return std::async(std::launch::deferred, work);
}

template <typename Result>
bool is_under_way(const std::future<Result>& work) {
  return work.valid() && work.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
}

class Save final : public PendingSave {
 public:
  Save(const Comm& comm, FileSystem& files, std::string store, const Manifest& manifest,
       StateView state, CommitSteps steps, std::optional<Beside> beside)
      : comm_(comm),
        files_(files),
        store_(std::move(store)),
        described_(manifest),
        state_(std::move(state)),
        steps_(std::move(steps)),
        beside_(beside) {
    LOCKSTEP_FAIL_POINT("save begun");
    const auto mine = common_ground(manifest.checkpoint, state_);
    const auto ground = or_dropped([&] {
      return root_decides(comm_, "begin save", [&] {
        steps_.begin(described_.checkpoint);
        return mine;
      });
    });
    try {
      if (beside_) take_snapshot();
      writing_ = start(beside_.has_value(), [this, mine, ground] { return write(mine, ground); });
    } catch (...) {
      // Told when all ranks meet.
      failed_ = true;
      writing_ = start(false, [failure = std::current_exception()]() -> ShardReceipt {
        std::rethrow_exception(failure);
      });
    }
  }
  ~Save() override { others_failed_ = true; }
  Save(const Save&) = delete;
  Save& operator=(const Save&) = delete;

  void await_snapshot() override {
    if (snapshot_) snapshot_->await();
  }
  bool under_way() const override { return is_under_way(writing_) || is_under_way(committing_); }
  bool failed() const override { return failed_; }
  void give_up() override {
    // A rank that has failed itself has a cause to tell.
    if (!failed_) others_failed_ = true;
  }

  bool advance() override {
    return or_dropped([&] {
      if (committing_begun_) {
        settle_commit();
        return true;
      }
      settle_shards();
      return false;
    });
  }

  void finish(const std::function<bool()>& time_is_over) override {
    if (time_is_over) time_is_over_ = &time_is_over;
    or_dropped([&] {
      if (!committing_begun_) settle_shards();
      settle_commit();
    });
  }

 private:
  void take_snapshot() {
    LOCKSTEP_FAIL_POINT("snapshot begun");
    ShardData data(state_, share());
    data.keep_what_forward_changes();
    const auto memory = beside_->arena.take(data.bytes());
    snapshot_.emplace(std::move(data), memory, beside_->copy_threads);
  }

  Share share() const { return {comm_.rank(), comm_.size()}; }

  // Local, on a thread beside training.
  ShardReceipt write(const std::string& mine, const std::string& ground) {
    try {
      require_common_ground(mine, ground);
      describe_state(state_, comm_.size(), described_);
      const auto folder = partial_path(store_, described_.checkpoint);
      const auto ends = [this] { return is_over(); };
      auto receipt = snapshot_ ? write_shard(files_, folder, described_, *snapshot_, share(), ends)
                               : write_shard(files_, folder, described_, state_, share(), ends);
      LOCKSTEP_FAIL_POINT("own shard durable");
      return receipt;
    } catch (...) {
      failed_ = true;
      throw;
    }
  }

  // Asked before each block.
  bool is_over() {
    ++steps_made_;
    const auto* time_is_over = time_is_over_.load();
    return others_failed_ || (time_is_over != nullptr && (*time_is_over)());
  }

  // Collective: all ranks' shards, then rank 0's commit is begun.
  void settle_shards() {
    const auto record = agree(comm_, "write shards", [&] {
      wait(writing_);
      try {
        return encode_receipt(writing_.get());
      } catch (const Error&) {
        // Not the cause: that is the rank's for which this one gave up.
        if (!others_failed_) throw;
        return ReceiptRecord{};
      }
    });
    LOCKSTEP_FAIL_POINT("all shards durable");
    const auto records = gather_records(comm_, record);
    LOCKSTEP_FAIL_POINT("receipts gathered");
    committing_begun_ = true;
    if (!comm_.is_root()) return;
    committing_ = start(beside_.has_value(),
                        [this, records] { steps_.commit(complete(described_, records)); });
  }

  // Collective.
  void settle_commit() {
    root_decides(comm_, "commit", [&] {
      wait(committing_);
      committing_.get();
      return std::string();
    });
    LOCKSTEP_FAIL_POINT("commit agreed");
  }

  // Counts as this rank's own work, and each block as a step of it.
  template <typename Result>
  void wait(const std::future<Result>& work) {
    constexpr auto kLook = std::chrono::milliseconds(20);
    while (is_under_way(work)) {
      const auto at_work = files_.at_work();
      const auto made = steps_made_.load();
      while (made == steps_made_ && work.wait_for(kLook) == std::future_status::timeout) {
      }
    }
  }

  // Collective step: where it throws, rank 0 drops the .partial. The first error is the one to
  // tell; a .partial that stays behind is swept later.
  template <typename Step>
  std::invoke_result_t<Step> or_dropped(Step step) {
    try {
      return step();
    } catch (const AgreedError&) {
      if (comm_.is_root()) try {
          LOCKSTEP_FAIL_POINT("abandon begun");
          steps_.abandon(described_.checkpoint);
          LOCKSTEP_FAIL_POINT("abandoned");
        } catch (...) {  // NOLINT(bugprone-empty-catch)
        }
      throw;
    }
  }

  const Comm& comm_;
  FileSystem& files_;
  const std::string store_;
  Manifest described_;  // by write()
  StateView state_;
  const CommitSteps steps_;
  const std::optional<Beside> beside_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> others_failed_ = false;
  std::atomic<const std::function<bool()>*> time_is_over_ = nullptr;
  std::atomic<std::uint64_t> steps_made_ = 0;
  bool committing_begun_ = false;
  std::optional<Snapshot> snapshot_;
  // Last: their threads use what is above, and are gone first.
  std::future<ShardReceipt> writing_;
  std::future<void> committing_;
};

}  // namespace

std::unique_ptr<PendingSave> begin_save(const Comm& comm, FileSystem& files,
                                        const std::string& store, const Manifest& manifest,
                                        const StateView& state, const CommitSteps& steps,
                                        std::optional<Beside> beside) {
  return std::make_unique<Save>(comm, files, store, manifest, state, steps, beside);
}

void save_checkpoint(const Comm& comm, FileSystem& files, const std::string& store,
                     const Manifest& manifest, const StateView& state, const CommitSteps& steps,
                     const std::function<bool()>& time_is_over) {
  begin_save(comm, files, store, manifest, state, steps, {})->finish(time_is_over);
}

}  // namespace lockstep
