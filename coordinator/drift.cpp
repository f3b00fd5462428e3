#include "coordinator/drift.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/error.h"

namespace lockstep {

namespace {

constexpr std::string_view kEnd = "run.max_";

struct KeyMeaning {
  std::string_view prefix;
  DriftKind kind;
};

// The longest prefix wins. What stands in none of these lines changes training.
constexpr std::array kMeanings = {
    KeyMeaning{"restore", DriftKind::kIgnored},
    KeyMeaning{"run.id", DriftKind::kIgnored},
    KeyMeaning{"store", DriftKind::kHarmless},
    KeyMeaning{kEnd, DriftKind::kHarmless},
    KeyMeaning{"run.on_nonfinite", DriftKind::kHarmless},
    KeyMeaning{"data.path", DriftKind::kHarmless},  // the data's digest says more
    KeyMeaning{"task.iteration_ms", DriftKind::kHarmless},
    KeyMeaning{"task.library", DriftKind::kHarmless},  // so does that file's
    KeyMeaning{"evaluate.", DriftKind::kHarmless},
    KeyMeaning{"checkpoint.", DriftKind::kHarmless},
    KeyMeaning{"preempt.", DriftKind::kHarmless},
    KeyMeaning{"watchdog.", DriftKind::kHarmless},
    KeyMeaning{"control.", DriftKind::kHarmless},
    KeyMeaning{"metrics.", DriftKind::kHarmless},
    KeyMeaning{"log.", DriftKind::kHarmless},
    KeyMeaning{"device", DriftKind::kHarmless},  // shows in the environment where it matters
    KeyMeaning{"collectives", DriftKind::kHarmless},
};

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts)
    text += (text.empty() ? "" : ", ") + part;
  return text;
}

using Flat = std::map<std::string, std::string>;

std::string value_at(const Flat& flat, const std::string& key) {
  const auto found = flat.find(key);
  return found != flat.end() && found->second != "null" ? found->second : "none";
}

// "key old -> new" for each key of either that differs.
template <typename Keep>
std::vector<std::string> differences(const Flat& before, const Flat& now, Keep&& keep) {
  std::vector<std::string> found;
  Flat all = before;
  all.insert(now.begin(), now.end());
  for (const auto& [key, ignored] : all) {
    const auto was = value_at(before, key);
    const auto is = value_at(now, key);
    if (was == is || !keep(key)) continue;
    found.push_back(std::string(key).append(" ").append(was).append(" -> ").append(is));
  }
  return found;
}

// A schedule without a length of its own ends with the run: a longer run has other rates from the
// first iteration on.
bool learning_rates_go_by_the_end(const Flat& config) {
  const auto name = config.find("schedule.name");
  return name != config.end() && name->second != "\"constant\"" &&
         value_at(config, "schedule.iterations") == "none";
}

// A config that this version can't read is no reason not to go on: it differs, that is all.
Flat flatten(const std::string& canonical) {
  try {
    return flat_config(canonical);
  } catch (const Error&) {
    return {};
  }
}

std::vector<std::string> data_differences(const Manifest& manifest, const LaunchFacts& launch) {
  std::vector<std::string> found;
  if (!launch.data) return found;
  if (manifest.data.length != launch.data->length)
    found.push_back("data length " + std::to_string(manifest.data.length) + " -> " +
                    std::to_string(launch.data->length) + " samples");
  if (manifest.data.digest != launch.data->digest)
    found.push_back("data digest " + manifest.data.digest + " -> " + launch.data->digest);
  return found;
}

// What of the environment is the model itself, and not merely how exactly it is computed.
bool is_model(const std::string& key) {
  return key == "library";
}

template <typename Keep>
std::vector<std::string> environment_differences(const Manifest& manifest,
                                                 const LaunchFacts& launch, Keep&& keep) {
  if (launch.environment.empty()) return {};
  Flat before(manifest.environment.begin(), manifest.environment.end());
  Flat now(launch.environment.begin(), launch.environment.end());
  before["ranks"] = std::to_string(manifest.world_size);
  now["ranks"] = std::to_string(launch.world_size);
  return differences(before, now, keep);
}

}  // namespace

DriftKind drift_of(const std::string& key) {
  const KeyMeaning* found = nullptr;
  for (const auto& meaning : kMeanings)
    if (key.starts_with(meaning.prefix) &&
        (found == nullptr || meaning.prefix.size() > found->prefix.size()))
      found = &meaning;
  return found != nullptr ? found->kind : DriftKind::kChangesTraining;
}

std::vector<std::string> drift_reasons(const Manifest& manifest, const LaunchFacts& launch,
                                       bool full) {
  std::vector<std::string> reasons;
  if (!full) return reasons;
  const auto before = flatten(manifest.config);
  const auto now = flatten(launch.config);
  const bool by_end = learning_rates_go_by_the_end(now) || learning_rates_go_by_the_end(before);
  const auto kind_of = [by_end](const std::string& key) {
    return by_end && key.starts_with(kEnd) ? DriftKind::kChangesTraining : drift_of(key);
  };
  auto changing = differences(before, now, [&](const std::string& key) {
    return kind_of(key) == DriftKind::kChangesTraining;
  });
  const auto of_data = data_differences(manifest, launch);
  changing.insert(changing.end(), of_data.begin(), of_data.end());
  const auto harmless = differences(
      before, now, [&](const std::string& key) { return kind_of(key) == DriftKind::kHarmless; });
  const auto of_model = environment_differences(manifest, launch, is_model);
  changing.insert(changing.end(), of_model.begin(), of_model.end());
  const auto environment = environment_differences(
      manifest, launch, [](const std::string& key) { return !is_model(key); });
  if (!changing.empty()) reasons.push_back("changes training: " + join(changing));
  if (!harmless.empty()) reasons.push_back("differs, harmless: " + join(harmless));
  if (!environment.empty())
    reasons.push_back("not bit for bit as if never stopped, for another " + join(environment));
  return reasons;
}

}  // namespace lockstep
