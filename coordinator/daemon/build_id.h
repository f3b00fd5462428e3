#pragma once

#include <optional>
#include <string>

namespace lockstep {

// Local: "0.1.0 <digest of this program's file>": equal on two hosts exactly when they run the same
// bytes. Error(kIo).
std::string build_id();

// Local: the digest of the shared object that holds the task; "" where there is none. Error(kIo).
std::string library_id(const std::optional<std::string>& path);

// Local: the processor's model, for the manifest: bit-identity needs the same one. "" where
// unknown.
std::string processor_model();
// Local: "Open MPI 4.1.4, LibTorch 2.15.0, NCCL 2.30.7"; also before MPI_Init. Loads what it names.
std::string libraries();

}  // namespace lockstep
