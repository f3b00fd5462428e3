// The load. Bytes of a checkpoint are put into place as soon as they are verified, since a copy of
// the whole would take half as long again as to read it:
//   1. all agree that the checkpoint's tensors are the model's; no file has been opened yet;
//   2. threads of each rank read, verify and put into place what it owns, what all need first; when
//      that is there on all ranks it is spread by MPI while the threads go on;
//   3. all agree that all of it is there.
// Foreign weights have nothing to be verified by: they are staged, and installed when all agree.

#include <exception>
#include <future>
#include <utility>
#include <vector>

#include "common/agree.h"
#include "common/names.h"
#include "worker/checkpoint.h"
#include "worker/own_work.h"
#include "worker/places.h"
#include "worker/shard_reader.h"
#include "worker/spread.h"
#include "worker/tensor_match.h"
#include "worker/weights_reader.h"

namespace lockstep {

namespace {

std::vector<Piece> selected(std::vector<Piece> pieces, const Selection& selection) {
  std::erase_if(pieces, [&](const Piece& piece) { return !is_selected(selection, piece.name); });
  return pieces;
}

// What a rank reads, and where it goes.
struct Part {
  std::vector<Piece> pieces;
  Places places;
};

// Collective: the own part, where `offer` fits the state.
Part fit(const Comm& comm, const TensorOffer& offer, const Selection& selection,
         const StateView& state) {
  return agree(comm, "compare tensors", [&] {
    Manifest today;
    describe_state(state, comm.size(), today);
    require_fit(offer, today.tensors, selection);
    auto own = expected_pieces(today, comm.rank());
    auto places = places_of(state, {comm.rank(), comm.size()}, own, selection);
    return Part{selected(std::move(own), selection), std::move(places)};
  });
}

// Collective. Only MPI can fail here, which no rank survives.
void spread_all(const Comm& comm, const StateView& state) {
  for (const auto& section : state.sections)
    if (section.replicated)
      spread_parts(comm, {section.data, section.elements, bytes_of(section.dtype)});
}

// A read of shards by threads. All: Local.
class Reading {
 public:
  Reading(const FileSystem& files, const std::string& folder, const Manifest& manifest,
          const Part& part)
      : files_(files), shared_(shared_there_.get_future()) {
    progress_.shared_done = [this] {
      shared_told_ = true;
      shared_there_.set_value();
    };
    all_ = start_work(true, [this, &folder, &manifest, &part] {
      try {
        read_shards(files_, folder, manifest, plan_reads(manifest, part.pieces), part.places,
                    progress_);
      } catch (...) {
        if (!shared_told_) shared_there_.set_exception(std::current_exception());
        throw;
      }
    });
  }
  ~Reading() { progress_.given_up = true; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // Until what others need is there, or the read has failed.
  void await_shared() {
    if (!is_under_way(all_)) all_.wait();  // it may have no thread
    wait_at_work(files_, progress_.steps, shared_);
    shared_.get();
  }
  void await_all() {
    wait_at_work(files_, progress_.steps, all_);
    all_.get();
  }

 private:
  const FileSystem& files_;
  ReadProgress progress_;
  bool shared_told_ = false;
  std::promise<void> shared_there_;
  std::future<void> shared_;
  std::future<void> all_;  // last: its thread uses what is above, and is gone first
};

}  // namespace

void load_checkpoint(const Comm& comm, const FileSystem& files, const std::string& folder,
                     const Manifest& manifest, const Selection& selection, const StateView& state) {
  const auto part =
      fit(comm, {to_text(manifest.checkpoint), "checkpoint", manifest.tensors}, selection, state);
  Reading reading(files, folder, manifest, part);
  agree(comm, "read shards", [&] { reading.await_shared(); });
  spread_all(comm, state);
  agree(comm, "read shards", [&] { reading.await_all(); });
}

void load_weights(const Comm& comm, const FileSystem& files, const std::string& name,
                  const Weights& weights, const Selection& selection, const StateView& state,
                  Arena& staging) {
  const auto named =
      agree(comm, "name tensors", [&] { return named_as_in_model(weights, tensors_of(state)); });
  TensorOffer offer{name, "file", {}};
  for (const auto& one : named.tensors)
    offer.tensors.push_back(one.tensor);
  const auto part = fit(comm, offer, selection, state);
  const auto read =
      agree(comm, "read weights", [&] { return read_weights(files, named, part.pieces, staging); });
  part.places.put(0, read);
  spread_all(comm, state);
}

}  // namespace lockstep
