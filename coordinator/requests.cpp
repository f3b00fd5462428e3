#include "coordinator/requests.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/digest.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/names.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {

namespace {

constexpr std::size_t kNameDigits = 32;
constexpr std::uint64_t kLimitBytes = 4096;
constexpr std::size_t kLimitRequests = 1000;  // a look; the rest waits for the next

std::string requests_path(const std::string& store, std::int64_t attempt) {
  return attempt_path(store, attempt) + "/requests";
}

bool is_request_name(const std::string& name) {
  return name.size() == kNameDigits && is_hex(name);
}

std::vector<std::string> names_of(const FileSystem& files, const std::string& folder) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : files.list(folder))
      if (entry.kind == EntryKind::kFile && is_request_name(entry.name))
        names.push_back(entry.name);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
  }
  std::sort(names.begin(), names.end());
  if (names.size() > kLimitRequests) names.resize(kLimitRequests);
  return names;
}

void refuse(FileSystem& files, const std::string& path, const std::string& why, Taken& taken) {
  try {
    files.unlink(path);
  } catch (const Error& e) {
    taken.left.emplace_back(e.what());
    return;
  }
  taken.refused.push_back(why);
}

}  // namespace

std::string to_text(Asked asked) {
  return asked == Asked::kSave ? "save" : "stop";
}

std::string encode(const AskRecord& record) {
  return seal({{"request", to_text(record.asked)}, {"who", record.who}});
}

AskRecord parse_ask_record(std::string_view text, std::string_view what) {
  const auto object = unseal(text, what);
  const auto asked = text_member(object, "request", what);
  if (asked != "save" && asked != "stop") throw_damaged(what, "request is none that is known");
  return {asked == "save" ? Asked::kSave : Asked::kStop, text_member(object, "who", what)};
}

void make_requests_folder(FileSystem& files, const std::string& store, std::int64_t attempt) {
  try {
    files.make_folder(requests_path(store, attempt));
  } catch (const Error&) {
    return;
  }
}

std::string leave_request(FileSystem& files, const std::string& store, std::int64_t attempt,
                          const AskRecord& record) {
  const auto folder = requests_path(store, attempt);
  const auto info = files.info(folder);
  if (info && info->kind != EntryKind::kFolder)
    throw Error(ErrorCode::kIo, folder + " is no folder: remove it, and ask again");
  files.make_folder(folder);
  auto name = random_hex(kNameDigits);
  const auto path = folder + "/" + name;
  write_durably(files, path, encode(record));
  using std::filesystem::perms;
  std::error_code ignored;
  std::filesystem::permissions(path, perms::group_read | perms::others_read,
                               std::filesystem::perm_options::add, ignored);
  return name;
}

bool is_waiting(const FileSystem& files, const std::string& store, std::int64_t attempt,
                const std::string& name) {
  return files.info(requests_path(store, attempt) + "/" + name).has_value();
}

Taken take_requests(FileSystem& files, const std::string& store, std::int64_t attempt) {
  Taken taken;
  const auto folder = requests_path(store, attempt);
  for (const auto& name : names_of(files, folder)) {
    const auto what = "requests/" + name;
    try {
      const auto text = read_small_file(files, folder + "/" + name, kLimitBytes);
      files.unlink(folder + "/" + name);
      taken.requests.push_back(parse_ask_record(text, what));
    } catch (const Error& e) {
      // What can't be read or removed now is there at the next look; what is no request is gone.
      if (e.code() == ErrorCode::kIo) {
        taken.left.emplace_back(e.what());
      } else {
        refuse(files, folder + "/" + name, e.what(), taken);
      }
    }
  }
  return taken;
}

void RequestBox::put(const std::vector<AskRecord>& requests) {
  const std::scoped_lock lock(mutex_);
  for (const auto& request : requests)
    (request.asked == Asked::kSave ? save_ : stop_) = true;
}

bool RequestBox::take(Asked asked) {
  const std::scoped_lock lock(mutex_);
  return std::exchange(asked == Asked::kSave ? save_ : stop_, false);
}

}  // namespace lockstep
