#include "coordinator/status/prometheus_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <utility>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace lockstep {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::size_t kSlowest = 16;
constexpr std::array<double, 4> kQuantiles = {0.5, 0.9, 0.99, 1};

class Families {
 public:
  void counter(const std::string& name, const std::string& help, double value) {
    ClientMetric metric;
    metric.counter.value = value;
    add(name, help, MetricType::Counter, std::move(metric));
  }
  void gauge(const std::string& name, const std::string& help, double value) {
    ClientMetric metric;
    metric.gauge.value = value;
    add(name, help, MetricType::Gauge, std::move(metric));
  }
  template <typename Value>
  void gauge(const std::string& name, const std::string& help, const std::optional<Value>& value) {
    if (value) gauge(name, help, static_cast<double>(*value));
  }
  void histogram(const std::string& name, const std::string& help, const SecondsHistogram& given) {
    ClientMetric metric;
    auto& to = metric.histogram;
    for (std::size_t i = 0; i < given.counts.size(); ++i) {
      to.sample_count += given.counts[i];
      const bool bounded = i < SecondsHistogram::kBounds.size();
      to.bucket.push_back({to.sample_count, bounded ? SecondsHistogram::kBounds[i] : HUGE_VAL});
    }
    to.sample_sum = given.sum;
    add(name, help, MetricType::Histogram, std::move(metric));
  }
  // Of the ranks: `values` ascending.
  void summary(const std::string& name, const std::string& help,
               const std::vector<double>& values) {
    if (values.empty()) return;
    ClientMetric metric;
    auto& to = metric.summary;
    to.sample_count = values.size();
    for (const auto value : values)
      to.sample_sum += value;
    for (const auto quantile : kQuantiles) {
      const auto rank = std::ceil(quantile * static_cast<double>(values.size()));
      to.quantile.push_back({quantile, values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1]});
    }
    add(name, help, MetricType::Summary, std::move(metric));
  }
  void add(const std::string& name, const std::string& help, MetricType type, ClientMetric metric) {
    if (all_.empty() || all_.back().name != name) all_.push_back({name, help, type, {}});
    all_.back().metric.push_back(std::move(metric));
  }

  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, all_);
    return out.str();
  }

 private:
  std::vector<MetricFamily> all_;
};

ClientMetric labelled(const std::string& name, const std::string& value) {
  ClientMetric metric;
  metric.label.push_back({name, value});
  return metric;
}

void add_progress(const Facts& facts, Families& families) {
  families.counter("lockstep_iterations_total", "Iterations that this attempt has made.",
                   static_cast<double>(facts.iterations_made.value_or(0)));
  families.gauge("lockstep_iteration", "Iterations completed, those of the lineage included.",
                 facts.iteration);
  families.gauge("lockstep_final_iteration", "Where the training ends.", facts.final_iteration);
  families.gauge("lockstep_loss", "Mean loss over the samples of the last iteration.", facts.loss);
  families.gauge("lockstep_samples_per_second", "Samples trained on in a second, of late.",
                 facts.samples_per_second);
}

void add_job(const JobFigures& job, const Facts& facts, Families& families) {
  families.counter("lockstep_samples_total", "Samples that this attempt has trained on.",
                   static_cast<double>(facts.samples_made.value_or(0)));
  for_each_part(job.spent, [&](const char* part, double seconds) {
    auto metric = labelled("part", part);
    metric.counter.value = seconds;
    families.add("lockstep_spent_seconds_total", "Where the training's time went, by part.",
                 MetricType::Counter, std::move(metric));
  });
}

void add_saves(const SaveFigures& saves, Families& families) {
  families.counter("lockstep_commits_total", "Checkpoints that this attempt has committed.",
                   static_cast<double>(saves.committed));
  families.counter("lockstep_save_failures_total", "Saves that failed.",
                   static_cast<double>(saves.failed));
  families.histogram("lockstep_save_seconds", "From a save's call until it was durable.",
                     saves.seconds);
  families.histogram("lockstep_save_stall_seconds", "How long saves held the training.",
                     saves.held_s);
}

