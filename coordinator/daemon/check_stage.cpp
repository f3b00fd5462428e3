#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>

#include "common/agree.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/retries.h"
#include "common/strict_json.h"
#include "coordinator/amounts.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/daemon/job.h"
#include "coordinator/liveness.h"
#include "coordinator/probe.h"
#include "coordinator/status/status_wish.h"

// 1. Rank 0 looks at the store, makes a scratch folder in it and leaves a nonce there.
// 2. The first rank of each host reads the nonce, and tries there what a save relies on; every rank
//    reads the data and says what it is.
// 3. Rank 0 judges what all have said, prints it, and removes the folder.
// A rank that fails in something says so in its report: nobody leaves early.

namespace lockstep {

namespace {

using nlohmann::json;

// What a rank has found out.
struct Report {
  std::string host;
  bool first = false;  // of its host: the checks of a file system are its
  int ranks_of_host = 1;
  double clock_s = 0;
  std::uint64_t available_bytes = 0;
  std::string build;
  std::string libraries;
  std::string data;     // its digest, "" where it can't be read
  std::string library;  // of the task's shared object: its digest
  Check task;           // kOk where the task can be made
  std::vector<Check> store;
};

json encode(const Check& check) {
  return {{"name", check.name},
          {"verdict", static_cast<int>(check.verdict)},
          {"text", check.text},
          {"advice", check.advice},
          {"code", static_cast<int>(check.code)}};
}

Check parse_check(const json& object) {
  constexpr auto kWhat = "a rank's report";
  return {text_member(object, "name", kWhat),
          static_cast<Verdict>(integer_member(object, "verdict", kWhat)),
          text_member(object, "text", kWhat), text_member(object, "advice", kWhat),
          static_cast<ErrorCode>(integer_member(object, "code", kWhat))};
}

std::string encode(const Report& report) {
  auto store = json::array();
  for (const auto& check : report.store)
    store.push_back(encode(check));
  return dump_json({{"host", report.host},
                    {"first", report.first},
                    {"ranks_of_host", report.ranks_of_host},
                    {"clock_s", report.clock_s},
                    {"available_bytes", report.available_bytes},
                    {"build", report.build},
                    {"libraries", report.libraries},
                    {"data", report.data},
                    {"library", report.library},
                    {"task", encode(report.task)},
                    {"store", std::move(store)}});
}

Report parse_report(const std::string& text) {
  constexpr auto kWhat = "a rank's report";
  const auto object = parse_strict_json(text, kWhat);
  Report report;
  report.host = text_member(object, "host", kWhat);
  report.first = bool_member(object, "first", kWhat);
  report.ranks_of_host = static_cast<int>(integer_member(object, "ranks_of_host", kWhat));
  report.clock_s = number_member(object, "clock_s", kWhat);
  report.available_bytes =
      static_cast<std::uint64_t>(integer_member(object, "available_bytes", kWhat));
  report.build = text_member(object, "build", kWhat);
  report.libraries = text_member(object, "libraries", kWhat);
  report.data = text_member(object, "data", kWhat);
  report.library = text_member(object, "library", kWhat);
  report.task = parse_check(object_member(object, "task", kWhat));
  for (const auto& check : array_member(object, "store", kWhat))
    report.store.push_back(parse_check(check));
  return report;
}

double wall_clock_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// MemAvailable, or what the control group leaves of it; 0: it can't be told.
std::uint64_t available_bytes() {
  std::uint64_t available = 0;
  std::ifstream info("/proc/meminfo");
  for (std::string key; info >> key;) {
    std::uint64_t kib = 0;
    if (key == "MemAvailable:" && info >> kib) available = kib * 1024;
    info.ignore(256, '\n');
  }
  std::uint64_t limit = 0;
  std::uint64_t used = 0;
  std::ifstream max("/sys/fs/cgroup/memory.max");
  std::ifstream current("/sys/fs/cgroup/memory.current");
  if (max >> limit && current >> used)  // "max" is no number: no limit
    available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

struct Nonce {
  std::string folder;  // "": the store can't be written to
  std::string text;
};

// Whether this host sees the folder that rank 0 has made.
Check see_nonce(const FileSystem& files, const std::string& store, const Nonce& nonce) {
  std::string why = "holds something else";
  try {
    const auto text = with_retries([&] { return read_small_file(files, nonce.folder + "/nonce"); });
    if (text == nonce.text) return Check::ok("one store", "rank 0's file is seen");
  } catch (const Error& e) {
    // What can't be read just now says nothing of whose it is.
    if (e.code() == ErrorCode::kIo)
      return Check::error("one store", ErrorCode::kIo, e.what(), "try again");
    why = e.what();
  }
  return Check::error("one store", ErrorCode::kMismatch,
                      "does not see rank 0's " + store + ": " + why,
                      "store: must be on a file system that all hosts share");
}

Report look_around(Job& job, const Nonce& nonce) {
  Report report;
  report.host = this_process().host;
  report.first = job.host.first();
  report.ranks_of_host = job.host.ranks;
  report.available_bytes = available_bytes();
  report.build = build_id();
  report.libraries = libraries();
  if (report.first && !nonce.folder.empty()) {
    const auto name = "rank-" + std::to_string(job.comm.rank());
    report.store = {see_nonce(job.files, job.loaded.paths.store, nonce)};
    // Where the folder is not seen nothing can be tried in it: that would be the same cause again.
    if (report.store[0].verdict == Verdict::kOk) {
      report.store.push_back(probe_durability(job.files, nonce.folder, name));
      report.store.push_back(probe_direct_io(nonce.folder, name));
    }
  }
  try {
    const auto sight = look_for_gpus(job.loaded.config);
    make_task_of(job);
    require_gpu(job.loaded.config, sight, *job.task);
    report.data = job.task->data_digest();
    report.library = job.library;
    report.task = Check::ok("task", job.loaded.config.task.name + ", " +
                                        std::to_string(job.task->training_samples()) + " samples");
  } catch (const Error& e) {
    report.task = Check::error("task", e.code(), e.what(), "");
  }
  return report;
}

std::vector<Memory> memory_of_hosts(const std::vector<Report>& reports, std::uint64_t rank_bytes) {
  std::vector<Memory> hosts;
  for (const auto& report : reports)
    if (report.first)
      hosts.push_back({report.host, rank_bytes * static_cast<std::uint64_t>(report.ranks_of_host),
                       report.available_bytes});
  return hosts;
}

template <typename Part>
std::vector<OfRank> of_all(const std::vector<Report>& reports, Part part) {
  std::vector<OfRank> values;
  for (const auto& report : reports)
    values.push_back({report.host, part(report)});
  return values;
}

Check judge_clocks(const std::vector<Report>& reports) {
  auto worst = Check::ok("clock", "the hosts' agree");
  for (const auto& report : reports) {
    auto check = judge_clock(report.host + "'s clock", report.clock_s - reports[0].clock_s);
    if (check.verdict != Verdict::kOk) worst = std::move(check);
  }
  return worst;
}

std::string ranks_text(const std::vector<Report>& reports) {
  std::set<std::string> hosts;
  for (const auto& report : reports)
    hosts.insert(report.host);
  return count_text(reports.size(), "rank") + " on " + count_text(hosts.size(), "host");
}

// The checks that the first rank of each host has made, host by host.
void judge_store(const std::vector<Report>& reports, std::vector<Check>& checks) {
  for (std::size_t i = 0;; ++i) {
    std::vector<PlaceCheck> hosts;
    bool all = true;
    for (const auto& report : reports) {
      if (!report.first) continue;
      if (i < report.store.size())
        hosts.push_back({report.host, report.store[i]});
      else
        all = false;
    }
    if (hosts.empty()) return;
    checks.push_back(judge_places(hosts, "host"));
    if (!all) checks.back().text += "; not tried where the store is not seen";
  }
}

// What can be told only where rank 0 has a task.
void judge_sizes(const Job& job, const std::vector<Report>& reports, std::vector<Check>& checks,
                 const Scratch& scratch) {
  const auto& config = job.loaded.config;
  const auto bytes = state_bytes(*job.task, config.optimizer, {job.comm.rank(), job.comm.size()},
                                 config.checkpoint.async);
  checks.push_back(judge_memory(memory_of_hosts(reports, bytes.rank)));
  if (const auto free = free_bytes(scratch.path()))
    checks.push_back(judge_space({*free, bytes.checkpoint, config.checkpoint.keep_last,
                                  look_at_kept(job.files, job.loaded.paths.store).count}));
}

void judge_ranks(const std::vector<Report>& reports, std::vector<Check>& checks) {
  checks.push_back(judge_clocks(reports));
  checks.push_back(judge_alike("build", of_all(reports, [](const auto& r) { return r.build; }),
                               "install the same lockstepd on all hosts"));
  checks.push_back(judge_alike("libraries",
                               of_all(reports, [](const auto& r) { return r.libraries; }),
                               "install the same libraries on all hosts"));
  checks.push_back(mpi_allows_threads()
                       ? Check::ok("MPI threads", "MPI allows lockstepd's own threads")
                       : Check::warning("MPI threads", "MPI does not allow other threads",
                                        "use an MPI that was built with threads"));
  std::vector<PlaceCheck> tasks;
  for (std::size_t rank = 0; rank < reports.size(); ++rank)
    tasks.push_back({"rank " + std::to_string(rank), reports[rank].task});
  auto task = judge_places(tasks, "rank");
  const bool readable = task.verdict == Verdict::kOk;
  checks.push_back(std::move(task));
  if (!readable) return;
  checks.push_back(judge_alike("data", of_all(reports, [](const auto& r) { return r.data; }),
                               "data.path must hold the same data on all hosts"));
  if (!reports[0].library.empty())
    checks.push_back(judge_alike("task.library",
                                 of_all(reports, [](const auto& r) { return r.library; }),
                                 "install the same plugin on all hosts"));
}

std::string encode(const Nonce& nonce) {
  return dump_json({{"folder", nonce.folder}, {"text", nonce.text}});
}

Nonce parse_nonce(const std::string& text) {
  const auto object = parse_strict_json(text, "the scratch folder");
  return {text_member(object, "folder", "the scratch folder"),
          text_member(object, "text", "the scratch folder")};
}

}  // namespace

int check_launch(Job& job) {
  Scratch scratch(job.files, job.loaded.paths.store);  // rank 0 makes one
  std::vector<Check> checks;
  const auto nonce = parse_nonce(root_decides(job.comm, "check the store", [&] {
    checks.push_back(scratch.open());
    if (scratch.path().empty()) return encode(Nonce{});
    checks.push_back(probe_clock(job.files, scratch.path()));
    const auto text = random_hex(32);
    write_durably(job.files, scratch.path() + "/nonce", text);
    return encode(Nonce{scratch.path(), text});
  }));
  job.host = host_share(job.comm);
  auto report = agree(job.comm, "check the host", [&] { return look_around(job, nonce); });
  barrier(job.comm);  // so that all clocks are read at once
  report.clock_s = wall_clock_s();
  const auto texts = gather_texts(job.comm, encode(report));
  const auto code = root_decides(job.comm, "check", [&] {
    std::vector<Report> reports;
    for (const auto& text : texts)
      reports.push_back(parse_report(text));
    checks.insert(checks.begin(), Check::ok("launch", ranks_text(reports)));
    judge_store(reports, checks);
    judge_ranks(reports, checks);
    if (job.task) judge_sizes(job, reports, checks, scratch);
    std::ranges::move(probe_status(job.loaded, job.loaded.paths.store), std::back_inserter(checks));
    std::fputs(to_text(checks).c_str(), stdout);
    return std::to_string(exit_code_of(checks));
  });
  return std::stoi(code);
}

}  // namespace lockstep
