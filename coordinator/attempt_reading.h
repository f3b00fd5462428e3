#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "common/file_system.h"
#include "coordinator/examine.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Reads the records of a store's attempts, for scan_store. All: Local, reading only. A record that
// is damaged is a fact in the view; one that can't be read now is tried again, then Error(kIo).

constexpr std::uint64_t kRecordBytes = std::uint64_t{16} << 20;  // no record is larger

// Which claims a scan reads.
enum class Claims : std::uint8_t {
  kAll,
  // Not those of attempts that ended, other than by a crash or a hang, with a decision that can be
  // read: it tells the run and the request, and that such an attempt is no part of a crash loop.
  // A third of a scan's cost. The newest attempt's is read always, for it repeats the store's id.
  kOfOpenEnds,
};

// Takes over from an earlier scan of the same store what never changes again. Pure.
void keep_ended_attempts(const StoreView& before, StoreView& view,
                         const std::set<std::int64_t>& numbers, Claims claims);

// Those of `numbers` that the view lacks; threads read them. Cost: up to four small files each.
// `progress`: told of attempts alone.
void read_attempts(const FileSystem& files, const std::string& store, StoreView& view,
                   const std::set<std::int64_t>& numbers, Claims claims,
                   const ReadProgress& progress);

// The claim of the newest attempt, where it was left unread.
void read_newest_claim(const FileSystem& files, const std::string& store, StoreView& view);

// The heartbeat of the newest attempt that counts, where its outcome made it needless: for people.
void read_newest_heartbeat(const FileSystem& files, const std::string& store, StoreView& view);

// An attempt that has committed, or trained to an end, has had a claim and a decision: gone is
// damaged, or the request that they name would be applied once more. Pure.
void note_missing_records(StoreView& view);

}  // namespace lockstep
