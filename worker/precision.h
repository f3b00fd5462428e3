#pragma once

namespace lockstep {

// Which precision LibTorch's operations of this thread compute in while it lives. `bf16`: matrix
// products and convolutions in bf16, what suffers by that (losses, sums, normalization) in fp32:
// PyTorch's autocast, mixed precision of Micikevicius et al., 2018. Parameters stay fp32, and so do
// the gradients that reach them. Local; the one outside is in force again behind it.
class Autocast {
 public:
  explicit Autocast(bool bf16);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  const bool bf16_;
  const bool outside_;
};

// Whether this processor multiplies in bf16 (AVX-512 BF16 or AMX); else LibTorch does it the long
// way, several times slower than in fp32. Local.
bool cpu_has_bf16();

}  // namespace lockstep
