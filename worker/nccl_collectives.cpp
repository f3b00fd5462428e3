#include "worker/nccl_collectives.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include "common/agree.h"
#include "common/error.h"
#include "common/partition.h"

namespace lockstep {
namespace {

void check_cuda(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw MpiError(std::string(call) + ": " + cudaGetErrorString(status));
}

// A wait that is looked at: short enough not to show beside an iteration, long enough to leave the
// core to others.
void pause() {
  std::this_thread::sleep_for(std::chrono::microseconds(20));
}

class Event {
 public:
  Event() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "record"); }
  bool happened() const {
    const auto status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return false;
    check_cuda(status, "NCCL's stream");
    return true;
  }
  // What `stream` is given from now on waits for it.
  void before(cudaStream_t stream) const {
    check_cuda(cudaStreamWaitEvent(stream, event_, 0), "order streams");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class Stream {
 public:
  explicit Stream(int gpu) {
    check_cuda(cudaSetDevice(gpu), "choose the GPU");
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
  }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t raw() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// A rank that can't connect tells the others by agree(), where they must come to.
constexpr std::chrono::seconds kMostConnecting{300};

// A communicator that does not block: each call may still be in progress when it returns.
class Communicator {
 public:
  // Local, but all ranks must be about to call it. Error where they can't be connected.
  Communicator(const ncclUniqueId& id, int ranks, int rank) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    try {
      check(ncclCommInitRankConfig(&comm_, ranks, id, rank, &config), kMostConnecting);
    } catch (const MpiError& e) {
      throw Error(ErrorCode::kInvalidConfig,
                  std::string("collectives: ") + e.what() +
                      "; NCCL_DEBUG=INFO tells more; or write collectives: mpi");
    }
  }
  ~Communicator() {
    if (comm_ == nullptr) return;
    // In unwinding the other ranks may be anywhere: nobody may wait for them.
    auto state = std::uncaught_exceptions() > 0 ? ncclInternalError : ncclCommFinalize(comm_);
    while (state == ncclInProgress) {
      pause();
      if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess) state = ncclInternalError;
    }
    if (state == ncclSuccess) {
      ncclCommDestroy(comm_);
    } else {
      ncclCommAbort(comm_);
    }
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  ncclComm_t raw() const { return comm_; }

  // Until the call that gave `status` is through on the host.
  void check(ncclResult_t status, std::optional<std::chrono::seconds> limit = {}) {
    const auto began = std::chrono::steady_clock::now();
    while (status == ncclInProgress) {
      pause();
      if (limit && std::chrono::steady_clock::now() - began > *limit)
        status = ncclRemoteError;
      else if (ncclCommGetAsyncError(comm_, &status) != ncclSuccess)
        status = ncclInternalError;
    }
    if (status != ncclSuccess) fail(status);
  }
  // Of what goes on beside the host.
  void check_errors() {
    ncclResult_t status = ncclSuccess;
    if (ncclCommGetAsyncError(comm_, &status) != ncclSuccess) status = ncclInternalError;
    if (status != ncclSuccess && status != ncclInProgress) fail(status);
  }

 private:
  [[noreturn]] void fail(ncclResult_t status) {
    std::string what = std::string("NCCL: ") + ncclGetErrorString(status);
    if (comm_ != nullptr) {
      if (const char* last = ncclGetLastError(comm_); last != nullptr && *last != '\0')
        what += std::string(" (") + last + ")";
      ncclCommAbort(std::exchange(comm_, nullptr));
    }
    throw MpiError(what);
  }

  ncclComm_t comm_ = nullptr;
};

ncclUniqueId shared_id(const Comm& comm) {
  const auto bytes = root_decides(comm, "connect NCCL", [] {
    ncclUniqueId id{};
    if (const auto status = ncclGetUniqueId(&id); status != ncclSuccess)
      throw Error(ErrorCode::kInvalidConfig, std::string("collectives: NCCL: ") +
                                                 ncclGetErrorString(status) +
                                                 "; write collectives: mpi");
    return std::string(reinterpret_cast<const char*>(&id), sizeof id);
  });
  ncclUniqueId id{};
  std::memcpy(&id, bytes.data(), std::min(bytes.size(), sizeof id));
  return id;
}

std::unique_ptr<Communicator> connect(const Comm& comm) {
  const auto id = shared_id(comm);
  // A broadcast's root may be on before the others have the id: NCCL would count the time.
  barrier(comm);
  return agree(comm, "connect NCCL",
               [&] { return std::make_unique<Communicator>(id, comm.size(), comm.rank()); });
}

class NcclCollectives final : public Collectives {
 public:
  NcclCollectives(const Comm& comm, const Accelerator& accelerator)
      : rank_(comm.rank()),
        ranks_(comm.size()),
        gpu_(static_cast<c10::DeviceIndex>(accelerator.index())),
        stream_(accelerator.index()),
        communicator_(connect(comm)) {}

  std::unique_ptr<Sum> start_sum(std::span<float> all, std::span<float> own) override {
    begin();
    auto& nccl = *communicator_;
    if (std::ssize(all) % ranks_ == 0) {
      nccl.check(ncclReduceScatter(all.data(), own.data(), own.size(), ncclFloat, ncclSum,
                                   nccl.raw(), stream_.raw()));
    } else {
      in_group(
          [&](int root, std::span<float> part) {
            return ncclReduce(part.data(), own.data(), part.size(), ncclFloat, ncclSum, root,
                              nccl.raw(), stream_.raw());
          },
          all);
    }
    auto sum = std::make_unique<NcclSum>(nccl);
    sum->done.record(stream_.raw());
    return sum;
  }
  bool sums_in_any_thread() const override { return true; }

  void all_gather(std::span<float> all) override {
    begin();
    auto& nccl = *communicator_;
    if (std::ssize(all) % ranks_ == 0) {
      const auto mine = all.size() / static_cast<std::size_t>(ranks_);
      nccl.check(ncclAllGather(all.data() + mine * static_cast<std::size_t>(rank_), all.data(),
                               mine, ncclFloat, nccl.raw(), stream_.raw()));
    } else {
      in_group(
          [&](int root, std::span<float> part) {
            return ncclBroadcast(part.data(), part.data(), part.size(), ncclFloat, root, nccl.raw(),
                                 stream_.raw());
          },
          all);
    }
    end();
  }

  void average(std::span<float> values) override {
    if (values.empty()) return;
    begin();
    auto& nccl = *communicator_;
    nccl.check(ncclAllReduce(values.data(), values.data(), values.size(), ncclFloat, ncclAvg,
                             nccl.raw(), stream_.raw()));
    end();
  }

 private:
  struct NcclSum final : Sum {
    explicit NcclSum(Communicator& communicator) : nccl(communicator) {}
    bool there() override {
      nccl.check_errors();
      return done.happened();
    }
    void wait() override {
      while (!there())
        pause();
    }

    Communicator& nccl;
    Event done;
  };

  // In any thread, whose device may be another one.
  cudaStream_t computing() const {
    check_cuda(cudaSetDevice(gpu_), "choose the GPU");
    return c10::cuda::getDefaultCUDAStream(gpu_).stream();
  }
  // What follows on the own stream sees what was computed, and the other way round.
  void begin() {
    computed_.record(computing());
    computed_.before(stream_.raw());
  }
  void end() {
    exchanged_.record(stream_.raw());
    exchanged_.before(computing());
  }

  // `call` for each rank's part as one operation: parts differ in length.
  template <typename Call>
  void in_group(Call&& call, std::span<float> all) {
    auto& nccl = *communicator_;
    nccl.check(ncclGroupStart());
    ncclResult_t failed = ncclSuccess;
    for (int root = 0; root < ranks_; ++root) {
      const auto part = part_of(std::ssize(all), {.index = root, .count = ranks_});
      const auto status = call(root, all.subspan(static_cast<std::size_t>(part.first),
                                                 static_cast<std::size_t>(part.count)));
      if (status != ncclSuccess && status != ncclInProgress) failed = status;
    }
    const auto ended = ncclGroupEnd();
    nccl.check(failed != ncclSuccess ? failed : ended);
  }

  const int rank_;
  const int ranks_;
  const c10::DeviceIndex gpu_;
  const Stream stream_;
  const std::unique_ptr<Communicator> communicator_;
  Event computed_;
  Event exchanged_;
};

std::unique_ptr<Collectives> make(const Comm& comm, const Accelerator& accelerator) {
  return std::make_unique<NcclCollectives>(comm, accelerator);
}

}  // namespace
}  // namespace lockstep

const lockstep::NcclModule* lockstep_nccl_module() {
  // The library's, which need not be the headers'.
  static const std::string kVersion = [] {
    int version = 0;
    if (ncclGetVersion(&version) != ncclSuccess) return std::string("NCCL");
    return "NCCL " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) +
           "." + std::to_string(version % 100);
  }();
  static const lockstep::NcclModule kModule = {.version = kVersion.c_str(), .make = lockstep::make};
  return &kModule;
}
