#pragma once

#include <string>

#include "coordinator/cli/store_reading.h"

namespace lockstep::cli {

// A store, and whether a job is at work on it.
struct JobSight {
  OpenStore store;
  const AttemptView* attempt = nullptr;  // the newest, in `store`; nullptr: there was none yet
  bool alive = false;

  JobSight() = default;
  JobSight(JobSight&&) = default;  // the attempt stays where it is in memory
  JobSight& operator=(JobSight&&) = default;
};

// Local: works on any host that sees the store, from its files alone. A heartbeat is watched for up
// to three of its periods, which is said on stderr. Errors as open_store.
JobSight look_for_job(const FileSystem& files, const std::string& given);

// Local: waits until the job that is at work has an outcome or is dead, however long that takes;
// looks each second at most, and shows on stderr how far it is, where that is a terminal.
void wait_for_end(const FileSystem& files, JobSight& sight);

// Local: "running", "finished, exit code 0", "crashed: ..."; the attempt must be there.
std::string state_text(const JobSight& sight);
std::string state_text(const AttemptView& attempt, bool alive);

}  // namespace lockstep::cli
