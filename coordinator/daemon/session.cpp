#include "coordinator/daemon/session.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "common/agree.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/log.h"
#include "common/names.h"
#include "coordinator/attempt.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/daemon/root.h"
#include "coordinator/daemon/shared_decision.h"
#include "worker/checkpoint.h"
#include "worker/collectives.h"
#include "worker/make_task.h"
#include "worker/stop_signals.h"
#include "worker/training_loop.h"
#include "worker/training_state.h"

namespace lockstep {

namespace {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

std::vector<std::int64_t> ranks_per_node(const std::vector<std::string>& hosts) {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i == 0 || hosts[i] != hosts[i - 1]) counts.push_back(0);
    ++counts.back();
  }
  return counts;
}

std::vector<std::string> distinct(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Rank 0: what this launch brings to the decision, and the claim that it will make.
std::unique_ptr<Root> make_root(const Comm& comm, FileSystem& files, const LoadedConfig& loaded,
                                const Log& log, const std::vector<std::string>& hosts,
                                const std::string& build) {
  const auto& config = loaded.config;
  const auto canonical = canonical_json(config);
  LaunchFacts launch;
  launch.request = config.restore;
  launch.run = identify_run(config.run.id, environment, "run-" + random_hex(8));
  launch.max_iterations = config.run.max_iterations;
  launch.max_epochs = config.run.max_epochs;
  launch.store_path = loaded.paths.store;
  launch.world_size = comm.size();
  launch.hosts = distinct(hosts);
  launch.build = build;
  launch.config_digest = digest128(canonical);

  Claim claim;
  claim.run = launch.run.id;
  claim.request = canonical_json(config.restore);
  claim.job = launch.run.job;
  claim.restart_count = launch.run.restart_count;
  claim.process = this_process();
  claim.world_size = comm.size();
  claim.ranks_per_node = ranks_per_node(hosts);
  claim.hosts = launch.hosts;
  claim.build = build;
  claim.config = canonical;
  claim.config_digest = launch.config_digest;
  claim.heartbeat_seconds = config.watchdog.heartbeat_seconds;
  claim.grace_seconds = static_cast<double>(config.preempt.grace_seconds);
  claim.stall_seconds = config.watchdog.stall_seconds;
  claim.nonce = random_hex(32);
  claim.created = wall_clock_text();
  return std::make_unique<Root>(files, loaded, log, std::move(launch), std::move(claim));
}

// A job of this process: what lives as long as it, in the order in which it comes to be.
struct Session {
  const Comm& comm;
  FileSystem& files;
  LoadedConfig loaded;
  Log log;
  std::string build;
  std::unique_ptr<Root> root;  // rank 0 only
  HostShare host;
  std::unique_ptr<Task> task;
  std::unique_ptr<TrainingState> state;
  SharedDecision decision;
  std::optional<Manifest> manifest;  // of the decided checkpoint
  bool training = false;             // iterations may have been made

  Session(const Comm& comm_in, FileSystem& files_in, LoadedConfig loaded_in)
      : comm(comm_in),
        files(files_in),
        loaded(std::move(loaded_in)),
        log(loaded.config.log, comm.is_root()) {}
};

void prepare_task(Session& s) {
  s.host = host_share(s.comm);
  agree(s.comm, "prepare task", [&] {
    const auto& config = s.loaded.config;
    if (config.data.global_batch < s.comm.size())
      throw Error(ErrorCode::kInvalidConfig, std::to_string(s.comm.size()) +
                                                 " ranks for a global_batch of " +
                                                 std::to_string(config.data.global_batch) +
                                                 ": start fewer ranks, or raise data.global_batch");
    s.task = make_task(s.loaded, s.host.threads);
    s.state = std::make_unique<TrainingState>(*s.task, config.optimizer,
                                              static_cast<std::uint64_t>(config.run.seed),
                                              Share{s.comm.rank(), s.comm.size()});
  });
}

// Step 5: every rank answers for what it has.
void prove_equal(Session& s, const std::string& bytes) {
  require_same(s.comm, "decision", digest128(bytes));
  require_same(s.comm, "configuration", digest128(canonical_json(s.loaded.config)));
  require_same(s.comm, "build", s.build);
  require_same(s.comm, "model", tensors_digest(s.state->view()));
  require_same(s.comm, "data", s.task->data_digest());
}

// One rank of each host reads the nonce: a store that only looks the same by its path (a node-local
// disk) would lose every shard of the other nodes.
void prove_one_store(Session& s) {
  const bool first = is_first_on_host(s.comm);
  agree(s.comm, "see the store", [&] {
    if (!first) return;
    const auto path = attempt_path(s.loaded.paths.store, s.decision.attempt) + "/claim.json";
    std::string why;
    try {
      if (parse_claim(read_small_file(s.files, path), "claim.json").nonce == s.decision.nonce)
        return;
      why = "holds another claim";
    } catch (const Error& e) {
      why = e.what();
    }
    throw Error(ErrorCode::kMismatch, "host " + this_process().host +
                                          " does not see rank 0's store " + s.loaded.paths.store +
                                          " (" + why +
                                          "): store: must be on a file system that all share");
  });
}

void take_decision(Session& s, const std::string& bytes) {
  s.decision = agree(s.comm, "read the decision", [&] { return decode_shared_decision(bytes); });
  s.manifest.reset();
  if (s.decision.record.kind != DecisionKind::kRestore) return;
  s.manifest = agree(s.comm, "read the manifest", [&] {
    return parse_manifest(s.decision.manifest, s.decision.record.parent->checkpoint,
                          "manifest.json");
  });
}

// Step 6. Only damage leads to another candidate, by a new decision of rank 0.
void load_decided(Session& s) {
  while (s.manifest) {
    try {
      auto view = s.state->view();
      load_checkpoint(s.comm, s.files,
                      checkpoint_path(s.loaded.paths.store, s.manifest->checkpoint), *s.manifest,
                      view);
      return;
    } catch (const AgreedError& e) {
      if (e.code() != ErrorCode::kDamaged) throw;
      const auto bytes = root_decides(s.comm, "choose restore again",
                                      [&] { return s.root->decide_again(e.cause()); });
      require_same(s.comm, "decision", digest128(bytes));
      take_decision(s, bytes);
    }
  }
}

std::string own_metric_text(const Metrics& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) {
    char number[32];
    std::snprintf(number, sizeof number, "%.4f", value);
    text += ", " + name + " " + number;
  }
  return text;
}

