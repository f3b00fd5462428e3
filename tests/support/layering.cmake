# Who may include what. ROOT: the tree to judge; every breach is named, file and include.
#   common/ includes only common/; worker/ and coordinator/ never include each other;
#   coordinator/main.cpp and coordinator/daemon/, the composition root, may include all three.
#   LibTorch is for worker/ alone; MPI for the few collective files listed here and for main.
cmake_minimum_required(VERSION 3.25)

set(composition_root "^coordinator/(main\\.cpp|daemon/)")
set(collective_files
  common/comm.h common/comm.cpp common/agree.h common/agree.cpp
  worker/host_share.cpp worker/mpi_collectives.cpp worker/region_sum.h worker/region_sum.cpp
  worker/spread.h worker/spread.cpp worker/tick.h worker/tick.cpp
  coordinator/daemon/program.cpp)

# forbid(<files that are judged> <those let through> <what no line may match>), all regular expressions.
function(forbid judged let_through pattern)
  foreach(file IN LISTS sources)
    if(NOT file MATCHES "${judged}" OR file MATCHES "${let_through}")
      continue()
    endif()
    file(STRINGS "${ROOT}/${file}" hits REGEX "${pattern}")
    foreach(hit IN LISTS hits)
      message(SEND_ERROR "${file}: forbidden here: ${hit}")
    endforeach()
  endforeach()
endfunction()

set(sources "")
foreach(folder common worker coordinator)
  file(GLOB_RECURSE found RELATIVE "${ROOT}" "${ROOT}/${folder}/*.h" "${ROOT}/${folder}/*.cpp")
  list(APPEND sources ${found})
endforeach()
if(NOT sources)
  message(FATAL_ERROR "no sources below ${ROOT}")
endif()
list(JOIN collective_files "|" mpi_users)
string(REPLACE "." "\\." mpi_users "${mpi_users}")

set(include "^[ \t]*#[ \t]*include[ \t]*[\"<]")
forbid("^common/" "^$" "${include}(worker|coordinator|tests)/")
forbid("^worker/" "^$" "${include}(coordinator|tests)/")
forbid("^coordinator/" "${composition_root}" "${include}(worker|tests)/")
forbid("^(common|coordinator)/" "^$" "${include}(torch|ATen|c10)/")
forbid("." "^$" "${include}torch/(torch|all)\\.h")  # 15 to 20 s a file; the headers in use take a few
forbid("." "^(${mpi_users})$" "${include}mpi\\.h")
forbid("." "^(${mpi_users})$" "^[^/]*MPI_[A-Z][a-z]")  # comm.h brings mpi.h along; calls stay in the same few files
