#include "common/attempt_records.h"

#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/sealed_json.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::expect_every_damage_is_seen;
using ::testing::StartsWith;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
const std::string kStoreId = "0123456789abcdef0123456789abcdef";

Claim small_claim() {
  return {.run = "r",
          .request = R"({"mode":"latest"})",
          .store_id = kStoreId,
          .job = "4242_1",
          .restart_count = 2,
          .process = {.host = "n1",
                      .boot_id = "b",
                      .pid_namespace = "pid:[1]",
                      .pid = 17,
                      .start_time = 99},
          .world_size = 4,
          .ranks_per_node = {3, 1},
          .hosts = {"n1", "n2"},
          .build = "0.1.0",
          .config = R"({"a":0.1})",
          .config_digest = "cd",
          .heartbeat_seconds = 0.1,
          .grace_seconds = 60,
          .stall_seconds = 300,
          .deadline = 1800000000,
          .nonce = kStoreId,
          .created = "2025-01-02T03:04:05Z"};
}

Outcome small_outcome() {
  return {.outcome = OutcomeKind::kFailed,
          .exit_code = 76,
          .last_committed_iteration = 0,
          .error = "rank 2 is silent",
          .silent = {{.rank = 2, .host = "n2", .phase = "save"}},
          .save_seconds = 1.25};
}

TEST(AttemptRecords, TheStoresRecordComesBack) {
  const std::string text = encode(StoreRecord{.format_version = 1, .id = kStoreId});
  EXPECT_EQ(parse_store_record(text, "s").id, kStoreId);
  EXPECT_EQ(parse_store_record(text, "s").format_version, 1);
  EXPECT_EQ(parse_store_record(encode(StoreRecord{.format_version = 2, .id = kStoreId}), "s")
                .format_version,
            2);
  for (const std::string& id :
       {std::string(), kStoreId.substr(1), kStoreId + "0", std::string(32, 'F')}) {
    error_of(ErrorCode::kDamaged,
             [&] { parse_store_record(encode(StoreRecord{.format_version = 1, .id = id}), "s"); });
  }
}

TEST(AttemptRecords, AClaimComesBack) {
  const Claim claim = small_claim();
  const Claim back = parse_claim(encode(claim), "c");
  EXPECT_EQ(encode(back), encode(claim));
  EXPECT_EQ(back.process, claim.process);
  EXPECT_EQ(back.request, claim.request);
  EXPECT_EQ(back.job, "4242_1");
  EXPECT_EQ(back.ranks_per_node, claim.ranks_per_node);
  EXPECT_EQ(back.hosts, claim.hosts);
  EXPECT_EQ(back.config, claim.config);
  EXPECT_EQ(back.heartbeat_seconds, 0.1);
  Claim jobless = claim;
  jobless.job.reset();
  EXPECT_EQ(parse_claim(encode(jobless), "c").job, std::nullopt);
}

TEST(AttemptRecords, EveryOutcomeComesBack) {
  const std::vector<std::pair<OutcomeKind, std::string>> kinds = {
      {OutcomeKind::kFinished, "finished"}, {OutcomeKind::kPreempted, "preempted"},
      {OutcomeKind::kStopped, "stopped"},   {OutcomeKind::kFailed, "failed"},
      {OutcomeKind::kRefused, "refused"},   {OutcomeKind::kSuperseded, "superseded"}};
  for (const auto& [kind, text] : kinds) {
    Outcome outcome = small_outcome();
    outcome.outcome = kind;
    EXPECT_EQ(to_text(kind), text);
    const Outcome back = parse_outcome(encode(outcome), "o");
    EXPECT_EQ(back.outcome, kind);
    EXPECT_EQ(encode(back), encode(outcome));
    EXPECT_EQ(back.last_committed_iteration, 0);
    EXPECT_EQ(back.silent[0].phase, "save");
    EXPECT_EQ(back.save_seconds, 1.25);
  }
  const Outcome none = parse_outcome(encode(Outcome{}), "o");
  EXPECT_EQ(none.last_committed_iteration, std::nullopt);
  EXPECT_EQ(none.error, std::nullopt);
}

TEST(AttemptRecords, EveryTruncationAndEveryBitFlipIsDamage) {
  expect_every_damage_is_seen(encode(StoreRecord{.format_version = 1, .id = kStoreId}),
                              [](const std::string& text) { parse_store_record(text, "s"); });
  expect_every_damage_is_seen(encode(small_claim()),
                              [](const std::string& text) { parse_claim(text, "c"); });
  expect_every_damage_is_seen(encode(small_outcome()),
                              [](const std::string& text) { parse_outcome(text, "o"); });
}

