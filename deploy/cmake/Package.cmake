# cpack -G DEB in build/release: lockstep_VERSION_ARCH.deb (the programs and their documents) and
# lockstep-dev_VERSION_ARCH.deb (headers, static libraries, CMake package). Needs Debian's dpkg-dev and file.
#
# LibTorch is in neither: its wheels are larger than a package should be, and are their makers' to publish. lockstepd finds
# it by a link (Install.cmake), and lockstep-libtorch installs what that leads to.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lockstep)
set(CPACK_PACKAGE_CONTACT "lockstep maintainers <maintainers@lockstep.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "data-parallel LibTorch training over MPI")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PROJECT_CONFIG_FILE "${PROJECT_SOURCE_DIR}/deploy/cmake/PackageNow.cmake")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL programs package_libtorch development)
set(CPACK_COMPONENT_PROGRAMS_GROUP runtime)
set(CPACK_COMPONENT_PACKAGE_LIBTORCH_GROUP runtime)
set(CPACK_COMPONENT_DEVELOPMENT_GROUP dev)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME lockstep)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION science)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "One decision says what every rank restores: lockstepd trains, lockstep looks
at stores of checkpoints and predicts decisions.
.
lockstepd needs LibTorch, which is in no Debian package: lockstep-libtorch
installs it. lockstep does without.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS python3-venv) # of lockstep-libtorch
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "lockstep-dev, bash-completion, dataset-fashion-mnist, slurm-client")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/deploy/debian/postinst;${PROJECT_SOURCE_DIR}/deploy/debian/postrm")
# Here dpkg-shlibdeps finds what is no Debian package's.
foreach(library lockstep::c10 lockstep::nccl_library lockstep::cudart_library)
  if(TARGET ${library})
    get_target_property(folder ${library} IMPORTED_LOCATION)
    cmake_path(GET folder PARENT_PATH folder)
    list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${folder}")
  endif()
endforeach()

set(CPACK_DEBIAN_DEV_PACKAGE_NAME lockstep-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_DESCRIPTION "Headers, static libraries and a CMake package, for tasks and training loops of
one's own. They are built with the LibTorch of the package lockstep.")

set(CPACK_LOCKSTEP_DEV_DEPENDS "g++, cmake (>= 3.25), ninja-build | make, libopenmpi-dev, libyaml-cpp-dev, nlohmann-json3-dev, libsimdjson-dev, libspdlog-dev, libxxhash-dev, libisal-dev, libprotozero-dev, libboost1.74-dev, prometheus-cpp-dev, libjs-chart.js, libcli11-dev, zlib1g-dev")

# For PackageNow.cmake.
set(CPACK_LOCKSTEP_BUILD_FOLDER "${PROJECT_BINARY_DIR}")
file(STRINGS "${PROJECT_SOURCE_DIR}/deploy/libtorch.txt" CPACK_LOCKSTEP_PIN REGEX "^torch==")
set(CPACK_LOCKSTEP_LIBTORCH "${libtorch}")
include(CPack)
