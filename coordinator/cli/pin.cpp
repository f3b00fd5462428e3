#include <cstdio>
#include <memory>

#include "common/error.h"
#include "coordinator/candidates.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/examine.h"
#include "coordinator/pins.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::string checkpoint;
};

int run_pin(FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto id = resolve(files, store, options.checkpoint);
  const bool fresh = pin(files, store.path, id);
  // A job's retention may have it in trash, or have deleted it, before it could see the pin. It
  // looks at the pins after it has moved it, so where it stands now it stays.
  const auto now = open_store(files, options.store);
  const auto* there = now.view.checkpoint(id);
  if (there == nullptr || there->trash) {
    unpin(files, store.path, id);
    throw Error(ErrorCode::kInvalidConfig, to_text(id) + " was deleted meanwhile");
  }
  std::printf("%s %s\n", to_text(id).c_str(),
              fresh ? "is pinned now: retention and prune leave it" : "was pinned already");
  return 0;
}

// The pin of a checkpoint that is gone can still be taken away.
CheckpointId pinned_or_there(const FileSystem& files, OpenStore& store, const std::string& text) {
  const auto pins = read_pins(files, store.path);
  const auto named = parse_checkpoint_id(text);
  return named && pins.contains(*named) ? *named : resolve(files, store, text);
}

int run_unpin(FileSystem& files, const Options& options) {
  auto store = open_store(files, options.store);
  const auto id = pinned_or_there(files, store, options.checkpoint);
  std::printf("%s %s\n", to_text(id).c_str(),
              unpin(files, store.path, id) ? "is no longer pinned" : "was not pinned");
  return 0;
}

Command command_of(const std::string& name, const std::string& purpose,
                   int (*run)(FileSystem&, const Options&)) {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = name;
  command.purpose = purpose;
  command.arguments = {store_argument(options->store), checkpoint_argument(options->checkpoint)};
  command.exit_codes = usual_exit_codes("done, or it was so already");
  command.exit_codes[2].meaning = "the store can't be read or written now";
  command.examples = {"lockstep " + name + " checkpoints 3@1200",
                      "lockstep " + name + " checkpoints latest"};
  command.run = [options, run](FileSystem& files) { return run(files, *options); };
  return command;
}

}  // namespace

Command pin_command() {
  auto command = command_of("pin", "keeps a checkpoint: retention and prune leave it", run_pin);
  command.description = "A pin is the file pins/3@1200 in the store; ls marks pinned checkpoints.";
  return command;
}

Command unpin_command() {
  auto command =
      command_of("unpin", "takes a pin away: retention and prune may delete again", run_unpin);
  command.description = "Deletes nothing by itself.";
  return command;
}

}  // namespace lockstep::cli
