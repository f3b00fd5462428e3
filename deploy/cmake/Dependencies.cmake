find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(simdjson 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(Threads REQUIRED)

# Debian ships neither a CMake file for xxhash nor pkg-config by default.
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
mark_as_advanced(XXHASH_INCLUDE_DIR XXHASH_LIBRARY)
add_library(lockstep::xxhash UNKNOWN IMPORTED)
set_target_properties(lockstep::xxhash PROPERTIES
  IMPORTED_LOCATION "${XXHASH_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${XXHASH_INCLUDE_DIR}")

if(LOCKSTEP_FUZZ)
  return()
endif()
set(MPI_CXX_SKIP_MPICXX ON)  # the C++ bindings that MPI 3 removed
find_package(MPI 3.1 REQUIRED COMPONENTS CXX)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
include(LibTorch)
