#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/attempt_records.h"
#include "common/decision.h"
#include "common/digest.h"
#include "common/file_system.h"
#include "common/manifest.h"
#include "coordinator/attempt.h"
#include "coordinator/commit.h"

namespace lockstep::testing {

// A real store in a real folder, removed at the end. Its attempts and checkpoints are made by the
// product's own writers.
class StoreOnDisk {
 public:
  explicit StoreOnDisk(const std::string& name)
      : folder_(std::filesystem::temp_directory_path() /
                ("lockstep-" + name + "-" + random_hex(8))),
        files_(make_posix_file_system()) {
    std::filesystem::create_directory(folder_);
    store_ = folder_ / "store";
  }
  ~StoreOnDisk() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  StoreOnDisk(const StoreOnDisk&) = delete;
  StoreOnDisk& operator=(const StoreOnDisk&) = delete;

  const std::string& path() const { return store_; }
  FileSystem& files() { return *files_; }

  static Claim claim_of(const std::string& run) {
    Claim claim;
    claim.run = run;
    claim.request = "{}";
    claim.config = canonical_json(Config{});
    claim.process.host = "elsewhere";
    claim.process.boot_id = "another";
    claim.world_size = 2;
    claim.hosts = {"elsewhere"};
    claim.heartbeat_seconds = 1;
    claim.nonce = random_hex(32);
    return claim;
  }

  // An attempt that has decided; its number.
  std::int64_t attempt(const std::string& run, std::optional<CheckpointId> parent = {},
                       std::optional<OutcomeKind> outcome = OutcomeKind::kFinished,
                       const std::optional<ProcessId>& process = {}) {
    auto claim = claim_of(run);
    if (process) claim.process = *process;
    claim.store_id = make_store(*files_, store_);
    const auto number = ++attempts_;
    claim_attempt(*files_, store_, number, claim);
    DecisionRecord record;
    record.kind = parent ? DecisionKind::kRestore : DecisionKind::kFresh;
    record.attempt = number;
    if (parent) record.parent = Parent{*parent, std::nullopt};
    record.run = run;
    write_decision(*files_, store_, number, record);
    if (outcome) write_outcome(*files_, store_, number, {*outcome, 0, {}, {}, {}});
    parents_[number] = parent;
    return number;
  }

  // A committed checkpoint of `shards` shards with one tensor of ten floats.
  void checkpoint(const CheckpointId& id, std::int64_t shards = 2, bool finite = true,
                  std::map<std::string, double> metrics = {}) {
    begin_commit(*files_, store_, id);
    auto manifest = write_shards(id, shards, finite);
    manifest.metrics = std::move(metrics);
    commit(*files_, store_, manifest);
  }

  // The shards in the .partial folder, and the manifest that names them.
  Manifest write_shards(const CheckpointId& id, std::int64_t shards, bool finite = true) {
    Manifest manifest;
    manifest.checkpoint = id;
    manifest.world_size = shards;
    manifest.finite = finite;
    manifest.tensors = {{"model.weight", Dtype::kF32, {2, 5}}};
    manifest.partition = {{1, 10}};
    if (const auto parent = parents_[id.attempt]) manifest.parent = Parent{*parent, std::nullopt};
    manifest.data = {id.iteration * 10, 100, "data"};
    manifest.config = "{}";
    manifest.run = "run";
    manifest.created = "2026-01-02T03:04:05Z";
    for (std::int64_t i = 0; i < shards; ++i)
      manifest.shards.push_back({shard_file({i, shards}), 0, std::string(32, '0')});
    for (std::int64_t i = 0; i < shards; ++i)
      manifest.shards[static_cast<std::size_t>(i)] = write_shard(manifest, i);
    return manifest;
  }

  std::string shard_path(const CheckpointId& id, std::int64_t index, std::int64_t count = 2) const {
    return checkpoint_path(store_, id) + "/" + shard_file({index, count});
  }

  // The store as it is now, for as many tries as a test needs: copying costs less than making.
  void keep() { std::filesystem::copy(store_, folder_ / "kept", kRecursive); }
  void bring_back_kept() {
    std::filesystem::remove_all(store_);
    std::filesystem::copy(folder_ / "kept", store_, kRecursive);
  }

  // Every file's content by its path below the store.
  std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> all;
    if (!std::filesystem::exists(store_)) return all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store_))
      if (entry.is_regular_file())
        all[std::filesystem::relative(entry.path(), store_)] =
            read_small_file(*files_, entry.path());
    return all;
  }

 private:
  ShardInfo write_shard(const Manifest& manifest, std::int64_t index) {
    const auto pieces = expected_pieces(manifest, index);
    std::vector<float> data;
    for (const auto& piece : pieces)
      for (std::int64_t i = 0; i < piece.count; ++i)
        data.push_back(static_cast<float>(piece.first + i + manifest.checkpoint.iteration));
    const auto bytes = std::as_bytes(std::span(data));
    ShardDescription shard{manifest.checkpoint.attempt,
                           manifest.checkpoint.iteration,
                           index,
                           manifest.world_size,
                           pieces,
                           {checksum64(bytes)}};
    const auto head = encode_shard_header(shard);
    const auto file = files_->create(partial_path(store_, manifest.checkpoint) + "/" +
                                     shard_file({index, manifest.world_size}));
    file->append(std::as_bytes(std::span(head)));
    file->append(bytes);
    file->finish();
    return {shard_file({index, manifest.world_size}), head.size() + bytes.size(), digest128(head)};
  }

  static constexpr auto kRecursive = std::filesystem::copy_options::recursive;

  std::filesystem::path folder_;
  std::string store_;
  std::unique_ptr<FileSystem> files_;
  std::int64_t attempts_ = 0;
  std::map<std::int64_t, std::optional<CheckpointId>> parents_;
};

}  // namespace lockstep::testing
