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
  std::string control_file;                      // holds {"address"} while it listens; "": none
  const JobBoard* job = nullptr;                 // null: from the store's files alone
  std::function<void(const std::string&)> warn;  // from any thread
};

// What people and their tools see of a job or of a store: a server (http_server.h), and a file for
// Prometheus. One thread reads the store, while somebody asks and in no hurry, another one serves;
// neither takes a lock of the training's or calls MPI. What can't be had is a warning: training
// goes on without it.
class StatusService {
 public:
  // Local. Error(kIo) where it can't listen. In a job it returns before the store has been read,
  // without one when it has. `files` must serve threads.
  StatusService(std::shared_ptr<FileSystem> files, StatusSetup setup);
  ~StatusService();  // as finish()
  StatusService(const StatusService&) = delete;
  StatusService& operator=(const StatusService&) = delete;

  // With the port that was found; nullopt: nobody is served.
  std::optional<ListenAddress> address() const;
  // The end: nobody is served any more, control_file is gone, and textfile says how it ended. Waits
  // for the store, at most `limit_s`; then the thread that waits for it is left behind.
  void finish(double limit_s);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // its thread's, too, where the store does not answer
};

}  // namespace lockstep
