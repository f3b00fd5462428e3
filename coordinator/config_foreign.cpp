#include "coordinator/config_foreign.h"

#include <algorithm>
#include <iterator>

#include "coordinator/config_restore.h"

namespace lockstep {
namespace {

constexpr const char* kRestore = "'restore: latest', or 'restore: 1200' for a certain iteration";
constexpr const char* kRestoreIteration = "restore.iteration";
constexpr const char* kAuto =
    "'restore: auto' (latest, but fresh where there is no checkpoint yet)";
constexpr const char* kFrom = "store with 'restore: latest', or restore.from for another store";
constexpr const char* kFresh = "'restore: fresh'";
constexpr const char* kModel = "'scope: model' in restore";
constexpr const char* kLost = "not needed: what a restore needs is always saved and loaded";
constexpr const char* kAnyRanks =
    "not needed: any number of ranks loads what any other number has written";
constexpr const char* kStrict =
    "always so: what is missing or has another shape is an error, but for restore.exclude";
constexpr const char* kSections =
    "sections of their own: run, task, optimizer, checkpoint and restore";
constexpr const char* kAlwaysOn = "checkpoint.interval: checkpoints can't be turned off";

struct Foreign {
  const char* names;  // separated by spaces; SECTION.NAME holds only in that section, .NAME only
                      // at the top level
  const char* here;
  const char* refused = nullptr;  // with a value that says no; nullptr: the same
};

// Lightning, Keras, Hugging Face, Accelerate, Megatron, DeepSpeed, torchtitan, torchrun, NeMo, Ray,
// Orbax, Composer, fairseq.
constexpr Foreign kForeign[] = {
    {"resume_from_checkpoint resume resume_from resume_training load_checkpoint load_ckpt "
     "restore_checkpoint restore_ckpt resume_checkpoint init_from resume_ckpt load_model "
     "load_state_dict restore_training initial_checkpoint latest latest_step latest_checkpoint "
     "last_checkpoint load_latest load_state restart resume_mode "
     "resume_if_exists auto_detect_ckpt restore.latest checkpoint.load checkpoint.resume "
     "checkpoint.restore run.resume run.restore",
     kRestore, kFresh},
    {"ckpt_path load load_path load_dir load_from restore_from restore_path resume_path resume_dir "
     "resume_from_directory initial_load_path checkpoint_path checkpoint_file restore_file "
     "load_checkpoint_path resume_from_path restore.path restore.store restore.dir restore.source "
     "restore.checkpoint restore.ckpt restore.folder pretrained pretrained_model "
     "pretrained_checkpoint pretrained_path finetune_from_model init_from_checkpoint warm_start "
     "checkpoint_to_load load_checkpoint_dir resume_checkpoint_path base_checkpoint "
     "model_checkpoint_path restore_dir load_ckpt_path checkpoint_id restore_config "
     "checkpoint.load_path",
     kFrom, kFresh},
    {"load_step ckpt_step load_iteration resume_step restore_step resume_iteration "
     "restore_iteration start_step initial_step begin_step start_iteration checkpoint_step "
     "load_iter start_iter resume_iter restore.step restore.iter restore.number restore.steps "
     "restore.ckpt_step restore.load_step restore.global_step restore.at tag checkpoint_tag "
     "restore.tag .step .iter .global_step",
     kRestoreIteration},
    {"initial_epoch start_epoch resume_epoch", "'restore: 1200', by iterations, not by epochs"},
    {"resume_past_end", "not needed: a larger run.max_iterations carries on"},
    {"autoresume auto_resume autoload auto_load auto_load_checkpoint "
     "auto_load_latest_checkpoint backup_and_restore resume_unfinished resume_errored "
     "restart_errored restore_or_initialize restore.auto",
     kAuto, kFresh},
    {"resume_ignore_no_checkpoint allow_missing_checkpoint restore.allow_missing "
     "restore.ignore_missing",
     kAuto, kRestore},
    {"exit_on_missing_checkpoint", kRestore, kAuto},
    {"snapshot_path snapshot_file snapshot_dir snapshot",
     "store with 'restore: auto': saved there, and carried on from where there is a checkpoint"},
    {"load_universal load_universal_checkpoint universal_checkpoint auto_detect_ckpt_format "
     "use_dist_ckpt ckpt_format dist_ckpt_format convert_checkpoint "
     "use_mp_args_from_checkpoint_args tag_validation",
     kAnyRanks},
    {"automatic_checkpoint_naming checkpoint_prefix step_prefix checkpoint_name filename_prefix "
     "save_latest save_last",
     "not needed: checkpoints are named by attempt and iteration, as 3@1200"},
    {"use_checkpoint_args override_opt_param_scheduler use_checkpoint_opt_param_scheduler",
     "not needed: the configuration counts, and what differs from the checkpoint's is told"},
    {"enable_checkpoint enable_checkpointing create_checkpoint_callback no_save save_checkpoints "
     "save_checkpoint checkpoint.enable checkpoint.enabled checkpoint.save",
     kAlwaysOn},
    {"best best_step load_best restore_best_weights restore_best",
     "'restore: best', by checkpoint.keep_best"},
    {"from_scratch train_from_scratch fresh fresh_start restart_from_scratch ignore_checkpoints "
     "ignore_checkpoint no_load no_resume disable_auto_load disable_checkpoint_loading overwrite "
     "overwrite_output_dir force_restart restore.from_scratch restore.fresh restore.new",
     kFresh, kAuto},
    {"exp_manager run_config checkpoint_config checkpointing",
     "sections of their own: run, checkpoint and restore"},
    {"trainer training train train_config training_config training_args training_arguments "
     "trainer_args callbacks hparams hyperparameters",
     kSections},
    {"max_restarts failure_config auto_requeue requeue restart_policy",
     "the batch script's or the supervisor's: see deploy/slurm and deploy/mpirun"},
    {"zero_optimization fsdp fsdp_config deepspeed",
     "not needed: each rank holds its own part of the optimizer's state"},
    {"restore.run restore.version restore.branch", "restore.attempt"},
    {"restore.weights_only restore.model_only restore.params_only weights_only "
     "load_weights_only load_model_only load_module_only reset_optimizer no_load_optim "
     "initial_load_model_only "
     "save_weights_only finetune restore.what reset_lr_scheduler reset_dataloader reset_meters",
     kModel, kLost},
    {"load_optimizer load_optimizer_state load_optimizer_states load_lr_scheduler_states "
     "load_rng_state",
     kLost, kModel},
    {"restore.skip restore.skip_batches restore.skip_steps skip_batches skip_data "
     "skip_train_samples skip_first_batches restore.skip_first_batches",
     "restore.skip_samples"},
    {"restore.optional restore.missing restore.fallback",
     "restore.if_missing and restore.max_lost_iterations"},
    {"ignore_keys exclude_from_loading load_ignore_keys load_exclude_globs restore.ignore "
     "restore.skip_tensors restore.exclude_keys allow_partial_load",
     "restore.exclude"},
    {"strict strict_loading load_strict load_module_strict", kStrict, "restore.exclude"},
    {"max_to_keep save_total_limit keep_latest_k keep_last_n num_checkpoints_to_keep "
     "save_num_checkpoints_to_keep keep_last_epochs keep_last_k num_to_keep max_checkpoints "
     "keep_checkpoint_max keep_interval_updates keep keep_last_checkpoints "
     "keep_n_latest_checkpoints total_limit checkpoint.limit checkpoint.max_keep checkpoint.retain",
     "checkpoint.keep_last"},
    {"keep_period keep_every_n save_retain_interval save_period checkpoint_keep_period "
     "keep_checkpoint_every_n_hours keep_time_interval checkpoint.keep_multiple",
     "checkpoint.keep_every"},
    {"early_stopping early_stopping_patience early_stopping_threshold early_stop patience",
     "a script's: one that follows metrics.jsonl calls 'lockstep stop STORE'"},
    {"num_workers dataloader_num_workers prefetch_factor pin_memory persistent_workers",
     "not needed: each rank reads ahead on a thread of its own"},
    {"load_best_model_at_end", "checkpoint.keep_best, and 'restore: best' loads it"},
    {"metric_for_best_model save_best_only save_top_k monitor save_best "
     "greater_is_better "
     "best_checkpoint_metric checkpoint_score_attribute checkpoint_score_order best_fn best_mode",
     "checkpoint.keep_best"},
    {"save_steps save_strategy save_interval save_freq save_every checkpoint_interval "
     "checkpoint_every "
     "every_n_train_steps save_interval_steps steps_per_checkpoint save_interval_updates "
     "checkpoint_frequency ckpt_interval checkpointing_steps save_every_n_steps "
     "val_check_and_save_interval non_persistent_save_interval checkpoint.steps checkpoint.every "
     "checkpoint.frequency checkpoint.every_n_steps checkpoint.save_interval checkpoint.period",
     "checkpoint.interval"},
    {"train_time_interval save_interval_minutes checkpoint.time checkpoint.interval_minutes "
     "checkpoint.interval_seconds",
     "checkpoint.minutes"},
    {"async_save async_mode async_checkpointing enable_async_checkpointing use_async_checkpointing "
     "checkpoint.asynchronous checkpoint.background",
     "checkpoint.async"},
    {"train_iters max_steps num_steps max_iters total_steps training_steps num_train_steps "
     "max_step "
     "max_updates total_iterations num_iterations max_duration total_training_steps iterations "
     "steps "
     "train_steps stop_after exit_interval exit_at_iteration run.max_step training.steps run.until",
     "run.max_iterations"},
    {"num_train_epochs max_epochs epochs num_epochs max_epoch n_epochs run.passes",
     "run.max_epochs"},
    {"random_seed manual_seed data_seed seed_everything rng_seed", "run.seed"},
    {"run_id run_name job_id job_name experiment_name exp_name wandb_run_id run.name "
     "run.experiment",
     "run.id"},
    {"save save_dir output_dir checkpoint_dir save_path default_root_dir dirpath ckpt_dir "
     "checkpoint_folder save_folder directory logging_dir log_dir exp_dir checkpoint.dir "
     "checkpoint.path checkpoint.folder checkpoint.directory checkpoint.dirpath "
     "checkpoint.store run.store run.dir out_dir work_dir storage_path project_dir "
     "explicit_log_dir",
     "store"},
    {"model model_name arch task_name dataset_name architecture model_type", "task.name"},
    {"num_layers n_layer n_layers num_hidden_layers task.n_layer task.num_layers", "task.layers"},
    {"hidden_size n_embd d_model hidden_dim task.hidden_size task.n_embd task.d_model",
     "task.width"},
    {"num_attention_heads n_head n_heads num_heads task.n_head task.num_heads", "task.heads"},
    {"seq_length seq_len block_size max_seq_len sequence_length max_seq_length n_ctx "
     "task.block_size task.seq_len",
     "task.context"},
    {"plugin task.plugin task.path task.file task.so task.shared_object task.plugin_path",
     "task.library"},
    {"task.args task.arguments task.params task.config task.option task.settings", "task.options"},
    {"dataset data_path data_dir dataset_path train_data train_file data_root data.dir data.root "
     "data.folder data.train",
     "data.path"},
    {"batch_size global_batch_size train_batch_size effective_batch_size "
     "per_device_train_batch_size "
     "global_train_batch_size train_global_batch_size local_batch_size data.batch data.size",
     "data.global_batch, of all ranks together"},
    {"micro_batch_size train_micro_batch_size_per_gpu device_train_microbatch_size "
     "gradient_accumulation_steps grad_accum accumulate_grad_batches",
     "data.micro_batch, samples a rank computes at once"},
    {"lr base_lr max_lr initial_lr learning_rate_init optimizer.eta optimizer.rate",
     "optimizer.learning_rate"},
    {"optim optimizer_name optimizer_type optimizer.type optimizer.algorithm optimizer.kind",
     "optimizer.name"},
    {"wd l2 optimizer.decay", "optimizer.weight_decay"},
    {"adam_beta1 adam_beta2 beta1 beta2 adam_betas optimizer.beta",
     "optimizer.betas, a list of two"},
    {"clip_grad max_grad_norm gradient_clip_val gradient_clipping grad_clip clip_grad_norm "
     "max_norm "
     "grad_norm_clip gradient_clip",
     "optimizer.clip_norm"},
    {"no_weight_decay no_decay_params no_weight_decay_cond", "optimizer.no_decay"},
    {"lr_scheduler scheduler lr_scheduler_type lr_decay_style lr_schedule schedule.type "
     "decay_style "
     "schedulers",
     "schedule.name"},
    {"warmup_steps num_warmup_steps lr_warmup_iters warmup_iters warmup_iterations t_warmup "
     "lr_warmup_steps",
     "schedule.warmup"},
    {"warmup_ratio warmup_fraction lr_warmup_fraction", "schedule.warmup, in iterations"},
    {"lr_decay_iters decay_steps t_max schedule.steps lr_decay_steps schedule.total",
     "schedule.iterations"},
    {"fp16 bf16 mixed_precision dtype param_dtype amp use_amp", "precision"},
    {"eval_interval eval_steps eval_strategy evaluation_strategy val_check_interval eval_every "
     "check_val_every_n_epoch "
     "evaluation_interval eval_iters validation evaluation eval validate eval_freq val_interval "
     "evaluate.every evaluate.steps",
     "evaluate.interval"},
    {"log_interval logging_steps log_every_n_steps log_every log_freq metrics.every "
     "console_log_interval log.interval",
     "metrics.interval"},
    {"enable_tensorboard tensorboard_dir use_tensorboard report_to", "metrics.tensorboard"},
    {"exit_signal_handler exit_signal preempt_signal preemption_signal signal sigterm "
     "preempt.signal",
     "preempt.signals"},
    {"exit_duration_in_mins time_limit max_time max_runtime walltime grace_period",
     "preempt.grace_seconds and preempt.deadline; Slurm's time limit is known by itself"},
    {"timeout distributed_timeout_minutes ddp_timeout init_timeout_seconds train_timeout_seconds "
     "nccl_timeout watchdog.timeout heartbeat_timeout",
     "watchdog.stall_seconds (while it runs) or watchdog.join_seconds (at the start)"},
    {"accelerator gpus use_cuda use_cpu no_cuda platform", "device"},
    {"backend distributed_backend dist_backend process_group_backend", "collectives"},
    {"log_level logging verbose verbosity logging_level", "log.level"},
    {"nodes num_nodes devices nproc_per_node world_size num_gpus ranks tensor_parallel_size "
     "strategy",
     "the launcher's: mpirun -n N, or srun"},
    {"no_load_rng save_rng save_optimizer save_only_model no_save_optim no_save_rng "
     "no_load_scheduler save_on_each_node ignore_data_skip",
     kLost},
};

std::string lower_bare(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string_view::npos) return bare_name(path);
  return std::string(path.substr(0, dot + 1)) + bare_name(path.substr(dot + 1));
}

bool is_refusal(std::string_view value) {
  return value == "0" || wish_of(value) == RestoreWish::kFresh;
}

// Says that there is something to load, but not what.
bool is_consent(std::string_view value) {
  return value.empty() || value == "1" || has_name("true yes on y", bare_name(value));
}

// The same, with what a checkpoint's path says in place of the example.
std::string with_iteration(std::string text, const std::string& iteration) {
  for (const std::string_view example : {"restore: 1200", "restore: latest"}) {
    const auto at = text.find(example);
    if (at == std::string::npos) continue;
    return text.replace(at, example.size(), "restore: " + iteration);
  }
  return text;
}

// What a restore key means with what it is to load: `resume: 1800` is `restore: 1800`.
std::string turned_load(const Foreign& row, std::string_view value) {
  const auto form = restore_form(value);
  if (form == "auto") return kAuto;
  if (!form.empty()) return "'restore: " + form + "'";
  const auto iteration = iteration_in_name(value);
  return iteration.empty() ? row.here : with_iteration(row.here, iteration);
}

// What a key means with the value it has: `resume: false` is `restore: fresh`.
std::string turned(const Foreign& row, std::string_view value) {
  if (is_refusal(value)) return row.refused != nullptr ? row.refused : row.here;
  const bool loads = row.refused != nullptr && std::string_view(row.refused) == kFresh;
  const bool numbers = std::string_view(row.here) == kRestoreIteration;
  const bool is_number = value.find_first_not_of("0123456789") == std::string_view::npos;
  return (loads && !is_consent(value)) || (numbers && !is_number) ? turned_load(row, value)
                                                                  : row.here;
}

}  // namespace

bool has_name(std::string_view names, std::string_view wanted) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(' '), names.size());
    if (lower_bare(names.substr(0, end)) == wanted) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

std::string foreign_name(const std::string& section, std::string_view key, std::string_view value) {
  const bool is_path = key.find('.') != std::string_view::npos;
  const std::string whole = lower_bare(section + "." + std::string(key));
  const std::string last = bare_name(key.substr(key.rfind('.') + 1));
  for (const std::string& wanted : {is_path ? lower_bare(key) : whole, last}) {
    const auto row = std::find_if(std::begin(kForeign), std::end(kForeign),
                                  [&](const Foreign& f) { return has_name(f.names, wanted); });
    if (row == std::end(kForeign)) continue;
    auto here = turned(*row, value);
    const bool elsewhere = !section.empty() && section != "restore" && here.starts_with("'restore");
    return here + (elsewhere ? ", at the top level" : "");
  }
  return "";
}

}  // namespace lockstep
