#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/partition.h"
#include "worker/float_buffer.h"
#include "worker/mpi_collectives.h"
#include "worker/region_sum.h"

namespace lockstep {

namespace {

class MpiCollectives final : public Collectives {
 public:
  MpiCollectives(const Comm& comm, std::span<const std::int64_t> sums)
      : comm_(comm), sums_(Comm::duplicate(comm.raw())) {
    std::int64_t scratch = 1;  // no mapping is empty
    for (const auto all : sums)
      scratch = std::max(scratch, RegionSum::scratch_elements(all, comm.size()));
    for (std::size_t i = 0; i < std::min(kSumsAtOnce, sums.size()); ++i)
      scratch_.emplace_back(scratch);
  }

  std::unique_ptr<Sum> start_sum(std::span<float> all, std::span<float> own) override {
    const auto slot = started_++ % scratch_.size();
    return std::make_unique<RegionSum>(
        sums_, RegionSum::Memory{.all = all, .own = own, .scratch = scratch_[slot].all()},
        static_cast<int>(slot));
  }
  // Only the thread that began MPI may call it (MPI_THREAD_FUNNELED).
  bool sums_in_any_thread() const override { return false; }
  void all_gather(std::span<float> all) override { lockstep::all_gather(comm_, all); }
  void average(std::span<float> values) override { average_over_ranks(comm_, values); }

 private:
  const Comm& comm_;
  const Comm sums_;
  std::vector<FloatBuffer> scratch_;  // of each that is under way
  std::size_t started_ = 0;
};

class StagedCollectives final : public Collectives {
 public:
  StagedCollectives(const Comm& comm, const Accelerator& accelerator,
                    std::span<const std::int64_t> sums)
      : comm_(comm), accelerator_(accelerator), mpi_(comm, sums) {
    const auto most = *std::ranges::max_element(sums);
    for (std::size_t i = 0; i < std::min(kSumsAtOnce, sums.size()); ++i)
      stages_.push_back({FloatBuffer(most + 1), FloatBuffer(most / comm.size() + 1)});
  }

  std::unique_ptr<Sum> start_sum(std::span<float> all, std::span<float> own) override {
    const auto& stage = stages_[started_++ % stages_.size()];
    const auto out = stage.all.all().first(all.size());
    accelerator_.copy_out(all, out);
    return std::make_unique<StagedSum>(*this,
                                       mpi_.start_sum(out, stage.own.all().first(own.size())),
                                       stage.own.all().first(own.size()), own);
  }
  bool sums_in_any_thread() const override { return false; }

  void all_gather(std::span<float> all) override {
    const auto mine = part_of(std::ssize(all), {.index = comm_.rank(), .count = comm_.size()});
    const auto host = whole(all.size());
    const auto first = static_cast<std::size_t>(mine.first);
    const auto count = static_cast<std::size_t>(mine.count);
    accelerator_.copy_out(all.subspan(first, count), host.subspan(first, count));
    mpi_.all_gather(host);
    accelerator_.copy_in(host, all);
  }
  void average(std::span<float> values) override {
    if (values.empty() || comm_.size() == 1) return;
    const auto host = whole(values.size());
    accelerator_.copy_out(values, host);
    mpi_.average(host);
    accelerator_.copy_in(host, values);
  }

 private:
  struct Stage {
    FloatBuffer all;
    FloatBuffer own;
  };

  class StagedSum final : public Sum {
   public:
    StagedSum(const StagedCollectives& owner, std::unique_ptr<Sum> sum, std::span<const float> host,
              std::span<float> own)
        : owner_(owner), sum_(std::move(sum)), host_(host), own_(own) {}
    bool there() override {
      const bool is_there = sum_->there();
      if (is_there) owner_.accelerator_.copy_in(host_, own_);
      return is_there;
    }
    void wait() override {
      sum_->wait();
      owner_.accelerator_.copy_in(host_, own_);
    }

   private:
    const StagedCollectives& owner_;
    const std::unique_ptr<Sum> sum_;
    const std::span<const float> host_;
    const std::span<float> own_;
  };

  std::span<float> whole(std::size_t count) {
    if (whole_.all().size() < count) whole_ = FloatBuffer(static_cast<std::int64_t>(count));
    return whole_.all().first(count);
  }

  const Comm& comm_;
  const Accelerator& accelerator_;
  MpiCollectives mpi_;
  std::vector<Stage> stages_;
  std::size_t started_ = 0;
  FloatBuffer whole_{1};
};

}  // namespace

std::unique_ptr<Collectives> make_mpi_collectives(const Comm& comm,
                                                  std::span<const std::int64_t> sums) {
  return std::make_unique<MpiCollectives>(comm, sums);
}

std::unique_ptr<Collectives> make_staged_collectives(const Comm& comm,
                                                     const Accelerator& accelerator,
                                                     std::span<const std::int64_t> sums) {
  return std::make_unique<StagedCollectives>(comm, accelerator, sums);
}

}  // namespace lockstep