void add_ranks(const std::vector<RankSight>& ranks, Families& families) {
  const auto lags = lags_of(ranks);
  families.gauge("lockstep_ranks", "Ranks of the job.", static_cast<double>(ranks.size()));
  families.gauge("lockstep_ranks_heard", "Ranks that the watchdog has heard.",
                 static_cast<double>(lags.heard));
  std::vector<double> work;
  std::vector<double> lag;
  for (auto one = lags.slowest_first.rbegin(); one != lags.slowest_first.rend(); ++one)
    if (one->rank.work_s > 0) {
      work.push_back(one->rank.work_s);
      lag.push_back(one->lag_s);
    }
  families.summary("lockstep_rank_work_seconds",
                   "A rank's own work in an iteration, over the ranks.", work);
  families.summary("lockstep_rank_lag_seconds",
                   "A rank's work in an iteration above the median rank's, over the ranks.", lag);
  for (std::size_t i = 0; i < std::min(kSlowest, work.size()); ++i) {
    const auto& one = lags.slowest_first[i];
    auto metric = labelled("rank", std::to_string(one.rank.rank));
    metric.gauge.value = one.lag_s;
    families.add("lockstep_slow_rank_lag_seconds",
                 "A rank's work in an iteration above the median rank's, of the slowest ranks.",
                 MetricType::Gauge, std::move(metric));
  }
}

void add_store(const StatusPicture& picture, const Facts& facts, Families& families) {
  const auto& store = *picture.store;
  families.gauge("lockstep_last_durable_age_seconds", "How old the newest durable checkpoint is.",
                 facts.durable_age_s);
  if (facts.durable_age_s)
    families.gauge("lockstep_last_durable_timestamp_seconds",
                   "When the newest durable checkpoint was committed.",
                   picture.wall_s - *facts.durable_age_s);
  families.gauge("lockstep_restore_lost_iterations",
                 "Iterations that the attempt before had made beyond what was restored.",
                 store.lost_iterations);
  families.gauge("lockstep_store_free_bytes", "Space left where the store is.", store.free_bytes);
  families.gauge("lockstep_checkpoints", "Checkpoints in the store.",
                 static_cast<double>(store.checkpoints.size()));
  families.gauge("lockstep_abandoned_bytes", "Bytes of checkpoints outside the newest lineage.",
                 static_cast<double>(abandoned_of(store).bytes));
}

}  // namespace

std::string prometheus_text(const StatusPicture& picture,
                            std::optional<std::int64_t> resident_bytes) {
  Families families;
  auto build = labelled("version", LOCKSTEP_VERSION);
  build.gauge.value = 1;
  families.add("lockstep_build_info", "The program's version.", MetricType::Gauge,
               std::move(build));
  const auto facts = facts_of(picture);
  if (facts.state != "watching")
    families.gauge("lockstep_running", "Whether a job is at work.", facts.alive ? 1.0 : 0.0);
  if (const auto& newest = picture.store->newest)
    families.gauge("lockstep_attempt", "Number of the newest attempt.",
                   static_cast<double>(newest->number));
  add_progress(facts, families);
  if (picture.job) {
    add_job(*picture.job, facts, families);
    add_saves(picture.job->saves, families);
    if (!picture.job->ranks.empty()) add_ranks(picture.job->ranks, families);
    if (picture.job->seconds_left)
      families.gauge("lockstep_deadline_timestamp_seconds", "When the job's time is over.",
                     picture.wall_s + *picture.job->seconds_left);
  }
  if (picture.store->seen_s > 0) add_store(picture, facts, families);
  families.gauge("lockstep_resident_memory_bytes", "Resident memory of this process.",
                 resident_bytes);
  return families.text();
}

}  // namespace lockstep
