#include "coordinator/cli/top_watch.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "common/error.h"
#include "coordinator/amounts.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/job_sight.h"
#include "coordinator/examine.h"
#include "coordinator/lineage.h"
#include "coordinator/standing.h"

namespace lockstep::cli {

namespace {

constexpr std::size_t kReadsToJudge = 4;  // judge_life's, and the one before them
constexpr std::size_t kMostEvents = 50;
constexpr int kPieces = 16;  // of metrics.jsonl a look: a long one is there after a few

double period_of(const AttemptView& attempt) {
  return attempt.claim ? attempt.claim->heartbeat_seconds : kUsualPeriodSeconds;
}

std::string attempt_text(const AttemptView& attempt) {
  auto text = std::to_string(attempt.number);
  if (!attempt.claim) return text;
  const auto& claim = *attempt.claim;
  text +=
      " of run " + claim.run + ", " +
      count_text(static_cast<std::size_t>(std::max<std::int64_t>(claim.world_size, 0)), "rank") +
      ", on " + claim.process.host + " (process " + std::to_string(claim.process.pid) + ")";
  return text + (claim.job ? ", job " + *claim.job : "");
}

}  // namespace

TopWatch::TopWatch(const FileSystem& files, std::string given, std::optional<bool> alive,
                   Clock clock)
    : files_(files), given_(std::move(given)), clock_(std::move(clock)), told_alive_(alive) {
  store_ = open_store(files_, given_);
}

const AttemptView* TopWatch::newest() const {
  return attempt_ > 0 ? store_.view.attempt(attempt_) : nullptr;
}

void TopWatch::scan(double now_s) {
  auto fresh = scan_store(files_, store_.path, {}, store_.view);
  if (!fresh.exists || !fresh.id) throw Error(ErrorCode::kIo, "the store is gone; was it moved?");
  store_.view = std::move(fresh);
  const auto number = newest_attempt(store_.view).value_or(0);
  if (number != attempt_) {
    if (attempt_ != 0) told_alive_.reset();  // that was about another
    attempt_ = number;
    beats_.clear();
    beat_due_s_ = 0;
    metrics_ = CurveReader(attempt_path(store_.path, number) + "/metrics.jsonl");
  }
  abandoned_ = abandoned(store_.view);
  judge(now_s);
  silent_s_ = life_ == Life::kAlive ? still_seconds(files_, store_.path, *newest()) : std::nullopt;
  note_events();
  constexpr double kOftenest = 1;
  constexpr double kSeldomest = 5;
  const auto* attempt = newest();
  scan_due_s_ = now_s + (attempt != nullptr ? std::clamp(period_of(*attempt), kOftenest, kSeldomest)
                                            : kOftenest);
}

void TopWatch::judge(double now_s) {
  const auto* attempt = newest();
  life_ = Life::kDead;
  if (attempt == nullptr || attempt->outcome) return;
  if (now_s >= beat_due_s_) {
    beats_.push_back(attempt->heartbeat);
    if (beats_.size() > kReadsToJudge) beats_.erase(beats_.begin());
    beat_due_s_ = now_s + period_of(*attempt);
  }
  const auto sight = attempt->claim ? look_for(attempt->claim->process) : LocalSight::kElsewhere;
  life_ = judge_life(sight, beats_);
  if (life_ == Life::kUnsure && told_alive_) life_ = *told_alive_ ? Life::kAlive : Life::kDead;
}

// nullptr: it can't be read now, or is damaged.
const TopWatch::Known* TopWatch::know(const CheckpointId& id) {
  if (const auto found = known_.find(id); found != known_.end()) return &found->second;
  const auto* view = store_.view.checkpoint(id);
  if (view == nullptr || view->gone) return nullptr;
  try {
    const auto found = examine_manifest(files_, folder_of(store_.path, *view), id);
    if (!found.manifest) return nullptr;
    const auto& data = found.manifest->data;
    return &known_
                .emplace(id, Known{found.bytes, parse_utc(found.manifest->created),
                                   DataPlace{id.iteration, data.position, data.length}})
                .first->second;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kIo) return nullptr;
    throw;
  }
}

// Of the last attempts and commits. What has been noted stays when its checkpoint is deleted.
void TopWatch::note_events() {
  constexpr std::size_t kLastAttempts = 3;
  constexpr std::size_t kLastCommits = 10;
  std::vector<TopEvent> found = std::move(events_);
  const auto& attempts = store_.view.attempts;
  for (auto i = attempts.size() - std::min(attempts.size(), kLastAttempts); i < attempts.size();
       ++i) {
    const auto& attempt = attempts[i];
    const auto begun_s = attempt.claim ? parse_utc(attempt.claim->created) : std::nullopt;
    if (begun_s)
      found.push_back({*begun_s, attempt.number, TopEvent::kBegin,
                       "attempt " + std::to_string(attempt.number) + " of run " +
                           attempt.claim->run + " begins on " + attempt.claim->process.host});
    if (!attempt.outcome) continue;
    auto ended = ended_s_.find(attempt.number);
    if (ended == ended_s_.end()) {
      const auto file = attempt_path(store_.path, attempt.number) + "/outcome.json";
      const auto info = files_.info(file);
      if (!info) continue;
      ended = ended_s_.emplace(attempt.number, info->modified_s).first;
    }
    found.push_back({ended->second, attempt.number, TopEvent::kEnd,
                     "attempt " + std::to_string(attempt.number) +
                         " ends: " + outcome_text(attempt, LocalSight::kElsewhere) +
                         ", exit code " + std::to_string(attempt.outcome->exit_code)});
  }
  const auto& all = store_.view.checkpoints;
  for (auto i = all.size() - std::min(all.size(), kLastCommits); i < all.size(); ++i)
    if (const auto* known = know(all[i].id); known != nullptr && known->created_s)
      found.push_back({*known->created_s, all[i].id.attempt, TopEvent::kCommit,
                       to_text(all[i].id) + " committed, " + bytes_text(known->bytes)});
  std::ranges::sort(found, std::greater<>());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.size() > kMostEvents) found.resize(kMostEvents);
  events_ = std::move(found);
}

