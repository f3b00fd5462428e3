#include "coordinator/cli/completion.h"

#include <cstdio>
#include <functional>
#include <memory>
#include <set>

#include "common/error.h"
#include "common/names.h"
#include "coordinator/cli/commands.h"

namespace lockstep::cli {

namespace {

// bash breaks words at '@' and '=', so the words are taken from the line itself. What readline
// replaces begins with the '@' (it is one of its special prefixes), so what stands before that is
// taken off the answers again.
constexpr const char* kScript =
    R"bash(# Completion of lockstep for bash:  source <(lockstep completion bash)
_lockstep_kind() {  # COMMAND PLACE: what the argument at this place names
  case "$1 $2" in
@KINDS@  esac
}
_lockstep_options() {
  case "$1" in
@OPTIONS@  esac
}
_lockstep_values() {  # COMMAND OPTION: "-" where any value follows, or its choices
  case "$1 $2" in
@VALUES@  esac
}
_lockstep() {
  local line="${COMP_LINE:0:COMP_POINT}" words=() current="" i place=0 store="" option="" kind
  read -ra words <<< "$line"
  if [[ -n "$line" && "${line: -1}" != [[:space:]] ]]; then
    current="${words[-1]}"
    unset 'words[-1]'
  fi
  COMPREPLY=()
  if (( ${#words[@]} < 2 )); then
    COMPREPLY=($(compgen -W "@COMMANDS@ --help --version" -- "$current"))
    return
  fi
  local command="${words[1]}"
  for (( i = 2; i < ${#words[@]}; ++i )); do
    if [[ -n "$option" ]]; then
      option=""
    elif [[ "${words[i]}" == -* ]]; then
      [[ -n "$(_lockstep_values "$command" "${words[i]}")" ]] && option="${words[i]}"
    else
      [[ "$(_lockstep_kind "$command" $place)" == store ]] && store="${words[i]}"
      (( ++place ))
    fi
  done
  if [[ -n "$option" ]]; then
    COMPREPLY=($(compgen -W "$(_lockstep_values "$command" "$option" | sed 's/^-$//')" -- "$current"))
    return
  fi
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$(_lockstep_options "$command") --help" -- "$current"))
    return
  fi
  kind="$(_lockstep_kind "$command" $place)"
  case "$kind" in
    store) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    file) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    checkpoint)
      COMPREPLY=($(compgen -W "$("${words[0]/#\~/$HOME}" completion checkpoints "${store/#\~/$HOME}" 2> /dev/null)" -- "$current"))
      if [[ "$current" == *@* && "$COMP_WORDBREAKS" == *@* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%@*}"}")
      fi ;;
    "") ;;
    *) COMPREPLY=($(compgen -W "$kind" -- "$current")) ;;
  esac
}
complete -F _lockstep lockstep
)bash";

void replace(std::string& text, const std::string& mark, const std::string& with) {
  text.replace(text.find(mark), mark.size(), with);
}

std::string kind_of(Names names) {
  switch (names) {
    case Names::kStore:
      return "store";
    case Names::kCheckpoint:
      return "checkpoint";
    case Names::kFile:
      return "file";
    default:
      return "";
  }
}

std::string line(const std::string& pattern, const std::string& answer) {
  return "    \"" + pattern + "\") echo \"" + answer + "\" ;;\n";
}

std::string values_of(const Option& option) {
  std::string values;
  for (const auto& choice : option.choices)
    values += (values.empty() ? "" : " ") + choice;
  return values.empty() ? "-" : values;
}

struct Options {
  std::string what;
  std::string store;
};

// No scan: this runs at each press of a key.
int print_checkpoints(const FileSystem& files, const std::string& store) {
  std::set<CheckpointId, std::greater<>> ids;
  for (const auto& entry : files.list(checkpoints_path(follow_links(store))))
    if (const auto id = parse_checkpoint_folder(entry.name)) ids.insert(*id);
  std::puts("latest\nbest");
  for (const auto& id : ids)
    std::puts(to_text(id).c_str());
  return 0;
}

int run_completion(const FileSystem& files, const Options& options,
                   const std::vector<Command>& commands) {
  if (options.what == "checkpoints") return print_checkpoints(files, options.store);
  if (options.what != "bash")
    throw Error(ErrorCode::kInvalidConfig, "completion is for bash, not '" + options.what +
                                               "'; write lockstep completion bash");
  std::fputs(bash_completion(commands).c_str(), stdout);
  return 0;
}

}  // namespace

std::string bash_completion(const std::vector<Command>& commands) {
  std::string names;
  std::string kinds;
  std::string options;
  std::string values;
  for (const auto& command : commands) {
    names += (names.empty() ? "" : " ") + command.name;
    for (std::size_t i = 0; i < command.arguments.size(); ++i)
      kinds += line(command.name + " " + std::to_string(i), kind_of(command.arguments[i].names));
    std::string own;
    for (const auto& option : command.options) {
      own += (own.empty() ? "" : " ") + option.name;
      if (!option.value.empty())
        values += line(command.name + " " + option.name, values_of(option));
    }
    options += line(command.name, own);
  }
  names += " completion";
  kinds += line("completion 0", "bash");
  std::string script = kScript;
  replace(script, "@KINDS@", kinds);
  replace(script, "@OPTIONS@", options);
  replace(script, "@VALUES@", values);
  replace(script, "@COMMANDS@", names);
  return script;
}

Command completion_command(const std::vector<Command>& commands) {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "completion";
  command.purpose = "prints a script that completes these commands in a shell";
  command.description =
      "Completes commands, options, folders, and the checkpoints of the store that was named.";
  command.arguments = {{"SHELL", &options->what, "bash"},
                       {"STORE", &options->store, "for the script's own use", Names::kText, false}};
  command.exit_codes = {{0, "printed"}, {2, "no such shell"}};
  command.examples = {
      "source <(lockstep completion bash)",
      "lockstep completion bash > ~/.local/share/bash-completion/completions/lockstep"};
  command.run = [options, commands](FileSystem& files) {
    return run_completion(files, *options, commands);
  };
  return command;
}

}  // namespace lockstep::cli
