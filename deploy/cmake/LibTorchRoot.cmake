# lockstep_find_libtorch(<result>): the folder that holds LibTorch's include/ and lib/, or "" where there is none.
# Order: Torch_DIR, CMAKE_PREFIX_PATH, the active Python's torch, the wheels that deploy/bootstrap.sh installed.
# Also a script, `cmake -P LibTorchRoot.cmake`, which fails where there is none: bootstrap.sh asks the same question.
cmake_minimum_required(VERSION 3.25)

# Old wheels were built with the other std::string; nothing of Debian's would link with them.
function(lockstep_is_libtorch result folder)
  set(${result} FALSE PARENT_SCOPE)
  if(EXISTS "${folder}/include/torch" AND EXISTS "${folder}/lib/libtorch_cpu.so")
    file(STRINGS "${folder}/lib/libc10.so" new_abi REGEX "__cxx11" LIMIT_COUNT 1)
    if(new_abi)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(lockstep_find_libtorch result)
  set(${result} "" PARENT_SCOPE)

  set(given "${Torch_DIR}")
  if(NOT given)
    set(given "$ENV{Torch_DIR}")
  endif()
  if(given)  # named outright, hence an error rather than a silent substitute where it does not fit
    foreach(folder "${given}" "${given}/../../..")
      lockstep_is_libtorch(fits "${folder}")
      if(fits)
        file(REAL_PATH "${folder}" folder)
        set(${result} "${folder}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
    message(FATAL_ERROR "Torch_DIR=${given} holds no LibTorch with the C++11 ABI; correct it or leave it out")
  endif()

  set(candidates "")
  string(REPLACE ":" ";" from_environment "$ENV{CMAKE_PREFIX_PATH}")
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH from_environment)
    list(APPEND candidates "${prefix}" "${prefix}/../..")  # torch.utils.cmake_prefix_path ends in share/cmake
  endforeach()

  # Found without importing it: the lean wheels lack what the import needs.
  execute_process(
    COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND candidates "${python_torch}")

  set(cache "$ENV{XDG_CACHE_HOME}")
  if(NOT cache)
    set(cache "$ENV{HOME}/.cache")
  endif()
  file(STRINGS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../libtorch.txt" pin REGEX "^torch==")
  string(REGEX REPLACE "^torch==(.*)\\.\\*$" "\\1" version "${pin}")
  set(venv "${cache}/lockstep/libtorch-${version}")
  if(EXISTS "${venv}/complete")
    file(GLOB wheels "${venv}/lib/python3*/site-packages/torch")
    list(APPEND candidates ${wheels})
  endif()

  foreach(folder IN LISTS candidates)
    lockstep_is_libtorch(fits "${folder}")
    if(fits)
      file(REAL_PATH "${folder}" folder)
      set(${result} "${folder}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  lockstep_find_libtorch(root)
  if(NOT root)
    message(FATAL_ERROR "no LibTorch")
  endif()
  message(STATUS "LibTorch: ${root}")
endif()
