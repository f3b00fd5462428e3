#pragma once

#include <functional>

namespace lockstep {

// A save that has begun, on every rank. The trainer may go on meanwhile; MPI is called by its
// thread alone, in the collective members.
class PendingSave {
 public:
  // Local. Where it is not through it is given up, but for a commit that rank 0 has begun, which is
  // waited for; its threads are gone.
  virtual ~PendingSave() = default;

  // Local: waits until the state may change: its copy is whole.
  virtual void await_snapshot() = 0;
  // Local, never waits: whether this rank still works at what all must be through with before
  // advance(): its shard, or on rank 0 the commit.
  virtual bool under_way() const = 0;
  // Local: waits a little where this rank is under_way, as for its own work.
  virtual void rest() = 0;
  // Local: whether what this rank did has failed.
  virtual bool failed() const = 0;
  // Local, on every rank: one has failed, so the others need not go on. They are still under_way
  // for a moment.
  virtual void give_up() = 0;
  // Collective, where no rank is under_way: the next step. true: committed and acknowledged.
  // AgreedError: nothing is committed. Neither is called again then.
  virtual bool advance() = 0;
  // Collective: all steps that are left, waiting for them. AgreedError as advance(), kIo too where
  // `time_is_over`, asked now and then, says so.
  virtual void finish(const std::function<bool()>& time_is_over) = 0;
};

}  // namespace lockstep
