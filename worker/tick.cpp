#include "worker/tick.h"

namespace lockstep {
namespace {

// Each word is 0, or (ranks - rank) above 8 bits of detail: the maximum is the lowest rank's.
constexpr std::int64_t kDetail = 256;

std::optional<int> raised_by(std::int64_t word, int ranks) {
  if (word == 0) return std::nullopt;
  return ranks - static_cast<int>(word / kDetail);
}

}  // namespace

Tick::Tick(const Comm& parent) : comm_(Comm::duplicate(parent.raw())) {}

void Tick::start(const TickVote& vote) {
  const std::int64_t raised = (comm_.size() - comm_.rank()) * kDetail;
  const auto word = [&](bool raise, int detail) { return raise ? raised + detail : 0; };
  mine_ = {word(vote.signal != 0, vote.signal),
           word(vote.save, 0),
           word(vote.stop, 0),
           word(vote.nonfinite, 0),
           word(vote.failed, 0),
           word(vote.deadline, 0),
           word(vote.save_under_way, 0),
           word(vote.save_failed, 0)};
  check_mpi(MPI_Iallreduce(mine_.data(), all_.data(), static_cast<int>(mine_.size()), MPI_INT64_T,
                           MPI_MAX, comm_.raw(), &request_),
            "MPI_Iallreduce");
}

TickVerdict Tick::finish() {
  check_mpi(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait");
  const auto who = [&](std::size_t word) { return raised_by(all_[word], comm_.size()); };
  return {.signal_rank = who(0),
          .signal = static_cast<int>(all_[0] % kDetail),
          .save_rank = who(1),
          .stop_rank = who(2),
          .nonfinite_rank = who(3),
          .failed_rank = who(4),
          .deadline_rank = who(5),
          .save_under_way_rank = who(6),
          .save_failed_rank = who(7)};
}

}  // namespace lockstep
