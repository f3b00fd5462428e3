// The configuration: the whole loader, from a text in memory. Lines "# --set KEY=VALUE", comments
// to YAML, are taken as overrides.

#include <algorithm>
#include <map>
#include <vector>

#include "common/config.h"
#include "coordinator/config_loader.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

std::vector<std::string> overrides_of(std::string_view text) {
  constexpr std::string_view kMark = "# --set ";
  constexpr std::size_t kMost = 8;
  std::vector<std::string> overrides;
  for (std::size_t at = text.find(kMark); at != text.npos && overrides.size() < kMost;
       at = text.find(kMark, at)) {
    at += kMark.size();
    overrides.emplace_back(text.substr(at, text.find('\n', at) - at));
  }
  return overrides;
}

std::optional<std::string> environment(const std::string& name) {
  static const std::map<std::string, std::string> set = {
      {"HOME", "/home/me"}, {"EMPTY", ""}, {"BAD", "\xFF"}, {"DOLLAR", "$HOME~"}};
  const auto variable = set.find(name);
  return variable == set.end() ? std::nullopt : std::optional(variable->second);
}

// One line, or two: cause and advice. A terminal shows it as it is.
void check_message(std::string_view message) {
  constexpr std::ptrdiff_t kMostLines = 2;
  constexpr std::size_t kMostBytes = 2000;
  require(std::count(message.begin(), message.end(), '\n') < kMostLines, "too many lines");
  require(message.size() < kMostBytes, "a message that is too long");
  require(std::none_of(message.begin(), message.end(),
                       [](unsigned char c) { return (c < ' ' && c != '\n') || c == 0x7F; }),
          "a message with control characters");
}

std::optional<LoadedConfig> loaded(std::string_view text) {
  // The library's tokens, and a number for each byte to tell columns by.
  constexpr std::size_t kFactor = 1024;
  constexpr std::size_t kLeast = std::size_t{1} << 20;
  const auto overrides = overrides_of(text);
  try {
    const MemoryLimit limit(kFactor * text.size() + kLeast);
    return parse_config(text, "/jobs/train.yaml", overrides, environment);
  } catch (const Error& e) {
    require(e.code() == ErrorCode::kInvalidConfig, e.what());
    check_message(e.what());
  } catch (const std::exception& e) {
    finding(std::string("another exception than Error: ") + e.what());
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = loaded(text_of(data, size));
  if (!config) return 0;
  const auto bytes = encode(*config);
  require(encode(decode_config(bytes)) == bytes, "a configuration travels as another");
  require(!flat_config(canonical_json(config->config)).empty(), "a configuration without keys");
  require(config->paths.store.starts_with('/'), "the store's path is not absolute");
  require(config->config.restore.iteration.has_value() ==
              (config->config.restore.present &&
               config->config.restore.mode == RestoreMode::kIteration),
          "an iteration without its mode, or a mode without");
  return 0;
}
