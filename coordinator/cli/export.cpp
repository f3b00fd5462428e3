#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/error.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/export_file.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::string checkpoint;
  std::string out;
  std::string scope = "full";
  bool force = false;
};

// `given` with the links of its folder followed, which must be there. A store holds nothing but its
// own files.
std::string place_of(const FileSystem& files, const std::string& given, const std::string& store) {
  const auto path = std::filesystem::absolute(given);
  const auto folder = follow_links(path.parent_path().string());
  const auto info = files.info(folder);
  if (!info || info->kind != EntryKind::kFolder)
    throw Error(ErrorCode::kInvalidConfig,
                "no folder " + folder + " to write into; mkdir -p makes it");
  if ((folder + "/").starts_with(store + "/"))
    throw Error(ErrorCode::kInvalidConfig, given + " lies in the store; name a place outside it");
  if (!path.has_filename())
    throw Error(ErrorCode::kInvalidConfig, given + " is a folder; name a file");
  return (std::filesystem::path(folder) / path.filename()).string();
}

int run_export(FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto shown = examine_named(files, store, options.checkpoint);
  if (shown.found.state == CheckpointState::kDamaged)
    throw Error(ErrorCode::kDamaged, to_text(shown.id) + " is damaged: " + shown.found.why);
  const auto scope = options.scope == "model" ? Scope::kModel : Scope::kFull;
  const Export what{shown.folder,
                    *shown.found.manifest,
                    tensors_to_export(*shown.found.manifest, scope),
                    {{"format", "pt"},
                     {"lockstep.checkpoint", to_text(shown.id)},
                     {"lockstep.store", *store.view.id},
                     {"lockstep.scope", options.scope}},
                    place_of(files, options.out, store.path),
                    options.force};
  ProgressBar bar("writing", Unit::kBytes, data_bytes(what.tensors));
  export_file(files, what, [&](std::uint64_t bytes) { bar.add(bytes); });
  std::printf("%s %s: %s, %s, in %s\n", to_text(shown.id).c_str(), options.scope.c_str(),
              count_text(what.tensors.size(), "tensor").c_str(),
              bytes_text(data_bytes(what.tensors)).c_str(), options.out.c_str());
  return 0;
}

}  // namespace

Command export_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "export";
  command.purpose = "writes a checkpoint as one safetensors file of whole tensors";
  command.description =
      "Every byte is verified as it is copied. OUT appears whole or not at all. Names are the "
      "manifest's: model.NAME, buffer.NAME, optimizer.NAME.KIND.";
  command.arguments = {
      store_argument(options->store),
      checkpoint_argument(options->checkpoint),
      {"OUT", &options->out, "the file to write, outside the store", Names::kFile}};
  command.options = {{"--scope",
                      "full|model",
                      "model: weights and buffers only; default full",
                      &options->scope,
                      {"full", "model"}},
                     flag("--force", options->force, "replace a file that is there")};
  command.exit_codes = {{0, "written"},
                        {2,
                         "a mistake in the command, no such store or checkpoint, damage, or OUT "
                         "is there"},
                        {3, "can't be read or written now"}};
  command.examples = {"lockstep export checkpoints latest model.safetensors --scope model",
                      "lockstep export checkpoints 3@1200 state.safetensors --force",
                      "python3 -c 'from safetensors.numpy import load_file; "
                      "print(load_file(\"model.safetensors\").keys())'"};
  command.run = [options](FileSystem& files) { return run_export(files, *options); };
  return command;
}

}  // namespace lockstep::cli
