#include "coordinator/liveness.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include <sys/utsname.h>
#include <unistd.h>

#include "common/names.h"
#include "common/retries.h"

namespace lockstep {

namespace {

constexpr std::size_t kUnchangedReads = 3;

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// State and start time of a process, fields 3 and 22 of /proc/PID/stat. The name in field 2 may
// hold anything, so fields are counted from the last ')'.
struct ProcessStat {
  char state = '?';
  std::int64_t start_time = 0;
};

std::optional<ProcessStat> read_stat(std::int64_t pid) {
  const auto line = first_line("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string word;
  ProcessStat stat;
  for (int field = 3; fields >> word; ++field) {
    if (field == 3) stat.state = word.front();
    if (field != 22) continue;
    const auto start = parse_number(word);
    if (!start) return std::nullopt;
    stat.start_time = *start;
    return stat;
  }
  return std::nullopt;
}

// By the kernel itself. A number that no process can have is nobody's either way.
bool is_gone(std::int64_t pid) {
  if (pid < 1 || pid > std::numeric_limits<pid_t>::max()) return true;
  return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

std::string pid_namespace() {
  std::string text(64, '\0');
  const auto size = ::readlink("/proc/self/ns/pid", text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

}  // namespace

ProcessId this_process() {
  utsname names{};
  ::uname(&names);
  ProcessId id;
  id.host = static_cast<const char*>(names.nodename);
  id.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  id.pid_namespace = pid_namespace();
  id.pid = ::getpid();
  if (const auto stat = read_stat(id.pid)) id.start_time = stat->start_time;
  return id;
}

LocalSight look_for(const ProcessId& process) {
  const auto here = this_process();
  if (here.boot_id.empty() || here.boot_id != process.boot_id ||
      here.pid_namespace != process.pid_namespace)
    return LocalSight::kElsewhere;
  const auto stat = read_stat(process.pid);
  // Where /proc hides what others run (hidepid), or has no descriptor for it, the heartbeat tells.
  if (!stat && !is_gone(process.pid)) return LocalSight::kElsewhere;
  if (!stat || stat->start_time != process.start_time || stat->state == 'Z' || stat->state == 'X')
    return LocalSight::kGone;
  return LocalSight::kThere;
}

Life judge_life(LocalSight sight, const std::vector<std::optional<Heartbeat>>& reads) {
  if (sight == LocalSight::kGone) return Life::kDead;
  for (std::size_t i = 1; i < reads.size(); ++i)
    if (reads[i] && reads[i] != reads[i - 1]) return Life::kAlive;
  return reads.size() > kUnchangedReads ? Life::kDead : Life::kUnsure;
}

Reaction react_to(const AttemptView& alive, const RunIdentity& run) {
  Reaction reaction;
  reaction.text = "attempt " + std::to_string(alive.number) + " is at work on this store";
  if (!alive.claim) {
    reaction.text += "; its claim can't be read";
    return reaction;
  }
  const auto& claim = *alive.claim;
  reaction.text += ": run " + claim.run + ", host " + claim.process.host +
                   (claim.job ? ", job " + *claim.job : "") + ", process " +
                   std::to_string(claim.process.pid);
  const bool same_job = run.job && claim.job == run.job;
  if (same_job && claim.restart_count < run.restart_count) {
    reaction.wait_seconds = claim.grace_seconds + 3 * claim.heartbeat_seconds;
    reaction.takes_over = true;
  } else if (claim.run == run.id) {
    reaction.wait_seconds = claim.stall_seconds + 3 * claim.heartbeat_seconds;
    reaction.code = ErrorCode::kOwnRunAlive;
  }
  return reaction;
}

Clock steady_clock() {
  return {
      [] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
      },
      [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }};
}

namespace {

std::optional<Heartbeat> read_heartbeat(const FileSystem& files, const std::string& folder) {
  try {
    return with_retries(
        [&] { return parse_heartbeat(read_small_file(files, folder + "/heartbeat", 4096)); });
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kIo) throw;  // neither life nor death
    return std::nullopt;
  }
}

}  // namespace

Life HeartbeatWatch::look() {
  reads_.push_back(read_heartbeat(files_, attempt_path(store_, attempt_.number)));
  const auto sight = attempt_.claim ? look_for(attempt_.claim->process) : LocalSight::kElsewhere;
  const auto life = judge_life(sight, reads_);
  if (life == Life::kAlive) reads_ = {reads_.back()};
  return life;
}

bool has_outcome(const FileSystem& files, const std::string& store, std::int64_t attempt) {
  const auto path = attempt_path(store, attempt) + "/outcome.json";
  return with_retries([&] { return files.info(path); }).has_value();
}

Life watch(const FileSystem& files, const std::string& store, const AttemptView& attempt,
           const Clock& clock, double own_period_s) {
  if (attempt.outcome) return Life::kDead;
  const double period_s = attempt.claim ? attempt.claim->heartbeat_seconds : own_period_s;
  HeartbeatWatch heartbeat(files, store, attempt);
  for (;;) {
    const auto life = heartbeat.look();
    if (life != Life::kUnsure) return life;
    if (has_outcome(files, store, attempt.number)) return Life::kDead;
    clock.sleep(period_s);
  }
}

}  // namespace lockstep
