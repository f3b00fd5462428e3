#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include <dlfcn.h>

#include "coordinator/watchdog/launch_sight.h"

namespace lockstep {
namespace {

// The little of PMIx that is used, as its standard has it: its headers are not there where MPI
// brings a PMIx of its own.
struct PmixProc {
  std::array<char, 256> space{};
  std::uint32_t rank = 0;
};
struct PmixValue {
  std::uint16_t type = 0;
  union {
    const char* text;
    std::uint32_t number;
    std::array<std::uint64_t, 4> room;  // at least the size of any value
  } data{};
};
constexpr int kSuccess = 0;
constexpr std::uint16_t kText = 3;
constexpr std::uint16_t kNumber = 14;
constexpr std::uint8_t kToAll = 3;
constexpr std::uint32_t kWholeJob = 0xFFFFFFFE;

using Callback = void (*)(int, PmixValue*, void*);
using IsInitialized = int (*)();
using Put = int (*)(std::uint8_t, const char*, PmixValue*);
using Commit = int (*)();
using GetNb = int (*)(const PmixProc*, const char*, const void*, std::size_t, Callback, void*);

struct Library {
  IsInitialized is_initialized = nullptr;
  Put put = nullptr;
  Commit commit = nullptr;
  GetNb get = nullptr;
};

// Never loads it: another one than MPI's own would be a second client of the launcher.
std::optional<Library> loaded_library() {
  void* const handle = ::dlopen("libpmix.so.2", RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return std::nullopt;
  const Library library{
      .is_initialized = reinterpret_cast<IsInitialized>(::dlsym(handle, "PMIx_Initialized")),
      .put = reinterpret_cast<Put>(::dlsym(handle, "PMIx_Put")),
      .commit = reinterpret_cast<Commit>(::dlsym(handle, "PMIx_Commit")),
      .get = reinterpret_cast<GetNb>(::dlsym(handle, "PMIx_Get_nb"))};
  if (library.is_initialized == nullptr || library.put == nullptr || library.commit == nullptr ||
      library.get == nullptr || library.is_initialized() == 0)
    return std::nullopt;
  return library;
}

// Answers to many questions. Shared with PMIx, which may answer when nobody waits any more.
class Answers {
 public:
  struct Ticket {
    std::shared_ptr<Answers> answers;
    std::uint32_t rank;
  };

  static void take(int status, PmixValue* value, void* data) {
    const std::unique_ptr<Ticket> ticket(static_cast<Ticket*>(data));
    auto& answers = *ticket->answers;
    const std::scoped_lock lock(answers.mutex_);
    ++answers.returned_;
    if (status == kSuccess && value != nullptr) {
      if (value->type == kText && value->data.text != nullptr)
        answers.texts_[ticket->rank] = value->data.text;
      if (value->type == kNumber) answers.texts_[ticket->rank] = std::to_string(value->data.number);
    }
    answers.changed_.notify_all();
  }

  std::map<std::uint32_t, std::string> wait_for(std::size_t count, double seconds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                      [&] { return returned_ >= count; });
    return texts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t returned_ = 0;
  std::map<std::uint32_t, std::string> texts_;
};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return value == nullptr ? "" : value;
}

template <typename Number>
Number number_in(const std::string& text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

class PmixSight : public LaunchSight {
 public:
  PmixSight()
      : space_(variable("PMIX_NAMESPACE")),
        rank_(number_in<std::uint32_t>(variable("PMIX_RANK"))) {}

  bool say_here(double limit_s) override {
    const auto library = loaded_library();
    if (!library || space_.empty()) return false;
    const auto text = std::to_string(limit_s);
    PmixValue value{.type = kText};
    value.data.text = text.c_str();
    return library->put(kToAll, kHere, &value) == kSuccess && library->commit() == kSuccess;
  }

  std::optional<LaunchSeen> look() override {
    const auto library = loaded_library();
    if (!library || space_.empty()) return std::nullopt;
    const auto size =
        number_in<std::uint32_t>(ask(*library, "pmix.job.size", {kWholeJob})[kWholeJob]);
    if (size == 0) return std::nullopt;
    std::vector<std::uint32_t> ranks(size);
    for (std::uint32_t rank = 0; rank < size; ++rank)
      ranks[rank] = rank;
    auto hosts = ask(*library, "pmix.hname", ranks);
    if (rank_ != 0)
      std::erase_if(ranks, [&](auto rank) {
        return rank != 0 && (hosts[rank].empty() || hosts[rank] != hosts[rank_]);
      });
    auto here = ask(*library, kHere, ranks);
    if (here.count(rank_) == 0)
      return std::nullopt;  // then the others' words would not come either
    LaunchSeen seen;
    for (const auto rank : ranks)
      if (here.count(rank) == 0) seen.missing.push_back({static_cast<int>(rank), hosts[rank]});
    seen.root_here = here.count(0) != 0;
    seen.root_limit_s = number_in<double>(here[0]);
    return seen;
  }

 private:
  static constexpr const char* kHere = "lockstep.here";

  // Who has not come to MPI has no answer, or after seconds one that it is not known.
  std::map<std::uint32_t, std::string> ask(const Library& library, const char* key,
                                           const std::vector<std::uint32_t>& ranks) const {
    constexpr double kSeconds = 3;
    auto answers = std::make_shared<Answers>();
    std::size_t asked = 0;
    for (const auto rank : ranks) {
      PmixProc proc{.rank = rank};
      std::strncpy(proc.space.data(), space_.c_str(), proc.space.size() - 1);
      auto ticket = std::make_unique<Answers::Ticket>(Answers::Ticket{answers, rank});
      if (library.get(&proc, key, nullptr, 0, Answers::take, ticket.get()) != kSuccess) continue;
      [[maybe_unused]] const auto* its = ticket.release();
      ++asked;
    }
    return answers->wait_for(asked, kSeconds);
  }

  std::string space_;
  std::uint32_t rank_;
};

}  // namespace

std::shared_ptr<LaunchSight> make_pmix_sight() {
  return std::make_shared<PmixSight>();
}

}  // namespace lockstep
