// The names of a store's files and folders: a parser takes exactly what its builder makes.

#include "common/names.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

template <typename Parse, typename Build>
void check(std::string_view name, Parse&& parse, Build&& build) {
  const auto value = parse(name);
  if (value) require(build(*value) == name, "a foreign name is taken");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto name = text_of(data, size);
  check(name, parse_number, [](std::int64_t number) { return std::to_string(number); });
  check(name, parse_checkpoint_id, [](const CheckpointId& id) { return to_text(id); });
  check(name, parse_attempt_folder, attempt_folder);
  check(name, parse_checkpoint_folder, checkpoint_folder);
  check(name, parse_partial_folder, partial_folder);
  check(name, parse_trash_folder, trash_folder);
  check(name, parse_shard_file, shard_file);
  return 0;
}
