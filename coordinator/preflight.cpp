#include "coordinator/preflight.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <regex>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/log.h"
#include "coordinator/amounts.h"
#include "coordinator/json_text.h"

namespace lockstep {

std::string to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kError:
      break;
  }
  return "error";
}

Check Check::ok(std::string name, std::string text) {
  return {std::move(name), Verdict::kOk, std::move(text)};
}

Check Check::warning(std::string name, std::string text, std::string advice) {
  return {std::move(name), Verdict::kWarning, std::move(text), std::move(advice)};
}

Check Check::error(std::string name, ErrorCode code, std::string text, std::string advice) {
  return {std::move(name), Verdict::kError, std::move(text), std::move(advice), code};
}

int exit_code_of(const std::vector<Check>& checks) {
  const auto bad = std::find_if(checks.begin(), checks.end(),
                                [](const Check& c) { return c.verdict == Verdict::kError; });
  return bad == checks.end() ? 0 : exit_code(bad->code);
}

std::string sums_text(const std::vector<Check>& checks) {
  const auto of = [&](Verdict verdict) {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(),
                      [&](const Check& check) { return check.verdict == verdict; }));
  };
  auto text = count_text(checks.size(), "check") + ": " + std::to_string(of(Verdict::kOk)) + " ok";
  if (const auto n = of(Verdict::kWarning); n > 0) text += ", " + count_text(n, "warning");
  if (const auto n = of(Verdict::kError); n > 0) text += ", " + count_text(n, "error");
  return text + "\n";
}

std::string to_text(const std::vector<Check>& checks) {
  std::size_t width = 0;
  for (const auto& check : checks)
    width = std::max(width, check.name.size());
  constexpr std::size_t kVerdictWidth = 9;  // "warning" and two blanks
  std::string all;
  for (const auto& check : checks) {
    auto line = to_text(check.verdict);
    line.resize(kVerdictWidth, ' ');
    line += check.name;
    line.resize(kVerdictWidth + width + 2, ' ');
    all += line + escape_controls(check.text) + "\n";
    if (!check.advice.empty())
      all += std::string(line.size(), ' ') + escape_controls(check.advice) + "\n";
  }
  return all + sums_text(checks);
}

std::string to_json(const std::vector<Check>& checks) {
  using nlohmann::ordered_json;
  auto list = ordered_json::array();
  for (const auto& check : checks)
    list.push_back(
        {{"name", check.name},
         {"verdict", to_text(check.verdict)},
         {"text", check.text},
         {"advice", check.advice.empty() ? ordered_json() : ordered_json(check.advice)}});
  const ordered_json out = {{"checks", std::move(list)}, {"exit_code", exit_code_of(checks)}};
  return json_text(out, 2);
}

namespace {

// Retention comes only behind a commit: on a full disk it can't make room by itself.
constexpr auto kMakeRoom =
    "make room: lockstep prune STORE --abandoned --dry-run shows what abandoned branches take, "
    "--keep-last N --dry-run what older checkpoints do";

}  // namespace

std::string advice_after(const std::string& failure, const std::string& usual) {
  // The system's words, with a capital letter where they are its own.
  const bool full = failure.find("o space left") != std::string::npos ||
                    failure.find("quota exceeded") != std::string::npos;
  return full ? kMakeRoom : usual;
}

Check judge_space(const Space& space) {
  const std::string name = "space";
  const auto there = bytes_text(space.free_bytes) + " free";
  if (!space.checkpoint_bytes && space.free_bytes == 0)
    return Check::error(name, ErrorCode::kIo, there, advice_after("No space left", ""));
  if (!space.checkpoint_bytes)
    return Check::ok(name, there +
                               "; what a checkpoint takes is known after the first, or from "
                               "lockstepd CONFIG --check");
  const auto wanted = std::max<std::int64_t>(2, space.keep_last + 2 - space.kept);
  const auto one = std::max<std::uint64_t>(1, *space.checkpoint_bytes);
  const auto room = space.free_bytes / one;
  const auto text = there + ", room for " + count_text(room, "checkpoint") + " of " +
                    bytes_text(one) + "; the job wants room for " + std::to_string(wanted);
  if (room < 2)
    return Check::error(
        name, ErrorCode::kIo, text,
        std::string("a checkpoint is written before an older one is deleted: ") + kMakeRoom);
  if (std::cmp_less(room, wanted))
    return Check::warning(name, text, std::string("lower checkpoint.keep_last, or ") + kMakeRoom);
  return Check::ok(name, text);
}

Check judge_clock(const std::string& whose, double ahead_s) {
  constexpr double kTolerableSeconds = 5;
  char text[96];  // NOLINT(modernize-avoid-c-arrays)
  std::snprintf(text, sizeof text, "%.0f s %s this host's", std::abs(ahead_s),
                ahead_s < 0 ? "behind" : "ahead of");
  if (std::abs(ahead_s) <= kTolerableSeconds) return Check::ok("clock", whose + " agrees");
  return Check::warning("clock", whose + " is " + text,
                        "nothing is decided by clocks, but ages are shown wrong: set up NTP");
}

