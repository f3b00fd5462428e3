#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "common/agree.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/failure.h"
#include "common/names.h"
#include "common/retries.h"
#include "coordinator/candidates.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/daemon/early_end.h"
#include "coordinator/daemon/job.h"
#include "coordinator/daemon/log_transfer.h"
#include "coordinator/daemon/placement_text.h"
#include "coordinator/liveness.h"
#include "worker/accelerator.h"
#include "worker/checkpoint.h"
#include "worker/make_task.h"
#include "worker/mpi_collectives.h"
#include "worker/precision.h"
#include "worker/training_iteration.h"

namespace lockstep {

namespace {

// Found out at the first evaluation it would cost the work until then.
void require_metric(const CheckpointConfig& config, const Task& task) {
  if (!config.keep_best) return;
  const auto there = metric_names(task);
  const auto& wanted = config.keep_best->metric;
  if (std::find(there.begin(), there.end(), wanted) != there.end()) return;
  throw Error(ErrorCode::kInvalidConfig,
              "checkpoint.keep_best.metric: this task's evaluation gives no '" + wanted +
                  "'; it gives " + enumerate(there));
}

}  // namespace

void make_task_of(Job& job) {
  const auto& config = job.loaded.config;
  if (config.data.global_batch < job.comm.size())
    throw Error(ErrorCode::kInvalidConfig, std::to_string(job.comm.size()) +
                                               " ranks for a global_batch of " +
                                               std::to_string(config.data.global_batch) +
                                               ": start fewer ranks, or raise data.global_batch");
  job.task = make_task(job.loaded, job.host.threads);
  job.library = library_id(job.loaded.paths.library);
  require_metric(config.checkpoint, *job.task);
}

namespace {

// Rank 0 tells people where the job trains, and of ranks that get in each other's way.
void say_placement(Job& job) {
  std::array<double, 1> hosts = {job.host.first() ? 1.0 : 0.0};
  sum_over_ranks(job.comm, hosts);
  const auto troubles = gather_texts(job.comm, binding_trouble(job.host));
  if (!job.root) return;
  const auto& placement = job.placement;
  job.log.info(placement_text(job.comm.size(), static_cast<int>(hosts[0]), job.host, placement,
                              placement.on_gpu() ? gpu_name(placement.gpu) : ""));
  if (job.loaded.config.precision == "bf16" && !placement.on_gpu() && !cpu_has_bf16())
    job.log.warning(
        "precision: bf16 is several times slower than fp32 here: this processor has no "
        "instructions for it (avx512_bf16, amx_tile)");
  for (std::size_t rank = 0; rank < troubles.size(); ++rank) {
    if (troubles[rank].empty()) continue;
    job.log.warning("rank " + std::to_string(rank) + ": " + troubles[rank]);
    return;
  }
}

void choose_placement(Job& job, const GpuSight& sight) {
  job.placement = agree_on_placement(job.comm, job.loaded.config, sight, job.host, *job.task);
  if (job.placement.on_gpu())
    job.accelerator = std::make_unique<Accelerator>("cuda:" + std::to_string(job.placement.gpu));
  say_placement(job);
}

}  // namespace

void prepare_task(Job& job) {
  job.board.enter(Phase::kPrepare);
  job.host = host_share(job.comm);
  const auto& config = job.loaded.config;
  const auto sight = agree(job.comm, "prepare task", [&] {
    const AtWork at_work(job.board);
    auto seen = look_for_gpus(config);
    make_task_of(job);
    return seen;
  });
  choose_placement(job, sight);
  agree(job.comm, "prepare task", [&] {
    const AtWork at_work(job.board);
    job.state = std::make_unique<TrainingState>(*job.task, config.optimizer, std::nullopt,
                                                Share{job.comm.rank(), job.comm.size()});
    job.trained = {
        .view = job.state->view(),
        .data = {0, job.task->training_samples(),
                 within("the task's data_digest()", [&] { return job.task->data_digest(); })},
        .initialize =
            [&job] {
              within("the task's initialize()", [&] {
                job.task->initialize(static_cast<std::uint64_t>(job.loaded.config.run.seed));
              });
            },
        .clear = [&job] { job.state->clear(); }};
  });
}

namespace {

// What decides a rank's training besides the decision. Known, and hashed, while rank 0 decides.
struct Fixed {
  Hash128 configuration;
  Hash128 build;
  Hash128 library;
  Hash128 model;
  Hash128 data;
};

Fixed fixed_of(Job& job) {
  return {hash128(canonical_json(job.loaded.config)), hash128(job.build), hash128(job.library),
          hash128(tensors_digest(job.trained.view)),
          hash128(job.trained.data.digest + " " + std::to_string(job.trained.data.length))};
}

// Step 5: every rank answers for what it has.
void prove_equal(Job& job, const std::string& bytes, const Fixed& mine) {
  require_same(job.comm, {{"decision", hash128(bytes)},
                          {"configuration", mine.configuration},
                          {"build", mine.build},
                          {"task.library", mine.library},
                          {"model", mine.model},
                          {"data", mine.data,
                           job.task ? "data_digest() and training_samples() must be functions of "
                                      "the data alone, and the data the same on all ranks"
                                    : "restore() must be told the same of the data on all ranks"}});
}

// One rank of each host reads the nonce: a store that only looks the same by its path (a node-local
// disk) would lose every shard of the other nodes. What can't be read just now says nothing of
// that.
void prove_one_store(Job& job) {
  agree(job.comm, "see the store", [&] {
    if (!job.host.first()) return;
    const auto path = attempt_path(job.loaded.paths.store, job.decision.attempt) + "/claim.json";
    std::string why;
    try {
      const auto text = with_retries([&] { return read_small_file(job.files, path); });
      if (parse_claim(text, "claim.json").nonce == job.decision.nonce) return;
      why = "holds another claim";
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kIo) throw;
      why = e.what();
    }
    throw Error(ErrorCode::kMismatch, "host " + this_process().host +
                                          " does not see rank 0's store " + job.loaded.paths.store +
                                          " (" + why +
                                          "): store: must be on a file system that all share");
  });
}

void take_decision(Job& job, const std::string& bytes) {
  job.decision =
      agree(job.comm, "read the decision", [&] { return decode_shared_decision(bytes); });
  job.manifest.reset();
  if (!job.decision.checkpoint) return;
  job.manifest = agree(job.comm, "read the manifest", [&] {
    return parse_manifest(job.decision.manifest, *job.decision.checkpoint, "manifest.json");
  });
}

void say_restored(const Job& job, const StateView& view, double seconds) {
  auto tensors = tensors_of(view);
  std::erase_if(tensors, [&](const TensorInfo& tensor) {
    return !is_selected(job.decision.selection, tensor.name);
  });
  const auto what = job.manifest ? to_text(job.manifest->checkpoint)
                                 : job.decision.record.source.value_or("weights");
  log_transfer(job.log, {"restored", what, "", data_bytes(tensors), seconds});
}

// Of what every rank holds whole.
Hash128 values_of(const StateView& view) {
  std::string digests;
  for (const auto& section : view.sections) {
    if (!section.replicated) continue;
    const auto bytes = static_cast<std::size_t>(section.elements) * bytes_of(section.dtype);
    digests += digest128(std::span<const std::byte>(section.data, bytes));
  }
  return hash128(digests);
}

// Others' code, on each rank: it may fail on one of them alone, and give each other values, of
// which a checkpoint would hold a part of each rank's.
void initialize(Job& job) {
  agree(job.comm, "initialize", [&] {
    try {
      job.trained.initialize();
    } catch (const Error& e) {
      // What it found damaged is no checkpoint: another one would not help.
      if (e.code() != ErrorCode::kDamaged) throw;
      throw Error(ErrorCode::kInvalidConfig, e.what());
    }
  });
  require_same(job.comm, {{"initial values", values_of(job.trained.view),
                           "initialize() must be a function of its seed alone"}});
}

// Loads what was decided, all of it or nothing on every rank. What is not loaded starts with its
// initial values; where all of it is, they would be made for nothing.
void load(Job& job) {
  const auto& view = job.trained.view;
  const auto& decision = job.decision;
  const bool loads = job.manifest || !decision.weights.empty();
  if (!loads || decision.selection != Selection{}) initialize(job);
  const auto clock = steady_clock();
  const auto began_s = clock.now_s();
  if (job.manifest) {
    load_checkpoint(job.comm, job.files, decision.folder, *job.manifest, decision.selection, view);
  } else if (!decision.weights.empty()) {
    const auto weights = agree(job.comm, "read the weights' places",
                               [&] { return parse_weights(decision.weights); });
    load_weights(job.comm, job.files, decision.record.source.value_or(""), weights,
                 decision.selection, view, job.arena);
  }
  if (loads) say_restored(job, view, clock.now_s() - began_s);
}

// Step 6. Only damage leads to another candidate, by a new decision of rank 0.
void load_decided(Job& job) {
  job.board.enter(Phase::kLoad);
  for (;;) {
    try {
      return load(job);
    } catch (const AgreedError& e) {
      if (e.code() != ErrorCode::kDamaged) throw;
      // What is decided now may be less: a fresh start, weights alone.
      job.trained.clear();
      const auto bytes = root_decides(job.comm, "choose restore again",
                                      [&] { return job.root->decide_again(e.cause()); });
      require_same(job.comm, {{"decision", hash128(bytes)}});
      take_decision(job, bytes);
    }
  }
}

}  // namespace

std::optional<int> restore(Job& job) {
  job.board.enter(Phase::kRestore);
  const auto mine = fixed_of(job);
  const auto bytes = root_decides(job.comm, "choose restore", [&] {
    job.root->describe(job.trained.data, environment_of(job));
    return or_early_end(job.log, [&] { return job.root->claim(); });
  });
  if (const auto code = early_exit_code(bytes)) return code;
  prove_equal(job, bytes, mine);
  take_decision(job, bytes);
  prove_one_store(job);
  load_decided(job);
  return std::nullopt;
}

void restore_beside(Job& job) {
  job.board.enter(Phase::kRestore);
  const auto mine = fixed_of(job);
  const auto bytes = root_decides(job.comm, "choose restore", [&] { return job.root->preview(); });
  prove_equal(job, bytes, mine);
  take_decision(job, bytes);
  load_decided(job);
}

}  // namespace lockstep
