#include "coordinator/flat_values.h"

#include <charconv>
#include <system_error>

#include "common/names.h"

namespace lockstep {

std::optional<std::int64_t> flat_integer(const FlatConfig& flat, const std::string& key) {
  const auto found = flat.find(key);
  return found != flat.end() ? parse_number(found->second) : std::nullopt;
}

std::optional<double> flat_number(const FlatConfig& flat, const std::string& key) {
  const auto found = flat.find(key);
  if (found == flat.end()) return std::nullopt;
  const auto& text = found->second;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace lockstep
