// The save. No rank waits for one that has failed:
//   1. rank 0 begins: makes the .partial folder; what all ranks must have alike goes to all;
//   2. each rank compares that with its own, writes its shard and fsyncs it; all agree;
//   3. each rank's receipt, less than 64 bytes, goes to rank 0;
//   4. rank 0 completes the manifest and commits; its result is every rank's result.
// Where 1, 2 or 4 fails, it has failed on all ranks alike, and rank 0 drops the .partial.
// Beside training the ranks' work in 1, 2 and 4 is done by threads, and the collectives follow when
// all have said, by the tick, that they are through.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/agree.h"
#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "common/reach.h"
#include "worker/checkpoint.h"
#include "worker/common_ground.h"
#include "worker/own_work.h"
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

// What the ranks' receipts tell, into the manifest.
void complete(Manifest& manifest, std::span<const std::byte> records) {
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
}

class Save final : public PendingSave {
 public:
  Save(const Comm& comm, FileSystem& files, std::string store, const Manifest& manifest,
       const StateView& state, CommitSteps steps, std::optional<Beside> beside)
      : comm_(comm),
        files_(files),
        store_(std::move(store)),
        described_(manifest),
        state_(state),
        steps_(std::move(steps)),
        beside_(beside) {
    LOCKSTEP_FAIL_POINT("save begun");
    contents_ = compared_contents(state_);
    if (comm_.is_root()) beginning_ = start_work(is_beside(), [this] { return begin(); });
    if (beside_) try {
        take_snapshot();
      } catch (...) {
        failed_ = true;
        no_snapshot_ = std::current_exception();
      }
  }
  ~Save() override { others_failed_ = true; }
  Save(const Save&) = delete;
  Save& operator=(const Save&) = delete;

  void await_snapshot() override {
    if (snapshot_) snapshot_->await();
  }
  bool under_way() const override {
    return is_under_way(beginning_) || is_under_way(writing_) || is_under_way(committing_);
  }
  void rest() override {
    // The same work as long as no step of it is made.
    if (!under_way() || rested_at_ != steps_made_) resting_.reset();
    if (!under_way()) return;
    rested_at_ = steps_made_.load();
    if (!resting_) resting_ = files_.at_work();
    if (is_under_way(beginning_)) beginning_.wait_for(kWorkLook);
    if (is_under_way(writing_)) writing_.wait_for(kWorkLook);
    if (is_under_way(committing_)) committing_.wait_for(kWorkLook);
  }
  bool failed() const override { return failed_; }
  void give_up() override {
    // A rank that has failed itself has a cause to tell.
    if (!failed_) others_failed_ = true;
  }

  bool advance() override {
    resting_.reset();
    return or_dropped([&] {
      const auto stage = stage_;
      settle(stage);
      return stage == Stage::kCommitting;
    });
  }

  void finish(const std::function<bool()>& time_is_over) override {
    resting_.reset();
    if (time_is_over) time_is_over_ = &time_is_over;
    or_dropped([&] {
      while (stage_ != Stage::kCommitting)
        settle(stage_);
      settle(stage_);
    });
  }

 private:
  // What is being done, or is done and not yet settled by all.
  enum class Stage : std::uint8_t { kBeginning, kWriting, kCommitting };

  void settle(Stage stage) {
    switch (stage) {
      case Stage::kBeginning:
        return settle_begin();
      case Stage::kWriting:
        return settle_shards();
      case Stage::kCommitting:
        return settle_commit();
    }
  }

  void take_snapshot() {
    LOCKSTEP_FAIL_POINT("snapshot begun");
    ShardData data(state_, share());
    data.keep_what_forward_changes();
    const auto memory = beside_->arena.take(data.bytes());
    snapshot_.emplace(std::move(data), memory, beside_->copy_threads);
  }

  Share share() const { return {comm_.rank(), comm_.size()}; }

  bool is_beside() const { return beside_.has_value(); }

  // Local, on a thread beside training: notes that it has failed.
  template <typename Work>
  auto noting_failure(Work work) {
    try {
      return work();
    } catch (...) {
      failed_ = true;
      throw;
    }
  }

  std::string own_ground() const {
    return common_ground(described_.checkpoint, described_.data.position, state_, contents_);
  }

  // Rank 0.
  std::string begin() {
    return noting_failure([&] {
      auto ground = own_ground();
      steps_.begin(described_.checkpoint);
      return ground;
    });
  }

  ShardReceipt write(const std::string& ground) {
    return noting_failure([&] {
      if (no_snapshot_) std::rethrow_exception(no_snapshot_);
      require_common_ground(own_ground(), ground);
      describe_state(state_, comm_.size(), described_);
      const auto folder = partial_path(store_, described_.checkpoint);
      const auto ends = [this] { return is_over(); };
      auto receipt = in_reach(store_, [&] {
        return snapshot_ ? write_shard(files_, folder, described_, *snapshot_, share(), ends)
                         : write_shard(files_, folder, described_, state_, share(), ends);
      });
      LOCKSTEP_FAIL_POINT("own shard durable");
      return receipt;
    });
  }

  // Asked before each block.
  bool is_over() {
    ++steps_made_;
    const auto* time_is_over = time_is_over_.load();
    return others_failed_ || (time_is_over != nullptr && (*time_is_over)());
  }

  // Collective: rank 0's .partial, then all shards are begun.
  void settle_begin() {
    const auto ground = root_decides(comm_, "begin save", [&] {
      wait(beginning_);
      return beginning_.get();
    });
    stage_ = Stage::kWriting;
    writing_ = start_work(is_beside(), [this, ground] { return write(ground); });
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
    stage_ = Stage::kCommitting;
    if (!comm_.is_root()) return;
    committing_ = start_work(is_beside(), [this, records] {
      complete(described_, records);
      steps_.commit(described_);
    });
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

  template <typename Result>
  void wait(const std::future<Result>& work) {
    wait_at_work(files_, steps_made_, work);
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
  Manifest described_;  // by write(), and for rank 0's commit
  const StateView& state_;
  const CommitSteps steps_;
  const std::optional<Beside> beside_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> others_failed_ = false;
  std::atomic<const std::function<bool()>*> time_is_over_ = nullptr;
  std::atomic<std::uint64_t> steps_made_ = 0;
  std::shared_ptr<void> resting_;
  std::uint64_t rested_at_ = 0;
  Stage stage_ = Stage::kBeginning;
  std::string contents_;
  std::exception_ptr no_snapshot_;
  std::optional<Snapshot> snapshot_;
  // Last: their threads use what is above, and are gone first.
  std::future<std::string> beginning_;  // rank 0
  std::future<ShardReceipt> writing_;
  std::future<void> committing_;  // rank 0
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
