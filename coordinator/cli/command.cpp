#include "coordinator/cli/command.h"

namespace lockstep::cli {

Argument store_argument(std::string& into) {
  return {"STORE", &into, "the store's folder", Names::kStore};
}

Argument checkpoint_argument(std::string& into, const std::string& name) {
  return {name, &into, "latest, best, 1200 (of the newest lineage) or 3@1200", Names::kCheckpoint};
}

Option flag(const std::string& name, bool& into, const std::string& help) {
  return {name, "", help, &into};
}

std::vector<ExitCode> usual_exit_codes(const std::string& done) {
  return {{0, done},
          {2, "a mistake in the command, or no such store or checkpoint"},
          {3, "the store can't be read now, or the output can't be written"}};
}

}  // namespace lockstep::cli
