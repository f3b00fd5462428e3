// A file in an attempt's requests/: it is a request or it is refused, and gone either way.

#include "common/names.h"
#include "coordinator/requests.h"
#include "tests/fuzz/fuzzing.h"
#include "tests/support/memory_file_system.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

std::optional<AskRecord> record_of(std::string_view text) {
  return accepted(ErrorCode::kDamaged, memory_for(text.size()),
                  [&] { return parse_ask_record(text, kWhat); });
}

void check_taken(std::string_view text, bool is_request) {
  constexpr std::size_t kLimitBytes = 4096;
  const std::string folder = attempt_path("/s", 1) + "/requests";
  lockstep::testing::MemoryFileSystem files("/s");
  for (const auto& path : {attempts_path("/s"), attempt_path("/s", 1), folder})
    files.make_folder(path);
  files.overwrite(folder + "/0123456789abcdef0123456789abcdef", std::string(text));
  const auto taken = take_requests(files, "/s", 1);
  require(taken.left.empty() && files.list(folder).empty(), "a request stays");
  require(taken.requests.size() + taken.refused.size() == 1, "a request is neither taken nor not");
  require(taken.requests.empty() != (is_request && text.size() <= kLimitBytes),
          "what is no request is taken for one");
}

void check(std::string_view text) {
  const auto record = record_of(text);
  check_taken(text, record.has_value());
  if (!record) return;
  const auto written = encode(*record);
  require_said(text, written);
  const auto again = record_of(written);
  require(again && encode(*again) == written, "a request comes back as another");
  require_sealed(text, [](std::string_view changed) { return record_of(changed).has_value(); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = text_of(data, size);
  check(text);
  if (const auto sealed = resealed(text)) check(*sealed);
  return 0;
}
