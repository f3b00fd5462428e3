# lockstep::torch: LibTorch for the CPU. find_package(Torch) of a CUDA wheel insists on a whole CUDA toolkit,
# so the two libraries that are used are named here.
if(TARGET lockstep::torch)
  return()
endif()
include(LibTorchRoot)
lockstep_find_libtorch(root)
if(NOT root)
  message(FATAL_ERROR "LibTorch not found: run deploy/bootstrap.sh, or give -DCMAKE_PREFIX_PATH=<folder of LibTorch>")
endif()
message(STATUS "LibTorch: ${root}")

add_library(lockstep::c10 SHARED IMPORTED)
set_target_properties(lockstep::c10 PROPERTIES IMPORTED_LOCATION "${root}/lib/libc10.so")

add_library(lockstep::torch SHARED IMPORTED)
set_target_properties(lockstep::torch PROPERTIES
  IMPORTED_LOCATION "${root}/lib/libtorch_cpu.so"
  INTERFACE_LINK_LIBRARIES lockstep::c10
  INTERFACE_LINK_OPTIONS -Wl,--allow-shlib-undefined)  # what only a GPU needs stays unresolved
target_include_directories(lockstep::torch SYSTEM INTERFACE
  "${root}/include" "${root}/include/torch/csrc/api/include")
