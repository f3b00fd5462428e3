#include "worker/float_buffer.h"

namespace lockstep {

FloatBuffer::FloatBuffer(std::int64_t count)
    : pages_(static_cast<std::size_t>(count) * sizeof(float)),
      floats_(reinterpret_cast<float*>(pages_.all().data()), static_cast<std::size_t>(count)) {}

void FloatBuffer::move_to(const Accelerator& accelerator) {
  memory_ = accelerator.allocate(std::ssize(floats_));
  const std::span<float> there(memory_.get(), floats_.size());
  if (!floats_.empty()) accelerator.copy_in(floats_, there);
  floats_ = there;
  pages_ = Pages();
}

}  // namespace lockstep
