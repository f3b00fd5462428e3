#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace lockstep {

// What a person asks of a running job, by files in its attempt:
//   1. `lockstep save` or `stop` leaves attempts/N/requests/<32 hex>, durably. Who may write the
//      store may ask.
//   2. The job looks at each heartbeat, removes what is there, and only then takes note.
//   3. The training takes it up at its next tick, on all ranks at the same iteration.
// So a request is taken at most once, and one that a job did not live to take stays with its
// attempt and is never taken by another.

enum class Asked : std::uint8_t { kSave, kStop };
std::string to_text(Asked asked);  // "save", "stop"

struct AskRecord {
  Asked asked = Asked::kSave;
  std::string who;  // for people: "ana on login1"
};

std::string encode(const AskRecord& record);                               // Pure: a sealed record
AskRecord parse_ask_record(std::string_view text, std::string_view what);  // Error(kDamaged)

// Local: makes the folder, for the job's user to own: done with the claim. No error where it can't:
// who asks makes it too.
void make_requests_folder(FileSystem& files, const std::string& store, std::int64_t attempt);

// Local: step 1; the name of the file, which everybody may read: the job may be another user's.
std::string leave_request(FileSystem& files, const std::string& store, std::int64_t attempt,
                          const AskRecord& record);
// Local: whether one still waits to be taken.
bool is_waiting(const FileSystem& files, const std::string& store, std::int64_t attempt,
                const std::string& name);

// Local: step 2; what a look has found. What is no request is removed too, and said; what can't be
// read or removed now is left. Error(kIo) where the folder can't be listed.
struct Taken {
  std::vector<AskRecord> requests;
  std::vector<std::string> refused;  // "requests/NAME: why"; gone
  std::vector<std::string> left;     // "..."; can't be read or removed now
};
Taken take_requests(FileSystem& files, const std::string& store, std::int64_t attempt);

// From the thread that looks to the one that trains. Thread-safe.
class RequestBox {
 public:
  void put(const std::vector<AskRecord>& requests);
  bool take(Asked asked);  // true once for all that have been put since

 private:
  std::mutex mutex_;
  bool save_ = false;
  bool stop_ = false;
};

}  // namespace lockstep
