#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/config_text.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(Foreign, ANameFromElsewhereIsToldWhatItIsHere) {
  const std::string latest = "here that is 'restore: latest', or 'restore: 1200'";
  const std::string fresh = "here that is 'restore: fresh'";
  const std::string automatic = "here that is 'restore: auto' (latest, but fresh";
  const std::string any_ranks = "here that is not needed: any number of ranks loads";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"resume: true", latest},
      {"early_stopping: true", "calls 'lockstep stop STORE'"},
      {"num_workers: 4", "reads ahead on a thread of its own"},
      {"warmup_ratio: 0.1", "schedule.warmup, in iterations"},
      {"load_best_model_at_end: true", "'restore: best' loads it"},
      {"resume: False", fresh},
      {"resume: 0", fresh},
      {"resume:", fresh},
      {"resume_from_checkpoint: null", fresh},
      {"resume_from_checkpoint: latest", "here that is 'restore: latest'"},
      {"resume_from_checkpoint: 3@40", "here that is 'restore: 3@40'"},
      {"resume_from_checkpoint: /x/checkpoint-30",
       "here that is 'restore: latest', or 'restore: 30' for a certain iteration"},
      {"resume_from_checkpoint: /x/checkpoint", latest},
      {"resume_from_checkpoint: checkpoint-30", "here that is 'restore: 30'"},
      {"resume: 1800", "here that is 'restore: 1800'"},
      {"resume: 1", latest},
      {"resume: last", "here that is 'restore: latest'"},
      {"resume: -1", automatic},
      {"resume: allow", automatic},
      {"resume: never", fresh},
      {"ckpt_path: hpc", automatic},
      {"ckpt_path: last", "here that is 'restore: latest'"},
      {"ckpt_path: x/epoch=3-step=1800.ckpt", "here that is store with 'restore: 1800', or"},
      {"load_step: -1", automatic},
      {"load_step: 30", "here that is restore.iteration"},
      {"ckpt_step: -1", automatic},
      {"tag: global_step1800", "here that is 'restore: 1800'"},
      {"step: 1800", "here that is restore.iteration"},
      {"initial_epoch: 3", "here that is 'restore: 1200', by iterations"},
      {"strict: false", "here that is restore.exclude"},
      {"strict: true", "here that is always so: what is missing"},
      {"restore: {strict: false}", "here that is restore.exclude"},
      {"load_module_strict: false", "here that is restore.exclude"},
      {"save_top_k: 3", "here that is checkpoint.keep_best"},
      {"checkpoint: {save_top_k: 3}", "here that is checkpoint.keep_best"},
      {"exp_manager: {resume_if_exists: false}",
       "unknown key 'exp_manager'; resume_if_exists in it: here that is 'restore: fresh', at the "
       "top level"},
      {"exp_manager: {name: x}", "here that is sections of their own: run"},
      {"trainer: {devices: 8, max_steps: 10}", "devices in it: here that is the launcher's"},
      {"trainer: {x: 1}", "here that is sections of their own: run, task, optimizer"},
      {"trainer:", "here that is sections of their own: run, task, optimizer"},
      {"callbacks: [{x: 1}, {ModelCheckpoint: {save_top_k: 3}}]",
       "unknown key 'callbacks'; save_top_k in it: here that is checkpoint.keep_best"},
      {"optim: {name: adamw, lr: 1}", "lr in it: here that is optimizer.learning_rate"},
      {"checkpont: {save_top_k: 3}", "did you mean checkpoint?"},
      {"ckpt_path: best", "here that is 'restore: best'"},
      {"ckpt_path: a/b.ckpt", "here that is store with"},
      {"load_checkpoint: true", latest},
      {"load_universal_checkpoint: true", any_ranks},
      {"checkpoint: {load_universal: true}", any_ranks},
      {"load_optimizer_states: true", "here that is not needed"},
      {"load_optimizer_states: false", "here that is 'scope: model' in restore"},
      {"load_module_only: true", "here that is 'scope: model' in restore"},
      {"load_module_only: false", "here that is not needed"},
      {"automatic_checkpoint_naming: true", "here that is not needed: checkpoints are named"},
      {"total_limit: 3", "here that is checkpoint.keep_last"},
      {"skip_first_batches: 3", "here that is restore.skip_samples"},
      {"resume_if_exists: true", latest},
      {"resume_if_exists: false", fresh},
      {"resume_ignore_no_checkpoint: true", automatic},
      {"resume_ignore_no_checkpoint: false", latest},
      {"exit_on_missing_checkpoint: true", latest},
      {"exit_on_missing_checkpoint: false", automatic},
      {"resume_past_end: true", "here that is not needed: a larger run.max_iterations"},
      {"resume_from_directory: x", "here that is store with"},
      {"resume_from_path: x", "here that is store with"},
      {"explicit_log_dir: x", "here that is store"},
      {"restore_path: x", "here that is store with"},
      {"storage_path: x", "here that is store"},
      {"resume_errored: true", automatic},
      {"checkpoint_score_attribute: loss", "here that is checkpoint.keep_best"},
      {"latest_step: 5", "here that is 'restore: 5'"},
      {"best_step: 5", "here that is 'restore: best'"},
      {"restore_or_initialize: true", automatic},
      {"snapshot_path: x", "here that is store with 'restore: auto'"},
      {"auto_detect_ckpt_format: true", any_ranks},
      {"use_checkpoint_args: true", "here that is not needed: the configuration counts"},
      {"non_persistent_save_interval: 5", "here that is checkpoint.interval"},
      {"checkpoint: {enable: true}", "here that is checkpoint.interval"},
      {"checkpoint: {restore: fresh}", "here that is 'restore: fresh', at the top level"},
      {"checkpoint: {restore: none}", "here that is 'restore: fresh', at the top level"},
      {"checkpoint: {resume: true}", latest + " for a certain iteration, at the top level"},
      {"restore: {step: 5}", "here that is restore.iteration"},
  };
  for (const auto& [line, message] : cases)
    EXPECT_THAT(error_of(required + line + "\n"), HasSubstr(message)) << line;
}

}  // namespace
}  // namespace lockstep
