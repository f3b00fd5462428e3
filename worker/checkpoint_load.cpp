// The load. Nothing of the state changes before every rank has verified every byte that it needs:
//   1. all agree that the checkpoint's tensors are the model's; no file has been opened yet;
//   2. each rank reads and verifies what it owns into a staging buffer; all agree;
//   3. each rank copies it into place, and replicated sections are spread. Only MPI can fail here,
//      which no rank survives.

#include <cstring>
#include <functional>
#include <vector>

#include "common/agree.h"
#include "common/names.h"
#include "worker/checkpoint.h"
#include "worker/shard_reader.h"
#include "worker/spread.h"
#include "worker/tensor_match.h"
#include "worker/weights_reader.h"

namespace lockstep {

namespace {

// Copies what was read over this rank's own parts; what was not selected keeps its value.
void install(StateView& state, Share rank, std::span<const Piece> own_pieces,
             const Selection& selection, std::span<const std::byte> staging) {
  const std::byte* from = staging.data();
  auto piece = own_pieces.begin();
  for (const auto& section : state.sections) {
    auto own = own_bytes(section, rank);
    for (; !own.empty(); ++piece) {
      const auto bytes = static_cast<std::size_t>(piece->count) * bytes_of(piece->dtype);
      if (is_selected(selection, piece->name)) {
        std::memcpy(own.data(), from, bytes);
        from += bytes;
      }
      own = own.subspan(bytes);
    }
  }
}

std::vector<Piece> selected(std::vector<Piece> pieces, const Selection& selection) {
  std::erase_if(pieces, [&](const Piece& piece) { return !is_selected(selection, piece.name); });
  return pieces;
}

struct PieceReader {
  const char* phase;                                                       // for texts
  std::function<std::span<const std::byte>(std::span<const Piece>)> read;  // into memory that stays
};

void load(const Comm& comm, const TensorOffer& offer, const Selection& selection,
          const PieceReader& reader, StateView& state) {
  const Share mine{comm.rank(), comm.size()};
  Manifest today;
  agree(comm, "compare tensors", [&] {
    describe_state(state, comm.size(), today);
    require_fit(offer, today.tensors, selection);
  });
  std::vector<Piece> own_pieces;
  const auto staging = agree(comm, reader.phase, [&] {
    own_pieces = expected_pieces(today, mine.index);
    return reader.read(selected(own_pieces, selection));
  });
  install(state, mine, own_pieces, selection, staging);
  for (const auto& section : state.sections)
    if (section.replicated)
      spread_parts(comm, {section.data, section.elements, bytes_of(section.dtype)});
}

}  // namespace

void load_checkpoint(const Comm& comm, const FileSystem& files, const std::string& folder,
                     const Manifest& manifest, const Selection& selection, StateView& state,
                     Arena& staging) {
  const PieceReader reader{"read shards", [&](std::span<const Piece> wanted) {
                             const auto plan = plan_reads(manifest, wanted);
                             const auto memory = staging.take(plan.bytes);
                             read_shards(files, folder, manifest, plan, memory);
                             return memory;
                           }};
  load(comm, {to_text(manifest.checkpoint), "checkpoint", manifest.tensors}, selection, reader,
       state);
}

void load_weights(const Comm& comm, const FileSystem& files, const std::string& name,
                  const Weights& weights, const Selection& selection, StateView& state,
                  Arena& staging) {
  const auto named =
      agree(comm, "name tensors", [&] { return named_as_in_model(weights, tensors_of(state)); });
  TensorOffer offer{name, "file", {}};
  for (const auto& one : named.tensors)
    offer.tensors.push_back(one.tensor);
  const PieceReader reader{"read weights", [&](std::span<const Piece> wanted) {
                             return read_weights(files, named, wanted, staging);
                           }};
  load(comm, offer, selection, reader, state);
}

}  // namespace lockstep
