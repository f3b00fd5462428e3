#pragma once

#include <set>
#include <string>

#include "common/file_system.h"
#include "common/names.h"

namespace lockstep {

// Pins: checkpoints that retention and prune leave, each a file pins/3@1200. All: Local.

std::set<CheckpointId> read_pins(const FileSystem& files, const std::string& store);
// By a listing that no cache of a network file system holds back: behind the rename of a deletion,
// where `lockstep pin` on another host has seen the checkpoint in its place, or this sees the pin.
std::set<CheckpointId> read_pins_afresh(FileSystem& files, const std::string& store);

// Durably. false: it was so already.
bool pin(FileSystem& files, const std::string& store, const CheckpointId& checkpoint);
bool unpin(FileSystem& files, const std::string& store, const CheckpointId& checkpoint);

}  // namespace lockstep
