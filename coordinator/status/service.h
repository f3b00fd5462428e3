#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "coordinator/status/job_board.h"
#include "coordinator/status/listen_address.h"

namespace lockstep {

struct StatusSetup {
  std::string store;                    // its real path
  std::optional<ListenAddress> listen;  // nullopt: nobody is served
  std::string textfile;                 // for node exporter's collector; "": none
  double textfile_period_s = 5;
  std::string control_file;       // holds {"address"} while it listens; "": none
  const JobBoard* job = nullptr;  // null: from the store's files alone; outlives finish()
  // Both from any thread, until finish() is over.
  std::function<void(const std::string&)> warn = {};
  std::function<void(const ListenAddress&)> listens = {};  // with the port that was found
};

// What people and their tools see of a job or of a store: a server (http_server.h), and a file for
// Prometheus. One thread does all that may wait for a disk: it reads the store, while somebody asks
// and in no hurry, listens, and writes; another one serves. Neither takes a lock that the training
// waits for, or calls MPI. What can't be had is a warning: training goes on without it.
class StatusService {
 public:
  // Local. In a job it returns at once, and never throws but for want of a thread or of memory;
  // without one it listens when the store has been read: Error(kIo, kInvalidConfig) where it can't.
  // `files` must serve threads.
  StatusService(std::shared_ptr<FileSystem> files, StatusSetup setup);
  ~StatusService();  // as finish()
  StatusService(const StatusService&) = delete;
  StatusService& operator=(const StatusService&) = delete;

  // With the port that was found; nullopt: nobody is served, or not yet.
  std::optional<ListenAddress> address() const;
  // The end: textfile says how it ended, whoever looks on too, nobody is served any more, and
  // control_file is gone. Waits at most `limit_s` for disks; then what waits for them is left
  // behind, and touches nothing of the job's.
  void finish(double limit_s);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // its threads', too, where a disk does not answer
};

}  // namespace lockstep
