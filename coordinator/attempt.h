#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/attempt_records.h"
#include "common/decision.h"
#include "common/file_system.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What an attempt writes about itself. All: Local, rank 0's.

// Makes the store's folder, store.json and the folders below, durably, where they are missing;
// gives the store's id. The folder's parent is never made: Error(kNotFound). What a look saw is
// never made anew: where `seen` is gone, or another stands in its place, a file system went away,
// and all that was trained would silently be trained again. Error(kIo).
std::string make_store(FileSystem& files, const std::string& store, const StoreView& seen = {});

// Error(kIo): what a look at the store saw is gone since; `what` says what of it.
[[noreturn]] void throw_gone(const std::string& store, const std::string& what);

// Claims `number` by one mkdir and writes claim.json, durably. false: it was taken. Where a step
// behind the mkdir fails it leaves a `refused` outcome, if that can be written.
bool claim_attempt(FileSystem& files, const std::string& store, std::int64_t number,
                   const Claim& claim);

// Has the next listing of `folder` be what the server holds: on a network file system a scratch
// name is made there and removed, which ends what the client has cached of it. Nothing on others.
void refresh_listing(FileSystem& files, const std::string& folder);

// Error(kSuperseded) where attempts/ lists a higher number than `mine`.
void require_newest(FileSystem& files, const std::string& store, std::int64_t mine);

// Error(kSuperseded) where another store than that of `id` stands at the path: moved away or
// deleted while its job ran, and a new one begun in its place. Attempts are numbered anew there, so
// that no number tells. A store.json that is missing or can't be read tells nothing: a save says
// why.
void require_same_store(const FileSystem& files, const std::string& store, const std::string& id);

void write_decision(FileSystem& files, const std::string& store, std::int64_t attempt,
                    const DecisionRecord& record);
void write_outcome(FileSystem& files, const std::string& store, std::int64_t attempt,
                   const Outcome& outcome);

// RFC 3339, UTC, seconds; for people.
std::string wall_clock_text();

}  // namespace lockstep
