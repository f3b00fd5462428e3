find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(simdjson 3.0 REQUIRED)
find_package(spdlog REQUIRED)
find_package(Threads REQUIRED)

# Debian ships neither a CMake file for xxhash nor pkg-config by default.
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
mark_as_advanced(XXHASH_INCLUDE_DIR XXHASH_LIBRARY)
if(NOT TARGET lockstep::xxhash)
  add_library(lockstep::xxhash UNKNOWN IMPORTED)
  set_target_properties(lockstep::xxhash PROPERTIES
    IMPORTED_LOCATION "${XXHASH_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${XXHASH_INCLUDE_DIR}")
endif()

# What TensorBoard's event files are made of: protocol buffers, and CRC-32C by isa-l. Neither has a CMake file.
find_path(PROTOZERO_INCLUDE_DIR protozero/pbf_writer.hpp REQUIRED)
find_path(ISAL_INCLUDE_DIR isa-l/crc.h REQUIRED)
find_library(ISAL_LIBRARY isal REQUIRED)
mark_as_advanced(PROTOZERO_INCLUDE_DIR ISAL_INCLUDE_DIR ISAL_LIBRARY)
add_library(lockstep::protozero INTERFACE IMPORTED)
set_target_properties(lockstep::protozero PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${PROTOZERO_INCLUDE_DIR}")
add_library(lockstep::isal UNKNOWN IMPORTED)
set_target_properties(lockstep::isal PROPERTIES
  IMPORTED_LOCATION "${ISAL_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${ISAL_INCLUDE_DIR}")

# The status server: HTTP's texts (Boost.Beast, headers alone), Prometheus' text, the curves of its page.
find_package(Boost 1.74 REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED)
mark_as_advanced(CHART_JS)

if(LOCKSTEP_FUZZ)
  return()
endif()
set(MPI_CXX_SKIP_MPICXX ON)  # the C++ bindings that MPI 3 removed
find_package(MPI 3.1 REQUIRED COMPONENTS CXX)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
include(LibTorch)
