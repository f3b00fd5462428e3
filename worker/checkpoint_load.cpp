// The load. Nothing of the state changes before every rank has verified every byte that it needs:
//   1. all agree that the checkpoint's tensors are the model's; no file has been opened yet;
//   2. each rank reads and verifies what it owns into a staging buffer; all agree;
//   3. each rank copies it into place, and replicated sections are spread. Only MPI can fail here,
//      which no rank survives.

#include <cstring>

#include "common/agree.h"
#include "common/names.h"
#include "worker/checkpoint.h"
#include "worker/shard_reader.h"
#include "worker/spread.h"
#include "worker/tensor_match.h"

namespace lockstep {

namespace {

void install(StateView& state, Share rank, const Staging& staging) {
  const std::byte* at = staging.bytes.get();
  for (const auto& section : state.sections) {
    const auto own = own_bytes(section, rank);
    if (!own.empty()) std::memcpy(own.data(), at, own.size());
    at += own.size();
  }
}

}  // namespace

void load_checkpoint(const Comm& comm, const FileSystem& files, const std::string& folder,
                     const Manifest& manifest, StateView& state) {
  const Share mine{comm.rank(), comm.size()};
  Manifest today;
  agree(comm, "compare tensors", [&] {
    describe_state(state, comm.size(), today);
    require_fit(to_text(manifest.checkpoint), manifest.tensors, today.tensors);
  });
  const auto staging = agree(comm, "read shards", [&] {
    return read_shards(files, folder, manifest,
                       plan_reads(manifest, expected_pieces(today, mine.index)));
  });
  install(state, mine, staging);
  for (const auto& section : state.sections)
    if (section.replicated)
      spread_parts(comm, {section.data, section.elements, bytes_of(section.dtype)});
}

}  // namespace lockstep
