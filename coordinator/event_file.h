#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/metrics.h"
#include "coordinator/process_memory.h"

namespace lockstep {

// TensorBoard's event files. All: Pure.
//
// 1. A file is TFRecords: the length (8 bytes, little endian), its checksum (4 bytes), the bytes,
//    their checksum. A checksum is a CRC-32C, turned by 15 bits and added to a constant.
// 2. Each record is an Event (tensorboard/compat/proto/event.proto); the first one says
//    file_version "brain.Event:2", without which the next is not heeded.
// 3. SessionLog START at a step: TensorBoard then forgets what it has read of that step and of
//    later ones. So a curve goes on where an attempt began, and an abandoned future is gone.
// 4. TensorBoard reads the files of a folder whose names hold "tfevents", one after the other in
//    the order of their names: ours begin with the attempt.

// "0007.events.out.tfevents.1769864709.host"; `seconds` since 1970.
std::string event_file_name(std::int64_t attempt, std::int64_t seconds, std::string_view host);
// The attempt of such a name; nullopt: a foreign one.
std::optional<std::int64_t> attempt_of_event_file(std::string_view name);

// 2 and 3: how a file begins; `step`: the first iteration that the attempt makes.
std::string event_file_start(double time_s, std::int64_t step);
// Scalars at one step: train/, speed/, time/ (seconds an iteration), memory/; evaluation/.
std::string event_of(double time_s, const Interval& interval, const ProcessMemory& memory);
std::string event_of(double time_s, const Evaluation& evaluation);

// Of a TFRecord.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace lockstep
