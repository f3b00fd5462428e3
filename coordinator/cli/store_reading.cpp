#include "coordinator/cli/store_reading.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/candidates.h"
#include "coordinator/catalog.h"
#include "coordinator/lineage.h"

namespace lockstep::cli {

OpenStore open_store(const FileSystem& files, const std::string& given) {
  OpenStore store;
  store.path = follow_links(given);
  store.view = scan_store(files, store.path);
  if (!store.view.exists) throw Error(ErrorCode::kInvalidConfig, "no store at " + given);
  if (!store.view.id)
    throw Error(ErrorCode::kInvalidConfig, given + " is no store: it holds no store.json");
  return store;
}

namespace {

[[noreturn]] void not_there(const std::string& what, const std::vector<CheckpointId>& there) {
  std::vector<std::string> texts;
  for (const auto& id : there)
    texts.push_back(to_text(id));
  throw Error(ErrorCode::kInvalidConfig,
              what + "; there is " + (texts.empty() ? "none" : enumerate(texts)));
}

}  // namespace

CheckpointId resolve(const StoreView& store, const std::string& text) {
  const auto newest = newest_lineage(store).checkpoints;
  if (text == "latest") {
    if (newest.empty()) not_there("the store has no checkpoint", newest);
    return newest.front();
  }
  if (text == "best") throw Error(ErrorCode::kInvalidConfig, "best: not in this version");
  if (const auto id = parse_checkpoint_id(text)) {
    if (store.checkpoint(*id) != nullptr) return *id;
    std::vector<CheckpointId> all;
    for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
      all.push_back(it->id);
    not_there("no checkpoint " + text, all);
  }
  const auto iteration = parse_number(text);
  if (!iteration)
    throw Error(ErrorCode::kInvalidConfig,
                "'" + text + "' names no checkpoint; write latest, 1200 or 3@1200");
  const auto found = std::find_if(newest.begin(), newest.end(), [&](const CheckpointId& id) {
    return id.iteration == *iteration;
  });
  if (found == newest.end()) not_there("no iteration " + text + " in the newest lineage", newest);
  return *found;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit)
    value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string age_text(const std::string& created) {
  std::tm utc{};
  const char* end = ::strptime(created.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end == nullptr || *end != '\0') return "?";
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto seconds = std::max<std::int64_t>(0, now - ::timegm(&utc));
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

std::string table(std::vector<std::vector<std::string>> rows) {
  std::vector<std::size_t> widths;
  for (auto& row : rows)
    for (auto& cell : row)
      cell = escape_controls(cell);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace lockstep::cli