Manifest manifest_of(const Session& s, const SaveRequest& save) {
  Manifest manifest;
  manifest.checkpoint = {s.decision.attempt, save.iteration};
  manifest.seed = s.loaded.config.run.seed;
  manifest.parent = s.decision.record.parent;
  manifest.data = {save.position, s.task->training_samples(), s.task->data_digest()};
  manifest.metrics = save.metrics;
  manifest.config = canonical_json(s.loaded.config);
  manifest.run = s.decision.record.run;
  manifest.created = wall_clock_text();
  manifest.environment = {{"build", s.build},
                          {"collectives", "mpi"},
                          {"processor", processor_model()},
                          {"ranks_per_node", std::to_string(s.host.ranks)},
                          {"threads", std::to_string(s.host.threads)}};
  return manifest;
}

void save(Session& s, const SaveRequest& request) {
  const auto steps = s.root ? s.root->commit_steps() : CommitSteps{};
  save_checkpoint(s.comm, s.files, s.loaded.paths.store, manifest_of(s, request), s.state->view(),
                  steps);
  if (!s.root) return;
  s.log.info(
      "committed " + to_text(CheckpointId{s.decision.attempt, request.iteration}) +
          own_metric_text(request.metrics),
      {{"committed", "\"" + to_text(CheckpointId{s.decision.attempt, request.iteration}) + "\""}});
  s.root->tidy();
}

