#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/file_system.h"
#include "common/log.h"
#include "common/manifest.h"
#include "coordinator/daemon/root.h"
#include "coordinator/daemon/shared_decision.h"
#include "coordinator/daemon/supervision.h"
#include "worker/accelerator.h"
#include "worker/arena.h"
#include "worker/host_share.h"
#include "worker/placement.h"
#include "worker/state.h"
#include "worker/task.h"
#include "worker/training_loop.h"
#include "worker/training_state.h"

namespace lockstep {

// What a job trains, as all that surrounds the training sees it. Set when its tensors are in place.
struct Trained {
  StateView view;
  DataPosition data;                 // length and digest
  std::function<void()> initialize;  // fills all of it with what a fresh start begins with
  std::function<void()> clear;       // all of it is zero again
};

// What lives as long as a job, in the order in which it comes to be. One on every rank.
struct Job {
  Job(const Comm& comm_in, FileSystem& files_in, Supervision& supervision_in,
      LoadedConfig loaded_in)
      : comm(comm_in),
        files(files_in),
        supervision(supervision_in),
        board(supervision_in.board),
        loaded(std::move(loaded_in)),
        log(loaded.config.log, comm.is_root()) {}

  const Comm& comm;
  FileSystem& files;  // counted on the board
  Supervision& supervision;
  ProgressBoard& board;
  LoadedConfig loaded;
  Log log;
  std::string build;           // of this rank's program
  std::string library;         // of the task's shared object: its digest; "" where there is none
  std::unique_ptr<Root> root;  // rank 0 only
  HostShare host;
  Placement placement;                       // of the training
  std::unique_ptr<Accelerator> accelerator;  // where that is not on the CPU
  std::unique_ptr<Task> task;
  std::unique_ptr<TrainingState> state;
  Trained trained;
  Arena arena;  // for one load of weights, and then for one save at a time
  SharedDecision decision;
  std::optional<Manifest> manifest;      // of the decided checkpoint
  bool training = false;                 // iterations may have been made
  std::function<double()> seconds_left;  // rank 0: until the deadline; empty: there is none
};

// The stages of a job, in their order. Collective over job.comm, all of them; AgreedError.

// For --check: tries what the job will rely on, prints what was found; gives the exit code. Claims
// nothing, and leaves nothing in the store.
int check_launch(Job& job);

// Builds the task, its state and job.trained; nothing is claimed yet.
void prepare_task(Job& job);
// Local: the task alone, its data loaded. job.host must be known.
void make_task_of(Job& job);

// DESIGN's steps 3 to 6: claim and decide, prove that all ranks have the same, load. An exit code
// where another launch took the number, and this one was stopped while it waited for that one's
// end (early_end.h).
std::optional<int> restore(Job& job);
// The same for --evaluate: beside whatever runs on the store; claims and writes nothing.
void restore_beside(Job& job);

// Evaluates what was loaded and prints the metrics to stdout; gives the exit code.
int evaluate_decided(Job& job);

// Trains to the end, says how it ended, writes outcome.json; gives the exit code.
int train_to_end(Job& job);
// Its parts, for a loop that is not lockstep's own (own_loop.h). Local: from where it trains, and
// what the loop asks of the job, which must outlive it. Collective: memory for saves beside
// training, and how the training ended.
TrainingStart start_of(const Job& job);
TrainingCallbacks callbacks_of(Job& job);
void begin_training(Job& job, const TrainingStart& start);
int conclude(Job& job, const TrainingResult& result);

// Another attempt finished the work between the first look and the claim; gives the exit code.
int end_finished(Job& job);

// Local: what bit-identity depends on besides configuration and world size.
std::map<std::string, std::string> environment_of(const Job& job);

}  // namespace lockstep
