#include "coordinator/finished.h"

#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)

TEST(Rule, MaxEpochsEndsARun) {
  auto launch = launch_of(latest());
  launch.max_iterations.reset();
  launch.max_epochs = 3;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kFinished);  // 300 of 100 samples
  launch.max_epochs = 4;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kRestore);
}

TEST(Rule, OfTwoLimitsTheOneThatIsReachedIsNamed) {
  auto launch = launch_of(latest(), "", 500);
  launch.max_epochs = 3;
  EXPECT_EQ(rule(plain(), launch).record.reasons.front(),
            "1@30 has reached run.max_epochs 3: nothing to train");
  launch = launch_of(latest(), "", 30);
  launch.max_epochs = 50;
  EXPECT_EQ(rule(plain(), launch).record.reasons.front(),
            "1@30 has reached run.max_iterations 30: nothing to train");
}

// Attempt 1 ended at 1@30, which is position 300 of data of 100 samples.
TEST(Rule, SamplesPassedOverCountForMaxEpochs) {
  const auto skipping = [](Request request, std::int64_t samples) {
    request.skip_samples = samples;
    return request;
  };
  const auto part = [](Request request) {
    request.model_only = true;
    return request;
  };
  const auto from = [](Request request) {
    request.from = "/elsewhere";
    return request;
  };
  const auto kTrains = DecisionKind::kRestore;
  const auto kEnds = DecisionKind::kFinished;
  const struct {
    Request request;
    DecisionKind kind;       // by the manifest's length, as `plan` and the trial decide
    DecisionKind with_data;  // by the data's own, of twice as many samples
  } rows[] = {
      {skipping(latest(), 199), kTrains, kTrains},
      {skipping(latest(), 200), kEnds, kTrains},
      {skipping(latest(), 699), kEnds, kTrains},
      {skipping(latest(), 700), kEnds, kEnds},
      {skipping(latest(), INT64_MAX), kEnds, kEnds},
      {skipping(from(iteration(10)), 399), kTrains, kTrains},
      {skipping(from(iteration(10)), 900), kEnds, kEnds},
      // Weights alone begin at 0.
      {skipping(part(latest()), 499), kTrains, kTrains},
      {skipping(part(latest()), 500), kEnds, kTrains},
      {skipping(part(latest()), 1000), kEnds, kEnds},
      // How long the data is they do not say where they were trained on other data.
      {skipping(part(from(latest())), 1000), kTrains, kEnds},
  };
  SourceView elsewhere;
  elsewhere.path = "/elsewhere";
  elsewhere.store = StoreBuilder().attempt("o", {}).checkpoint(10);
  elsewhere.store.id = "other";
  for (const auto& row : rows) {
    SCOPED_TRACE(canonical_json(row.request));
    auto launch = launch_of(row.request);
    launch.max_epochs = 5;
    EXPECT_EQ(rule(plain(), launch, &elsewhere).record.kind, row.kind);
    launch.data = DataPosition{0, 200, "d"};
    EXPECT_EQ(rule(plain(), launch, &elsewhere).record.kind, row.with_data);
  }
  auto launch = launch_of(skipping(latest(), 200), "r");
  launch.max_epochs = 5;
  EXPECT_EQ(rule(plain(), launch).record.reasons.front(),
            "1@30, with restore.skip_samples 200 passed over, has reached run.max_epochs 5: "
            "nothing to train; pass over fewer");
  // They are passed over once.
  const auto carries_on =
      plain().attempt("r", launch.request, CheckpointId{1, 30}).checkpoint(31).checkpoint(32);
  EXPECT_EQ(rule(carries_on, launch).record.kind, kTrains);
}

}  // namespace
}  // namespace lockstep