template <typename Parse>
void expect_damage(const std::string& good,
                   const std::vector<std::pair<const char*, const char*>>& bad, Parse parse) {
  for (const auto& [pointer, value] : bad) {
    json object = json::parse(good);
    object[json::json_pointer(pointer)] = json::parse(value);
    const std::string text = seal(object);
    EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { parse(text); }), StartsWith("w: "))
        << pointer << " " << value;
  }
  const json whole = json::parse(good);
  for (const auto& [key, unused] : whole.items()) {
    json object = whole;
    object.erase(key);
    if (key != "digest") error_of(ErrorCode::kDamaged, [&] { parse(seal(object)); });
  }
}

TEST(AttemptRecords, SealedFilesOfOtherTypesAreDamage) {
  expect_damage(encode(small_claim()),
                {{"/run", "null"},
                 {"/request", "null"},
                 {"/request", "[]"},
                 {"/store_id", "7"},
                 {"/job", "4242"},
                 {"/restart_count", "-1"},
                 {"/host", "null"},
                 {"/pid", "\"17\""},
                 {"/pid", "-1"},
                 {"/start_time", "1.5"},
                 {"/world_size", "null"},
                 {"/ranks_per_node", "4"},
                 {"/ranks_per_node", "[-1]"},
                 {"/hosts", "[1]"},
                 {"/config", "\"{}\""},
                 {"/config_digest", "null"},
                 {"/heartbeat_seconds", "\"5\""},
                 {"/heartbeat_seconds", "-1"},
                 {"/grace_seconds", "null"},
                 {"/stall_seconds", "-0.5"},
                 {"/deadline", "-1"},
                 {"/deadline", "\"1\""},
                 {"/nonce", "7"},
                 {"/created", "null"}},
                [](const std::string& text) { parse_claim(text, "w"); });
  expect_damage(encode(small_outcome()),
                {{"/outcome", "\"done\""},
                 {"/outcome", "7"},
                 {"/exit_code", "256"},
                 {"/exit_code", "\"0\""},
                 {"/last_committed_iteration", "-1"},
                 {"/error", "7"},
                 {"/silent", "null"},
                 {"/silent/0", "[]"},
                 {"/silent/0/rank", "-1"},
                 {"/silent/0/host", "null"},
                 {"/silent/0/phase", "7"},
                 {"/save_seconds", "-1"},
                 {"/save_seconds", "\"1\""}},
                [](const std::string& text) { parse_outcome(text, "w"); });
  expect_damage(
      encode(StoreRecord{.format_version = 1, .id = kStoreId}),
      {{"/format_version", "\"1\""}, {"/format_version", "-1"}, {"/id", "null"}, {"/id", "\"x\""}},
      [](const std::string& text) { parse_store_record(text, "w"); });
}

TEST(Heartbeat, IsOneLineOfFixedSize) {
  for (const Heartbeat& heartbeat :
       {Heartbeat{}, Heartbeat{.counter = 1, .iteration = 1200, .last_committed = 0},
        Heartbeat{.counter = kMax, .iteration = kMax, .last_committed = kMax}}) {
    const std::string line = encode(heartbeat);
    EXPECT_EQ(line.size(), kHeartbeatBytes);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(parse_heartbeat(line), heartbeat);
  }
}

TEST(Heartbeat, IsReadWithAnyNumberOfDigits) {
  EXPECT_EQ(parse_heartbeat("counter 7 iteration 12 committed -\n"),
            (Heartbeat{.counter = 7, .iteration = 12, .last_committed = std::nullopt}));
  EXPECT_EQ(parse_heartbeat("counter 7 iteration 12 committed 10   \n"),
            (Heartbeat{.counter = 7, .iteration = 12, .last_committed = 10}));
}

TEST(Heartbeat, TornOrForeignTextIsNone) {
  for (const char* bad :
       {"", "\n", "counter 7 iteration 12 committed 10", "counter 7 iteration 12 committed\n",
        "counter 7 iteration 12\n", "counter 7\n", "7 12 10\n",
        "counter -7 iteration 12 committed 10\n", "counter 7 iteration x committed 10\n",
        "counter 7 iteration 12 committed 10 more\n", "counter 7 iteration 12 committed --\n",
        "counter 07 iteration 12 committed 10\n", "counter 7 iteration 12 committed 10\n\n",
        "counter 9223372036854775808 iteration 12 committed 10\n",
        "counter\t7 iteration 12 committed 10\n", "iteration 12 counter 7 committed 10\n"}) {
    EXPECT_FALSE(parse_heartbeat(bad)) << bad;
  }
  const std::string line = encode(Heartbeat{.counter = 5, .iteration = 6, .last_committed = 7});
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(parse_heartbeat(line.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace lockstep