void TopWatch::weigh_abandoned(TopFacts& facts, bool patient) {
  constexpr double kMostSeconds = 0.2;  // of a look that should not be waited for
  const double end_s = clock_.now_s() + kMostSeconds;
  ProgressBar bar("opening files", Unit::kThings, patient ? abandoned_.size() : 0);
  facts.abandoned = abandoned_.size();
  for (const auto& id : abandoned_) {
    const bool in_time = patient || known_.contains(id) || clock_.now_s() < end_s;
    const auto* known = in_time ? know(id) : nullptr;
    if (!in_time) facts.abandoned_known = false;
    if (known != nullptr) facts.abandoned_bytes += known->bytes;
    if (patient) bar.add(1);
  }
}

void TopWatch::add_attempt(TopFacts& facts) const {
  const auto* attempt = newest();
  if (attempt == nullptr) {
    facts.state = "no attempt yet";
    return;
  }
  facts.alive = alive_;
  facts.state = life_ == Life::kUnsure ? "running or crashed: its heartbeat is watched"
                                       : state_text(*attempt, alive_);
  facts.attempt = attempt_text(*attempt);
  const auto origin = origin_text(*attempt);
  facts.started = origin == "-" ? "anew" : "from " + origin;
  if (attempt->heartbeat) facts.iteration = attempt->heartbeat->iteration;
  facts.next_save = next_save(*attempt);
  if (!attempt->claim) return;
  facts.started_s = parse_utc(attempt->claim->created);
  facts.deadline_s = attempt->claim->deadline;
}

void TopWatch::add_metrics(TopFacts& facts) const {
  const auto& curve = metrics_.made().curve();
  const auto add = [&](const CurvePoint& point) {
    facts.losses.push_back(point.loss.value_or(std::numeric_limits<double>::quiet_NaN()));
    if (point.accuracy) facts.accuracies.push_back(*point.accuracy);
  };
  std::ranges::for_each(curve.points, add);
  facts.evaluation = curve.last_evaluation;
  if (!curve.last) return;
  // Of a long curve it may have been thinned away.
  if (curve.points.back().iteration != curve.last->iteration) add(*curve.last);
  // The heartbeat is up to a period old.
  facts.iteration = std::max(facts.iteration.value_or(0), curve.last->iteration);
  std::int64_t iterations = 0;
  double samples = 0;
  double seconds = 0;
  for (const auto& point : metrics_.made().recent()) {
    iterations += point.iterations;
    samples += point.samples_per_second.value_or(0) * point.seconds;
    seconds += point.seconds;
    for_each_part(facts.spent,
                  [&](const char* name, double& spent) { spent += point.spent_s.at(name); });
  }
  if (!(seconds > 0)) return;
  facts.iterations_per_second = static_cast<double>(iterations) / seconds;
  facts.samples_per_second = samples / seconds;
}

TopFacts TopWatch::look(bool patient) {
  const double now_s = clock_.now_s();
  const bool due = now_s >= scan_due_s_;
  if (due) scan(now_s);
  alive_ = life_ == Life::kAlive;
  const auto* attempt = newest();
  if (attempt != nullptr && (due || !attempt->outcome)) {
    do {
      metrics_.look(files_, kPieces);
    } while (patient && !metrics_.is_whole());
  }
  TopFacts facts;
  facts.now_s = std::time(nullptr);
  facts.store = store_.path;
  add_attempt(facts);
  add_metrics(facts);
  if (const auto place = std::pair(attempt_, facts.iteration); place != place_) {
    place_ = place;
    moved_s_ = now_s;
  }
  facts.still_s = std::max(now_s - moved_s_, silent_s_.value_or(0));
  std::optional<DataPlace> data;
  if (const auto lineage = newest_lineage(store_.view).checkpoints; !lineage.empty()) {
    const auto* known = know(lineage.front());
    facts.newest = TopCheckpoint{lineage.front(), 0, std::nullopt};
    if (known != nullptr) facts.newest = {lineage.front(), known->bytes, known->created_s};
    if (known != nullptr) data = known->data;
  }
  if (attempt != nullptr && attempt->claim)
    facts.final_iteration = final_iteration(attempt->claim->config, data);
  std::error_code error;
  const auto space = std::filesystem::space(store_.path, error);
  if (!error) facts.free_bytes = space.available;
  weigh_abandoned(facts, patient);
  facts.events = events_;
  return facts;
}

}  // namespace lockstep::cli
