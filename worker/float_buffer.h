#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/pages.h"
#include "common/partition.h"
#include "worker/accelerator.h"

namespace lockstep {

// Zeroed floats that stay in place: in Pages of the host's, or in an accelerator's memory.
class FloatBuffer {
 public:
  explicit FloatBuffer(std::int64_t count);  // the host's
  // To other memory, which gets the values; the host's is given back.
  void move_to(const Accelerator& accelerator);

  std::span<float> all() const { return floats_; }
  std::span<float> part(Range range) const {
    return all().subspan(static_cast<std::size_t>(range.first),
                         static_cast<std::size_t>(range.count));
  }

 private:
  Pages pages_;
  Accelerator::Memory memory_;
  std::span<float> floats_;
};

}  // namespace lockstep