TrainingResult train_decided(Session& s) {
  TrainingStart start;
  if (s.manifest) start = {s.manifest->checkpoint.iteration, s.manifest->data.position};
  TrainingCallbacks callbacks;
  callbacks.save = [&](const SaveRequest& request) { save(s, request); };
  callbacks.stop_signal = stop_signal_received;
  if (s.root)
    callbacks.on_iteration = [&](const Progress& p) { s.root->note_iteration(p.iteration); };
  s.training = true;
  return train(s.comm, {s.loaded.config, *s.task, *s.state, s.log}, start, callbacks);
}

// Says how it ended, writes outcome.json, and gives the exit code.
int conclude(Session& s, const TrainingResult& result) {
  switch (result.end) {
    case TrainingEnd::kFinished:
      s.log.info("finished at iteration " + std::to_string(result.iteration) +
                 own_metric_text(result.metrics));
      if (s.root) s.root->close(OutcomeKind::kFinished, 0, std::nullopt);
      return 0;
    case TrainingEnd::kPreempted:
      s.log.info(result.message + "; exit 75: requeue to carry on");
      if (s.root) s.root->close(OutcomeKind::kPreempted, 75, std::nullopt);
      return 75;
    case TrainingEnd::kStopped:
      s.log.info(result.message + "; exit 77");
      if (s.root) s.root->close(OutcomeKind::kStopped, 77, std::nullopt);
      return 77;
    case TrainingEnd::kNonFinite:
      break;
  }
  if (!s.root) return 2;
  const auto back = s.root->last_finite();
  const auto advice = back ? "the last finite checkpoint is " + to_text(*back) +
                                 ": go back with restore: " + to_text(*back)
                           : std::string(
                                 "no finite checkpoint was committed: start anew with "
                                 "restore: fresh and a lower learning rate");
  s.log.error(result.message + "; nothing is saved; " + advice);
  s.root->close(OutcomeKind::kFailed, 2, result.message);
  return 2;
}

int run_claimed(Session& s) {
  const auto bytes = root_decides(s.comm, "choose restore", [&] { return s.root->claim(); });
  prove_equal(s, bytes);
  take_decision(s, bytes);
  prove_one_store(s);
  load_decided(s);
  return conclude(s, train_decided(s));
}

int run_loaded(Session& s) {
  s.build = agree(s.comm, "read the build", build_id);
  const auto hosts = gather_names(s.comm, this_process().host);
  const auto trial = root_decides(s.comm, "choose restore", [&] {
    s.root = make_root(s.comm, s.files, s.loaded, s.log, hosts, s.build);
    return encode_decision(s.root->look());
  });
  const auto record = agree(s.comm, "read the decision",
                            [&] { return parse_decision(trial, "the trial decision"); });
  if (record.kind == DecisionKind::kFinished) return 0;
  prepare_task(s);
  return run_claimed(s);
}

OutcomeKind outcome_of(const AgreedError& error, bool training) {
  if (error.code() == ErrorCode::kSuperseded) return OutcomeKind::kSuperseded;
  return training ? OutcomeKind::kFailed : OutcomeKind::kRefused;
}

// What the user reads: what rank 0 decided needs no "rank 0" in front.
std::string error_text(const AgreedError& error) {
  const bool of_root = error.rank() == 0 && exit_code(error.code()) == 2;
  return of_root ? error.cause() : error.what();
}

}  // namespace

int run_session(const Comm& comm, FileSystem& files, const ReadConfig& read_config) {
  std::optional<Session> session;
  try {
    const auto bytes = root_decides(comm, "read configuration", read_config);
    session.emplace(comm, files,
                    agree(comm, "read configuration", [&] { return decode_config(bytes); }));
    agree(comm, "watch signals",
          [&] { narrow_stop_signals(session->loaded.config.preempt.signals); });
    return run_loaded(*session);
  } catch (const AgreedError& e) {
    const int code = exit_code(e.code());
    if (!comm.is_root()) return code;
    if (!session) {
      std::fprintf(stderr, "lockstepd: %s\n", escape_controls(error_text(e)).c_str());
      return code;
    }
    session->log.error(error_text(e));
    if (session->root) session->root->close(outcome_of(e, session->training), code, error_text(e));
    return code;
  }
}

}  // namespace lockstep
