#include <cstdio>
#include <memory>

#include "common/error.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/cli/table.h"
#include "coordinator/state_diff.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::string a;
  std::string b;
  bool strict = false;
};

StateDiff diff(const FileSystem& files, const ShownCheckpoint& a, const ShownCheckpoint& b) {
  for (const auto* one : {&a, &b})
    if (one->found.state == CheckpointState::kDamaged)
      throw Error(ErrorCode::kDamaged, to_text(one->id) + " is damaged: " + one->found.why);
  ProgressBar bar("comparing", Unit::kBytes, a.found.bytes + b.found.bytes);
  return diff_states(files, {a.folder, *a.found.manifest}, {b.folder, *b.found.manifest},
                     [&](std::uint64_t bytes) { bar.add(bytes); });
}

void add_rows(std::vector<Row>& rows, const std::vector<Difference>& differences) {
  for (const auto& one : differences)
    rows.push_back({"  " + one.what, one.a, one.b});
}

std::string largest_text(const TensorDifference& tensor) {
  if (!tensor.largest) return tensor.not_numbers > 0 ? "nan" : "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", *tensor.largest);
  return text;
}

void print_contents(const StateDiff& found) {
  if (found.contents.empty()) return;
  std::vector<Row> rows = {{"  TENSOR", "ELEMENTS", "DIFFERENT", "LARGEST DIFFERENCE"}};
  for (const auto& tensor : found.contents)
    rows.push_back({"  " + tensor.name, std::to_string(tensor.elements),
                    std::to_string(tensor.different),
                    largest_text(tensor) + (tensor.not_numbers > 0 && tensor.largest
                                                ? ", " + std::to_string(tensor.not_numbers) + " nan"
                                                : "")});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
}

void print_diff(const StateDiff& found, const std::string& a, const std::string& b, bool strict) {
  std::printf("%s and %s: %s state, %lld tensors compared bit for bit, %zu differ\n", a.c_str(),
              b.c_str(), found.same_state() ? "the same" : "another",
              static_cast<long long>(found.compared), found.contents.size());
  std::vector<Row> rows;
  add_rows(rows, found.facts);
  add_rows(rows, found.shapes);
  if (!rows.empty()) rows.insert(rows.begin(), {"", a, b});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
  print_contents(found);
  if (found.config.empty()) return;
  std::printf("configuration%s:\n", strict ? "" : " (counts only with --strict)");
  rows.clear();
  add_rows(rows, found.config);
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
}

int run_diff(const FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto a = examine_named(files, store, options.a);
  const auto b = examine_named(files, store, options.b);
  const auto found = diff(files, a, b);
  print_diff(found, to_text(a.id), to_text(b.id), options.strict);
  return found.same_state() && (!options.strict || found.config.empty()) ? 0 : 1;
}

}  // namespace

Command diff_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "diff";
  command.purpose = "compares the states of two checkpoints bit for bit";
  command.description =
      "The state is the tensors, the iteration and the data position, whatever the number of ranks "
      "that wrote it. Names each tensor that differs, with how many elements do and, for floating "
      "point, the largest difference. Differences of the configuration are listed.";
  command.arguments = {store_argument(options->store), checkpoint_argument(options->a, "A"),
                       checkpoint_argument(options->b, "B")};
  command.options = {flag("--strict", options->strict, "differences of the configuration count")};
  command.exit_codes = {{0, "the same"},
                        {1, "different"},
                        {2, "a mistake in the command, no such store or checkpoint, or damage"},
                        {3, "the store can't be read now"}};
  command.examples = {"lockstep diff checkpoints 2@1500 3@1500",
                      "lockstep diff checkpoints best latest --strict"};
  command.run = [options](FileSystem& files) { return run_diff(files, *options); };
  return command;
}

}  // namespace lockstep::cli
