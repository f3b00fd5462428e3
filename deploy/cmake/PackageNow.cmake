# Read by cpack as it begins (Package.cmake), for what was not known when this was configured: the version is that of the
# build (Revision.cmake).
file(READ "${CPACK_LOCKSTEP_BUILD_FOLDER}/revision/package_version.txt" version)
string(STRIP "${version}" CPACK_PACKAGE_VERSION)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "lockstep (= ${CPACK_PACKAGE_VERSION}), ${CPACK_LOCKSTEP_DEV_DEPENDS}")

# lockstep-libtorch installs what is pinned, and lockstepd runs with what it was built with alone.
file(GLOB headers "${CPACK_LOCKSTEP_LIBTORCH}/include/torch/headeronly/version.h"
  "${CPACK_LOCKSTEP_LIBTORCH}/include/torch/csrc/api/include/torch/version.h")
set(built_with "")
foreach(header IN LISTS headers)
  file(STRINGS "${header}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) [0-9]")
  list(APPEND built_with ${lines})
endforeach()
string(REGEX MATCHALL "[0-9]+" built_with "${built_with}")
list(JOIN built_with "." built_with)
if(NOT CPACK_LOCKSTEP_PIN STREQUAL "torch==${built_with}.*")
  message(FATAL_ERROR "built with LibTorch ${built_with} in ${CPACK_LOCKSTEP_LIBTORCH}, but ${CPACK_LOCKSTEP_PIN} is what "
    "lockstep-libtorch would install: build with that, or change deploy/libtorch.txt")
endif()
