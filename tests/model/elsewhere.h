#pragma once

#include <string>

#include "tests/model/reference.h"
#include "tests/model/world.h"

namespace lockstep::model {

// What restore.from may name, and what befalls it.

// What a launch must see there.
Source source_of(const World& world, const std::string& path);

// Whether a checkpoint of what lies at `path`, a store or a checkpoint's folder, is there as it was
// committed.
bool is_whole_on(const World& world, const std::string& path, const CheckpointId& id);

// The store as it is now, to /s/copy, in place of what was there.
void copy_store(World& world);
// A checkpoint's folder, to /s/loose or to a folder that bears its name.
void copy_loose(World& world, const Ledger& ledger, const CheckpointId& id);
// The colleague's store with all its jobs, the copy or a loose folder goes.
void remove_some(World& world);
void remove_elsewhere(World& world, const std::string& path);

}  // namespace lockstep::model
