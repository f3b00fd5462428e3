#include "coordinator/status/listen_address.h"

#include <algorithm>
#include <charconv>

namespace lockstep {

namespace {

constexpr std::string_view kLoopback = "127.0.0.1:";
constexpr std::string_view kUnix = "unix:";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool plain = !text.empty() && (text.size() == 1 || text.front() != '0');
  if (!plain || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

}  // namespace

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
  if (text.starts_with(kUnix) && text.size() > kUnix.size())
    return ListenAddress{std::string(text.substr(kUnix.size())), 0};
  if (!text.starts_with(kLoopback)) return std::nullopt;
  const auto port = parse_port(text.substr(kLoopback.size()));
  return port ? std::optional(ListenAddress{"", *port}) : std::nullopt;
}

std::string to_text(const ListenAddress& address) {
  return address.is_unix() ? std::string(kUnix) + address.socket_path
                           : std::string(kLoopback) + std::to_string(address.port);
}

std::string way_from_elsewhere(const ListenAddress& address, const std::string& host) {
  if (address.is_unix())
    return "ssh -L 8000:" + address.socket_path + " " + host + ", then http://localhost:8000/";
  return "ssh -L " + std::to_string(address.port) + ":" + to_text(address) + " " + host +
         ", then the same address";
}

bool is_host_of(std::string_view host, const ListenAddress& address) {
  const auto given = lower(host);
  const std::string_view name(given.data(), std::min(given.find(':'), given.size()));
  if (address.is_unix())
    return name == "localhost" && (name.size() == given.size() ||
                                   parse_port(std::string_view(given).substr(name.size() + 1)));
  const auto port = ":" + std::to_string(address.port);
  return given == "127.0.0.1" + port || given == "localhost" + port;
}

}  // namespace lockstep
