#include <cstdio>
#include <memory>

#include "coordinator/amounts.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/cli/table.h"

namespace lockstep::cli {

namespace {

std::string shape_text(const TensorInfo& tensor) {
  std::string text = "[";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + "]";
}

void print_for_people(const CheckpointId& id, const Examined& found, bool tensors) {
  const auto& m = *found.manifest;
  std::vector<Row> rows = {
      {"checkpoint", to_text(id)},
      {"state", found.state == CheckpointState::kGood      ? "good (headers checked)"
                : found.state == CheckpointState::kDamaged ? "damaged: " + found.why
                                                           : "not finite"},
      {"run", m.run},
      {"created",
       parse_utc(m.created) ? m.created + ", " + age_text(m.created) + " ago" : m.created},
      {"parent", m.parent ? to_text(m.parent->checkpoint) : "none"},
      {"ranks", std::to_string(m.world_size)},
      {"size", bytes_text(found.bytes)},
      {"tensors", std::to_string(m.tensors.size())},
      {"data", "position " + std::to_string(m.data.position) + ", " +
                   std::to_string(m.data.length) + " samples, digest " + m.data.digest},
      {"seed", std::to_string(m.seed)}};
  for (const auto& [name, value] : m.metrics) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    rows.push_back({name, text});
  }
  if (m.engine) rows.push_back({"written", *m.engine});
  for (const auto& [name, value] : m.environment)
    rows.push_back({name, value});
  if (tensors)
    for (const auto& t : m.tensors)
      rows.push_back({t.name, to_text(t.dtype) + " " + shape_text(t)});
  std::fputs(table(rows, screen_of_stdout()).c_str(), stdout);
}

struct Options {
  std::string store;
  std::string checkpoint;
  bool tensors = false;
  bool json = false;
};

int run_show(const FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto shown = examine_named(files, store, options.checkpoint);
  if (options.json) {
    const auto file = shown.folder + "/manifest.json";
    std::fputs(read_small_file(files, file, kMaxManifestBytes).c_str(), stdout);
  } else {
    print_for_people(shown.id, shown.found, options.tensors);
  }
  return 0;
}

}  // namespace

Command show_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "show";
  command.purpose = "shows one checkpoint: what it is and what is in it";
  command.description =
      "Manifest, sizes and shard headers are checked, not every byte; verify does that. best goes "
      "by checkpoint.keep_best of the newest attempt's configuration.";
  command.arguments = {store_argument(options->store), checkpoint_argument(options->checkpoint)};
  command.options = {flag("--tensors", options->tensors, "every tensor: name, dtype, shape"),
                     flag("--json", options->json, "the manifest as it lies in the store")};
  command.exit_codes = usual_exit_codes("shown");
  command.exit_codes[1].meaning += ", or its manifest is damaged";
  command.examples = {"lockstep show checkpoints latest",
                      "lockstep show checkpoints 3@1200 --tensors",
                      "lockstep show checkpoints best --json | jq .metrics"};
  command.run = [options](FileSystem& files) { return run_show(files, *options); };
  return command;
}

}  // namespace lockstep::cli
