#include "coordinator/cli/launched.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "common/error.h"
#include "common/names.h"
#include "coordinator/liveness.h"

namespace lockstep::cli {

namespace {

constexpr double kPollSeconds = 0.01;
constexpr double kPatienceSeconds = 10;

std::string text_of(int error) {
  return std::generic_category().message(error);
}

}  // namespace

HeldSignals::HeldSignals() {
  ::sigemptyset(&held_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    // One that is ignored (nohup, a job in the background) would be pending for ever.
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&held_, number);
  }
  ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
}

HeldSignals::~HeldSignals() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool HeldSignals::has_come() const {
  sigset_t pending;
  ::sigpending(&pending);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    if (::sigismember(&held_, number) == 1 && ::sigismember(&pending, number) == 1) return true;
  return false;
}

std::vector<std::string> split_words(const std::string& text) {
  wordexp_t found{};
  const int failure =
      ::wordexp(text.c_str(), &found, WRDE_NOCMD | WRDE_UNDEF);  // NOLINT(concurrency-mt-unsafe)
  std::vector<std::string> words;
  if (failure == 0) {
    words.assign(found.we_wordv, found.we_wordv + found.we_wordc);
    ::wordfree(&found);
  }
  std::string why;
  switch (failure) {
    case 0:
      if (words.empty()) why = "there is no command in it";
      break;
    case WRDE_BADCHAR:
      why =
          "a sign of a shell's (one of | & ; < > { }, a round bracket or a line's end) stands in "
          "it "
          "without quotes; write a script that does so, and name that";
      break;
    case WRDE_BADVAL:
      why = "it names a variable that is not set";
      break;
    case WRDE_CMDSUB:
      why = "commands in $( ) are not run";
      break;
    default:
      why = "a quote is not closed";
  }
  if (!why.empty()) throw Error(ErrorCode::kInvalidConfig, "'" + text + "': " + why);
  return words;
}

std::string program_beside(const std::string& name) {
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto path = (own.parent_path() / name).string();
  return !error && ::access(path.c_str(), X_OK) == 0 ? path : name;
}

namespace {

std::vector<std::string> environment_without(const std::vector<std::string>& names) {
  std::vector<std::string> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (std::ranges::find(names, text.substr(0, text.find('='))) == names.end())
      kept.push_back(text);
  }
  return kept;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts)
    out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// posix_spawn's two bundles of settings, freed on every path.
struct Settings {
  Settings() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  ~Settings() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
};

// The parent of each process of this host that can be told.
std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = parse_number(entry.path().filename().string());
    if (!pid) continue;
    std::ifstream in(entry.path() / "stat");
    std::string line;
    std::getline(in, line);
    // The name in field 2 may hold anything: fields are counted from the last ')'.
    const auto end = line.rfind(')');
    char state = 0;
    int parent = 0;
    if (end == std::string::npos ||
        std::sscanf(line.c_str() + end + 1, " %c %d", &state, &parent) != 2)
      continue;
    found[static_cast<pid_t>(*pid)] = parent;
  }
  return found;
}

// All below this process, at any depth.
std::set<pid_t> descendants() {
  const auto parent = parents();
  std::set<pid_t> found;
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [pid, above] : parent)
      if ((above == ::getpid() || found.contains(above)) && found.insert(pid).second) grown = true;
  }
  return found;
}

}  // namespace

Launched::Launched(const std::vector<std::string>& words, const std::string& log,
                   const std::vector<std::string>& leave_out, const HeldSignals& held) {
  // Ranks whose launcher was killed come to this process, by which end() finds them.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto arguments = words;
  auto variables = environment_without(leave_out);
  Settings set;
  ::posix_spawn_file_actions_addopen(&set.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&set.files, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0640);
  ::posix_spawn_file_actions_adddup2(&set.files, STDOUT_FILENO, STDERR_FILENO);
  // A group of its own: Ctrl-C is this process's to hand on, once.
  ::posix_spawnattr_setflags(&set.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setpgroup(&set.attributes, 0);
  ::posix_spawnattr_setsigmask(&set.attributes, &held.before());
  const int error = ::posix_spawnp(&pid_, arguments.front().c_str(), &set.files, &set.attributes,
                                   pointers(arguments).data(), pointers(variables).data());
  const bool is_mistake = error == ENOENT || error == EACCES;
  if (error != 0)
    throw Error(
        is_mistake ? ErrorCode::kInvalidConfig : ErrorCode::kIo,
        "can't start '" + words.front() + "': " + text_of(error) +
            (is_mistake ? "; begin with the launcher, as in --launch \"mpirun -n 4\"" : ""));
}

Launched::~Launched() {
  end();
}

std::optional<int> Launched::exit_code() {
  constexpr int kBySignal = 128;
  int status = 0;
  if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
  return code_;
}

void Launched::signal(int number) {
  if (!exit_code()) ::kill(pid_, number);
}

void Launched::kill_group() {
  if (!exit_code()) ::kill(-pid_, SIGKILL);
}

void Launched::end() {
  const auto clock = steady_clock();
  signal(SIGTERM);
  for (const double until = clock.now_s() + kPatienceSeconds;
       !exit_code() && clock.now_s() < until;)
    clock.sleep(kPollSeconds);
  // A rank of a launcher that has ended has nobody left to save for.
  for (const double until = clock.now_s() + kPatienceSeconds; clock.now_s() < until;) {
    const auto left = descendants();
    if (left.empty()) break;
    for (const auto pid : left)
      ::kill(pid, SIGKILL);
    exit_code();
    while (code_ && ::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    clock.sleep(kPollSeconds);
  }
}

}  // namespace lockstep::cli
