#include "coordinator/status/status_wish.h"

#include <filesystem>
#include <functional>

#include "common/error.h"
#include "coordinator/status/listening_socket.h"
#include "coordinator/status/text_file.h"

namespace lockstep {

namespace {

// "CAUSE; ADVICE" of an error, or `ok`.
Check tried(const std::string& name, const std::function<std::string()>& attempt) {
  try {
    return Check::ok(name, attempt());
  } catch (const Error& e) {
    return Check::warning(name, e.what(), "as it is a job warns, and trains without it");
  }
}

}  // namespace

StatusWish status_wish(const LoadedConfig& loaded) {
  StatusWish wish{parse_listen_address(loaded.config.control_listen),
                  loaded.paths.textfile.value_or("")};
  if (wish.listen && loaded.paths.socket) wish.listen->socket_path = *loaded.paths.socket;
  return wish;
}

std::vector<std::string> take_back_within(const std::string& store, StatusWish& wish) {
  const auto is_within = [&store](const std::string& path) {
    return std::filesystem::path(path).lexically_normal().string().starts_with(store + "/");
  };
  std::vector<std::string> taken;
  if (is_within(wish.textfile)) {
    taken.emplace_back(
        "metrics.textfile lies in the store, where lockstep alone writes; name another path");
    wish.textfile.clear();
  }
  if (wish.listen && is_within(wish.listen->socket_path)) {
    taken.emplace_back(
        "control.listen: the socket lies in the store, where lockstep alone writes; name another "
        "path");
    wish.listen.reset();
  }
  return taken;
}

std::vector<Check> probe_status(const LoadedConfig& loaded, const std::string& store) {
  auto wish = status_wish(loaded);
  std::vector<Check> checks;
  for (const auto& taken : take_back_within(store, wish))
    checks.push_back(Check::warning("status", taken, ""));
  if (wish.listen)
    checks.push_back(tried("status server", [&] {
      const auto address = to_text(*wish.listen);
      return try_listening(*wish.listen)
                 ? address + " is free on this host"
                 : address + " is there: a job's that is at work, or left by one and replaced";
    }));
  if (!wish.textfile.empty())
    checks.push_back(tried("textfile", [&] {
      try_text_file(wish.textfile);
      return wish.textfile + " can be replaced";
    }));
  return checks;
}

}  // namespace lockstep