Check judge_deadline(const Deadline& deadline, double left_s, const PreemptConfig& preempt) {
  const std::string name = "deadline";
  if (const auto objection = objection_to_launch(deadline, left_s, preempt, {}))
    return Check::warning(
        name, *objection,
        "unset " + deadline.from + ", export a later one, or write preempt: {deadline: none}");
  return Check::ok(name, "in " + duration_text(left_s) + " (" + deadline.from + ")");
}

Check judge_memory(const std::vector<Memory>& hosts) {
  const std::string name = "memory";
  std::string ok;
  for (const auto& host : hosts) {
    const auto text = host.host + ": its ranks need " + bytes_text(host.needed_bytes) +
                      " besides the work on a batch";
    if (host.available_bytes == 0) {
      ok = text + "; what is available can't be told";
    } else if (host.needed_bytes > host.available_bytes) {
      return Check::error(name, ErrorCode::kInvalidConfig,
                          text + "; available are " + bytes_text(host.available_bytes),
                          "start fewer ranks on a host, or on hosts with more memory");
    } else if (ok.empty()) {
      ok = text + ", available are " + bytes_text(host.available_bytes);
    }
  }
  if (hosts.size() > 1) ok += "; likewise on " + count_text(hosts.size() - 1, "other host");
  return Check::ok(name, ok);
}

Check judge_alike(const std::string& name, const std::vector<OfRank>& by_rank,
                  const std::string& advice) {
  const auto has = [&](std::size_t rank) {
    return "rank " + std::to_string(rank) + " (" + by_rank[rank].host + ") has " +
           by_rank[rank].value;
  };
  std::string others;
  for (std::size_t rank = 1; rank < by_rank.size(); ++rank)
    if (by_rank[rank].value != by_rank[0].value) others += "; " + has(rank);
  if (others.empty())
    return Check::ok(
        name,
        by_rank[0].value +
            (by_rank.size() > 1 ? ", on all " + std::to_string(by_rank.size()) + " ranks" : ""));
  return Check::error(name, ErrorCode::kMismatch, has(0) + others, advice);
}

Check judge_places(const std::vector<PlaceCheck>& places, const std::string& kind) {
  const auto worst = std::max_element(
      places.begin(), places.end(),
      [](const PlaceCheck& a, const PlaceCheck& b) { return a.check.verdict < b.check.verdict; });
  auto check = worst->check;
  if (places.size() == 1) return check;
  const auto as_bad =
      static_cast<std::size_t>(std::count_if(places.begin(), places.end(), [&](const auto& one) {
        return one.check.verdict == check.verdict;
      }));
  if (check.verdict == Verdict::kOk) {
    check.text += ", on all " + count_text(places.size(), kind);
  } else {
    check.text = worst->place + ": " + check.text;
    if (as_bad > 1) check.text += "; likewise on " + count_text(as_bad - 1, "other " + kind);
  }
  return check;
}

std::optional<std::string> open_mpi_version(const std::string& text) {
  static const std::regex kVersion(R"(Open MPI\)? v?([0-9]+\.[0-9]+\.[0-9]+))");
  std::smatch match;
  if (!std::regex_search(text, match, kVersion)) return std::nullopt;
  return match[1].str();
}

namespace {

std::string major_of(const std::string& version) {
  return version.substr(0, version.find('.'));
}

}  // namespace

Check judge_launcher(const std::optional<std::string>& of_mpirun,
                     const std::optional<std::string>& of_lockstepd, bool srun,
                     bool srun_has_pmix) {
  const std::string name = "launcher";
  if (of_mpirun && of_lockstepd && major_of(*of_mpirun) != major_of(*of_lockstepd))
    return Check::error(name, ErrorCode::kMismatch,
                        "mpirun is Open MPI " + *of_mpirun + ", lockstepd was built for " +
                            *of_lockstepd + ": every process would be a job of its own",
                        "put the mpirun of Open MPI " + *of_lockstepd + " first in PATH");
  std::string found;
  if (of_mpirun) found = "mpirun of Open MPI " + *of_mpirun;
  if (srun && srun_has_pmix) found += (found.empty() ? "" : ", ") + std::string("srun with PMIx");
  if (!found.empty()) return Check::ok(name, found);
  if (srun)
    return Check::warning(name, "srun knows no pmix, and there is no mpirun of Open MPI in PATH",
                          "ask for Slurm with PMIx, or install Open MPI's mpirun");
  return Check::warning(name, "neither mpirun of Open MPI nor srun in PATH",
                        "load the MPI module, or install openmpi-bin");
}

}  // namespace lockstep
