# lockstep::nccl: NCCL, CUDA's runtime and LibTorch's part for it; no target where LOCKSTEP_WITH_NCCL is OFF, or is AUTO
# and something is missing. Looked for in a CUDA toolkit, and in pip's wheels beside LibTorch (deploy/libtorch.txt).
# Wheels have no unversioned .so, hence full paths.
if(TARGET lockstep::nccl)
  return()
endif()
set(LOCKSTEP_WITH_NCCL AUTO CACHE STRING "Collectives of GPUs by NCCL: AUTO (where it is found), ON, OFF")
set_property(CACHE LOCKSTEP_WITH_NCCL PROPERTY STRINGS AUTO ON OFF)
if(LOCKSTEP_WITH_NCCL STREQUAL "OFF")
  return()
endif()

get_target_property(c10 lockstep::c10 IMPORTED_LOCATION)
cmake_path(GET c10 PARENT_PATH torch_lib)
set(wheels "${torch_lib}/../../nvidia")
set(toolkit /usr/local/cuda $ENV{CUDA_HOME})
find_path(NCCL_INCLUDE_DIR nccl.h HINTS "${wheels}/nccl/include" PATHS ${toolkit} PATH_SUFFIXES include)
find_file(NCCL_LIBRARY NAMES libnccl.so.2 libnccl.so HINTS "${wheels}/nccl/lib"
  PATHS ${toolkit} /usr/lib /usr/lib/${CMAKE_CXX_LIBRARY_ARCHITECTURE} PATH_SUFFIXES lib64 lib)
find_path(CUDART_INCLUDE_DIR cuda_runtime_api.h HINTS "${wheels}/cu13/include" PATHS ${toolkit} PATH_SUFFIXES include)
find_path(CUDA_CRT_INCLUDE_DIR crt/host_config.h HINTS "${wheels}/cu13/include" PATHS ${toolkit} PATH_SUFFIXES include)
find_path(CUDA_CCCL_INCLUDE_DIR nv/target HINTS "${wheels}/cu13/include" "${wheels}/cu13/include/cccl"
  PATHS ${toolkit} PATH_SUFFIXES include include/cccl)
find_file(CUDART_LIBRARY NAMES libcudart.so.13 libcudart.so HINTS "${wheels}/cu13/lib"
  PATHS ${toolkit} PATH_SUFFIXES lib64 lib)
find_file(C10_CUDA_LIBRARY NAMES libc10_cuda.so HINTS "${torch_lib}" NO_DEFAULT_PATH)
set(needed NCCL_INCLUDE_DIR NCCL_LIBRARY CUDART_INCLUDE_DIR CUDA_CRT_INCLUDE_DIR CUDA_CCCL_INCLUDE_DIR CUDART_LIBRARY
  C10_CUDA_LIBRARY)
mark_as_advanced(${needed})

set(missing "")
foreach(one IN LISTS needed)
  if(NOT ${one})
    list(APPEND missing ${one})
  endif()
endforeach()
if(missing)
  list(JOIN missing ", " missing)
  if(LOCKSTEP_WITH_NCCL STREQUAL "ON")
    message(FATAL_ERROR "LOCKSTEP_WITH_NCCL=ON, but not found: ${missing}; run deploy/bootstrap.sh, or install CUDA's toolkit and NCCL")
  endif()
  message(STATUS "NCCL: not found (${missing}): collectives of GPUs go by MPI")
  return()
endif()
message(STATUS "NCCL: ${NCCL_LIBRARY}")

foreach(library nccl cudart c10_cuda)
  string(TOUPPER "${library}" upper)
  add_library(lockstep::${library}_library SHARED IMPORTED)
  set_target_properties(lockstep::${library}_library PROPERTIES IMPORTED_LOCATION "${${upper}_LIBRARY}")
endforeach()
add_library(lockstep::nccl INTERFACE IMPORTED)
target_link_libraries(lockstep::nccl INTERFACE
  lockstep::nccl_library lockstep::cudart_library lockstep::c10_cuda_library)
target_include_directories(lockstep::nccl SYSTEM INTERFACE
  "${NCCL_INCLUDE_DIR}" "${CUDART_INCLUDE_DIR}" "${CUDA_CRT_INCLUDE_DIR}" "${CUDA_CCCL_INCLUDE_DIR}")
