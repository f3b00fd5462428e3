#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

// Every name in a store is built and parsed here, nowhere else. Parsers are exact: what build does
// not make is foreign and gives nullopt (`+7`, ` 7`, `007`, trailing text, numbers over 2^63 - 1).

// A checkpoint: written 3@1200, folder 0003-0000001200.
struct CheckpointId {
  std::int64_t attempt = 0;    // from 1
  std::int64_t iteration = 0;  // completed optimizer steps, from 0

  friend auto operator<=>(const CheckpointId&, const CheckpointId&) = default;
};

std::string to_text(const CheckpointId& id);                             // "3@1200"
std::optional<CheckpointId> parse_checkpoint_id(std::string_view text);  // exactly "3@1200"

// Plain decimal, no sign, no leading zero, 0 to 2^63 - 1.
std::optional<std::int64_t> parse_number(std::string_view text);

std::string attempt_folder(std::int64_t attempt);  // "0003", at least four digits
std::optional<std::int64_t> parse_attempt_folder(std::string_view name);

std::string checkpoint_folder(const CheckpointId& id);  // "0003-0000001200"
std::optional<CheckpointId> parse_checkpoint_folder(std::string_view name);

std::string partial_folder(const CheckpointId& id);  // ".0003-0000001200.partial"
std::optional<CheckpointId> parse_partial_folder(std::string_view name);

// The trash of a deleter: ".trash-0007-<nonce>-0003-0000001200"; holds what the folder after it
// held. With ".partial" at its end it holds what never was a checkpoint, and never becomes one.
struct TrashName {
  std::int64_t deleter = 0;  // the attempt that deletes
  std::string nonce;         // lower-case hex, 8 to 32 digits
  CheckpointId checkpoint;
  bool partial = false;
};
std::string trash_folder(const TrashName& trash);
std::optional<TrashName> parse_trash_folder(std::string_view name);

struct ShardName {
  std::int64_t index = 0;  // from 0
  std::int64_t count = 0;
};
std::string shard_file(const ShardName& shard);  // "shard-00003-of-00008.safetensors"
std::optional<ShardName> parse_shard_file(std::string_view name);

// Paths below a store.
std::string store_file(const std::string& store);     // STORE/store.json
std::string attempts_path(const std::string& store);  // STORE/attempts
std::string attempt_path(const std::string& store, std::int64_t attempt);
std::string checkpoints_path(const std::string& store);  // STORE/checkpoints
std::string checkpoint_path(const std::string& store, const CheckpointId& id);
std::string partial_path(const std::string& store, const CheckpointId& id);
std::string pins_path(const std::string& store);  // STORE/pins

}  // namespace lockstep
