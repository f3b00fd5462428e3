#include <cstdio>
#include <memory>

#include "coordinator/catalog.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/store_reading.h"

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
  std::vector<std::vector<std::string>> rows = {
      {"checkpoint", to_text(id)},
      {"state", found.state == CheckpointState::kGood      ? "good (headers checked)"
                : found.state == CheckpointState::kDamaged ? "damaged: " + found.why
                                                           : "not finite"},
      {"run", m.run},
      {"created", m.created},
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
  for (const auto& [name, value] : m.environment)
    rows.push_back({name, value});
  if (tensors)
    for (const auto& t : m.tensors)
      rows.push_back({t.name, to_text(t.dtype) + " " + shape_text(t)});
  std::fputs(table(std::move(rows)).c_str(), stdout);
}

}  // namespace

Command add_show(CLI::App& parent) {
  struct Options {
    std::string store;
    std::string checkpoint;
    bool tensors = false;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  auto* app = parent.add_subcommand("show", "Shows one checkpoint: what it is and what is in it");
  app->footer("lockstep show STORE latest | 1200 (in the newest lineage) | 3@1200");
  app->add_option("STORE", options->store, "the store's folder")->required();
  app->add_option("CHECKPOINT", options->checkpoint, "latest, 1200 or 3@1200")->required();
  app->add_flag("--tensors", options->tensors, "every tensor: name, dtype, shape");
  app->add_flag("--json", options->json, "the manifest");
  return {app, [options](FileSystem& files) {
            const auto store = open_store(files, options->store);
            const auto id = resolve(store.view, options->checkpoint);
            const auto& view = *store.view.checkpoint(id);
            const auto found = examine(files, store.path, view, Depth::kHeaders);
            if (!found.manifest)
              throw Error(ErrorCode::kDamaged, to_text(id) + " is damaged: " + found.why);
            if (options->json) {
              const auto file = folder_of(store.path, view) + "/manifest.json";
              std::fputs(read_small_file(files, file, kMaxManifestBytes).c_str(), stdout);
              return 0;
            }
            print_for_people(id, found, options->tensors);
            return 0;
          }};
}

}  // namespace lockstep::cli
