#include "coordinator/attempt.h"

#include <chrono>
#include <ctime>
#include <filesystem>

#include "common/error.h"
#include "common/names.h"
#include "common/retries.h"

namespace lockstep {

namespace {

std::string read_store_id(const FileSystem& files, const std::string& store) {
  const auto text = with_retries([&] { return read_small_file(files, store_file(store)); });
  return parse_store_record(text, "store.json").id;
}

// store.json is made by link of a temporary file: of two first launches one wins, and the other
// reads the winner's id.
std::string make_store_record(FileSystem& files, const std::string& store) {
  const StoreRecord record{1, random_hex(32)};
  const auto temporary = store + "/.store.json." + random_hex(16);
  const auto file = files.create(temporary);
  const auto text = encode(record);
  file->append(std::as_bytes(std::span(text)));
  file->finish();
  const bool won = files.link(temporary, store_file(store));
  files.unlink(temporary);
  files.sync_folder(store);
  if (won) return record.id;
  return read_store_id(files, store);
}

}  // namespace

namespace {

// The store's folder, durably there: who made it just now, or a moment ago, may have been killed
// before its fsync. One that was there may lie in a folder that can't be read: then it is as
// durable as its maker left it.
void make_store_folder(FileSystem& files, const std::string& store) {
  const auto parent = std::filesystem::path(store).parent_path().string();
  const bool there = files.info(store).has_value();
  if (!there && !files.info(parent))
    throw Error(ErrorCode::kNotFound, "the store's parent folder " + parent +
                                          " is not there: make it, or correct store:");
  if (!there) files.make_folder(store);
  try {
    files.sync_folder(parent);
  } catch (const Error&) {
    if (!there) throw;
  }
}

}  // namespace

void throw_gone(const std::string& store, const std::string& what) {
  throw Error(ErrorCode::kIo, "the store " + store + " went away since this launch looked at it: " +
                                  what + "; is its file system still mounted?");
}

namespace {

std::string known_store_id(const FileSystem& files, const std::string& store,
                           const std::string& known) {
  std::string id;
  try {
    id = read_store_id(files, store);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    throw_gone(store, "store.json is not there");
  }
  if (id != known) throw_gone(store, "another store is in its place");
  return id;
}

std::string make_missing_store(FileSystem& files, const std::string& store) {
  if (files.info(store_file(store))) return read_store_id(files, store);
  make_store_folder(files, store);
  return make_store_record(files, store);
}

}  // namespace

std::string make_store(FileSystem& files, const std::string& store, const StoreView& seen) {
  if (seen.exists && !files.info(store)) throw_gone(store, "its folder is not there");
  auto id = seen.id ? known_store_id(files, store, *seen.id) : make_missing_store(files, store);
  for (const auto& folder : {attempts_path(store), checkpoints_path(store)}) {
    if (files.info(folder)) continue;
    // An attempt is claimed only where both are.
    if (!seen.attempts.empty()) throw_gone(store, folder + " is not there");
    files.make_folder(folder);
  }
  files.sync_folder(store);
  return id;
}

namespace {

// Nobody is at work under a number whose claim failed: without an outcome the next launch would
// watch it for three periods.
void refuse(FileSystem& files, const std::string& store, std::int64_t number, const Error& why) {
  try {
    write_outcome(files, store, number,
                  {OutcomeKind::kRefused, exit_code(why.code()), {}, why.what(), {}});
  } catch (const Error&) {  // the first error tells more
  }
}

}  // namespace

bool claim_attempt(FileSystem& files, const std::string& store, std::int64_t number,
                   const Claim& claim) {
  const auto folder = attempt_path(store, number);
  if (!files.claim_folder(folder)) return false;
  try {
    files.sync_folder(attempts_path(store));
    write_durably(files, folder + "/claim.json", encode(claim));
    files.overwrite(folder + "/heartbeat", encode(Heartbeat{}));
  } catch (const Error& e) {
    refuse(files, store, number, e);
    throw;
  }
  return true;
}

void refresh_listing(FileSystem& files, const std::string& folder) {
  if (!files.is_network(folder)) return;
  const auto scratch = folder + "/.scratch-" + random_hex(16);
  files.make_folder(scratch);
  files.remove_folder(scratch);
}

void require_newest(FileSystem& files, const std::string& store, std::int64_t mine) {
  refresh_listing(files, attempts_path(store));
  std::int64_t highest = mine;
  for (const auto& entry : files.list(attempts_path(store)))
    if (const auto number = parse_attempt_folder(entry.name)) highest = std::max(highest, *number);
  if (highest > mine)
    throw Error(ErrorCode::kSuperseded, "superseded: attempt " + std::to_string(highest) +
                                            " has claimed the store; attempt " +
                                            std::to_string(mine) + " ends here");
}

void require_same_store(const FileSystem& files, const std::string& store, const std::string& id) {
  std::string there;
  try {
    there = read_store_id(files, store);
  } catch (const Error&) {
    return;
  }
  if (there != id)
    throw Error(ErrorCode::kSuperseded, "superseded: another store (id " + there + ") stands at " +
                                            store + " now; that of this job (id " + id +
                                            ") was moved away or deleted");
}

void write_decision(FileSystem& files, const std::string& store, std::int64_t attempt,
                    const DecisionRecord& record) {
  write_durably(files, attempt_path(store, attempt) + "/decision.json", encode_decision(record));
}

void write_outcome(FileSystem& files, const std::string& store, std::int64_t attempt,
                   const Outcome& outcome) {
  write_durably(files, attempt_path(store, attempt) + "/outcome.json", encode(outcome));
}

std::string wall_clock_text() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc));
  return text;
}

}  // namespace lockstep
