#include "coordinator/config_synonyms.h"

#include <algorithm>
#include <iterator>

#include "coordinator/config_foreign.h"

namespace lockstep {
namespace {

struct Synonyms {
  std::string_view path;
  std::string_view names;  // separated by spaces
  const char* meant;       // "": none of ours
};

constexpr Synonyms kSynonyms[] = {
    {"device", "gpu gpus cuda:0 nvidia accelerator true", "cuda"},
    {"device", "none false host", "cpu"},
    {"device", "tpu xpu npu hpu mps rocm", ""},
    {"collectives", "gloo openmpi mpich ompi ucc", "mpi"},
    {"collectives", "none default null", "auto"},
    {"precision", "bfloat16 bfloat bf16-mixed bf16-true amp_bf16 mixed_bfloat16", "bf16"},
    {"precision", "fp16 float16 half 16 16-mixed 16-true mixed amp", "bf16"},
    {"precision", "float32 float single full 32 32-true no", "fp32"},
    {"precision", "fp8 fp64 float64 double 64 64-true tf32 int8", ""},
    {"log.level", "warn 30", "warning"},
    {"log.level", "err critical fatal quiet silent off none 40 50", "error"},
    {"log.level", "trace verbose all 10", "debug"},
    {"log.level", "notice default normal 20", "info"},
    {"log.format", "plain human console pretty", "text"},
    {"optimizer.name", "adamw_torch fused_adamw", "adamw"},
    {"optimizer.name", "momentum nesterov sgd_momentum", "sgd"},
    {"optimizer.name", "adamax nadam radam adagrad adafactor adadelta lamb lars lion muon", ""},
    {"schedule.name", "none fixed flat off", "constant"},
    {"schedule.name", "annealing", "cosine"},
    {"checkpoint.keep_best.mode",
     "minimize minimise minimum lower lowest less smaller smallest down lower_is_better", "min"},
    {"checkpoint.keep_best.mode",
     "maximize maximise maximum higher highest greater greatest larger largest more up "
     "higher_is_better greater_is_better",
     "max"},
    {"checkpoint.when_busy", "block blocking queue join sync", "wait"},
    {"checkpoint.when_busy", "drop discard ignore nowait continue", "skip"},
    {"restore.scope", "weights weights_only params parameters module", "model"},
    {"restore.scope", "all everything complete state", "full"},
    {"restore.if_missing", "ignore skip continue allow new scratch start", "fresh"},
    {"restore.if_missing", "fail raise stop abort strict", "error"},
    {"run.on_nonfinite", "error raise abort fail halt", "stop"},
    {"run.on_nonfinite", "ignore skip warn", "continue"},
    {"preempt.deadline", "on true slurm", "auto"},
    {"preempt.deadline", "off false no", "none"},
    {"task.name", "lm llm language gpt gpt2 llama transformer causal_lm", "language_model"},
    {"task.name", "fmnist", "fashion_mnist"},
    {"task.name", "custom library", "plugin"},
    {"task.name", "toy dummy fake random", "synthetic"},
};

}  // namespace

std::optional<std::string> meant_word(std::string_view path, std::string_view text) {
  const std::string bare = bare_name(text);
  const auto* const row =
      std::find_if(std::begin(kSynonyms), std::end(kSynonyms),
                   [&](const Synonyms& s) { return s.path == path && has_name(s.names, bare); });
  return row == std::end(kSynonyms) ? std::nullopt : std::optional<std::string>(row->meant);
}

}  // namespace lockstep
