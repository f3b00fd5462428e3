#include "coordinator/config_paths.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace lockstep {
namespace {

bool is_name(const std::string& text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view kDigits = "0123456789";
  return !text.empty() &&
         text.find_first_not_of(std::string(kLetters) + std::string(kDigits)) ==
             std::string::npos &&
         kDigits.find(text[0]) == kDigits.npos;
}

struct Expansion {
  const std::string& key;
  const Place& place;
  const Environment& environment;

  std::string variable(const std::string& name) const {
    const auto value = environment(name);
    if (!value) fail(place, key + ": the variable " + name + " is not set");
    if (value->empty()) fail(place, key + ": the variable " + name + " is empty");
    if (value->find('\0') != std::string::npos || invalid_utf8(*value) != std::string::npos) {
      fail(place, key + ": the variable " + name + " is not UTF-8");
    }
    return *value;
  }

  // What stands at a '$'; `at` moves behind it.
  std::string dollar(const std::string& written, std::size_t& at) const {
    const std::string rest = written.substr(at + 1);
    const std::size_t end = rest.find('}');
    if (rest.starts_with('{') && end != std::string::npos && is_name(rest.substr(1, end - 1))) {
      at += end + 2;
      return variable(rest.substr(1, end - 1));
    }
    std::string advice = "only ${NAME} is expanded";
    if (rest.starts_with('(')) {
      advice = "commands are not run; set a variable before the launch and write ${NAME}";
    } else if (!rest.starts_with('{')) {
      const std::string name = rest.substr(0, rest.find_first_of("/.-: "));
      if (is_name(name)) advice = "write ${" + name + "}";
    }
    fail(place, key + ": '$' in '" + printable(written) + "'; " + advice);
  }
};

}  // namespace

void require_utf8(const std::string& key, const std::string& path, const Place& place) {
  if (invalid_utf8(path) == std::string::npos) return;
  fail(place, key + ": the path " + escaped(path) +
                  " is not UTF-8, as all that a job writes is; take one that is, or rename it");
}

std::string resolve_path(const std::string& key, const std::string& written, const Place& place,
                         const std::string& config_file, const Environment& environment) {
  const Expansion expansion{key, place, environment};
  std::string path;
  for (std::size_t at = 0; at < written.size();) {
    if (written[at] == '$') {
      path += expansion.dollar(written, at);
    } else if (written[at] != '~') {
      path += written[at++];
    } else if (at == 0 && written.starts_with("~/")) {
      path += expansion.variable("HOME");
      ++at;
    } else {
      std::string text = key + ": '~' in '" + printable(written) + "'; ";
      text += at != 0               ? "only a leading ~/ is expanded; choose a name without '~'"
              : written.size() == 1 ? "write ~/ or a folder in it"
                                    : "write ~/ for your own home folder, or the whole path";
      fail(place, text);
    }
  }
  while (path.size() > 1 && path.ends_with('/'))
    path.pop_back();
  if (path.starts_with('/')) return path;
  std::error_code gone;
  const auto folder = std::filesystem::absolute(config_file, gone).parent_path();
  if (gone) fail(place, key + ": the current folder is gone; change into one that is there");
  while (path.starts_with("./")) {
    path.erase(0, std::min(path.find_first_not_of('/', 1), path.size()));
  }
  path = path.empty() || path == "." ? folder.string() : (folder / path).string();
  require_utf8(key, path, place);
  return path;
}

}  // namespace lockstep
