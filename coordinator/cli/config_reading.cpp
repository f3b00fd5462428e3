#include "coordinator/cli/config_reading.h"

#include <cstdio>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/config_loader.h"

namespace lockstep::cli {

std::optional<LoadedConfig> load_or_complain(const std::string& path,
                                             const std::vector<std::string>& overrides, int& code) {
  try {
    return load_config(path, overrides, process_environment);
  } catch (const Error& e) {
    const std::string text = e.what();
    std::fprintf(stderr, "%s\n", escape_controls(text).c_str());
    if (text.starts_with(path + ": "))  // the file as a whole: nothing in it can be pointed at
      std::fprintf(stderr, "CONFIG is the job's YAML file, as for lockstepd\n");
    code = exit_code(e.code());
    return std::nullopt;
  }
}

}  // namespace lockstep::cli
