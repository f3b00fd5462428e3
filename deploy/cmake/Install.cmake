# cmake --install build/release --prefix P: the programs, their documents, and the CMake package `lockstep` for what is
# built against them (deploy/cmake/lockstepConfig.cmake.in). Package.cmake makes Debian's packages of the same.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME programs)

# bin/lockstepd looks for libexec/lockstepd beside its own folder, wherever the prefix is moved.
install(TARGETS lockstepd lockstep RUNTIME DESTINATION bin)
install(PROGRAMS deploy/lockstep-libtorch DESTINATION bin)
install(TARGETS lockstepd_second_stage RUNTIME DESTINATION libexec)

# What is installed finds LibTorch by a link, so that it can be given another one. It leads to what was built with; in a
# package, to where lockstep-libtorch puts one (component package_libtorch, of no other installation).
get_target_property(libtorch lockstep::c10 IMPORTED_LOCATION)
cmake_path(GET libtorch PARENT_PATH libtorch)
cmake_path(GET libtorch PARENT_PATH libtorch)
function(install_link component link target)
  cmake_path(GET link PARENT_PATH folder)
  install(CODE "
    set(prefix \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
    file(MAKE_DIRECTORY \"\${prefix}/${folder}\")
    file(CREATE_LINK \"${target}\" \"\${prefix}/${link}\" SYMBOLIC)" COMPONENT ${component} ${ARGN})
endfunction()
install_link(libtorch libexec/lockstep-libtorch "${libtorch}")
install_link(package_libtorch libexec/lockstep-libtorch /usr/local/lib/lockstep/libtorch EXCLUDE_FROM_ALL)

# The same in the build folder, so that what is built there needs no other search path: to change it at installation
# CMake would end it with an empty element, which is the working folder, and whatever lies there would be loaded.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/libexec")
file(CREATE_LINK "${libtorch}" "${PROJECT_BINARY_DIR}/libexec/lockstep-libtorch" SYMBOLIC)

# <result>: where an installed program finds the folders of these libraries; those of pip's wheels beside LibTorch.
function(installed_rpath result)
  set(folders "")
  foreach(library IN LISTS ARGN)
    cmake_path(GET library PARENT_PATH folder)
    cmake_path(IS_PREFIX libtorch "${folder}" NORMALIZE of_libtorch)
    cmake_path(GET libtorch PARENT_PATH wheels)
    cmake_path(IS_PREFIX wheels "${folder}" NORMALIZE of_wheels)
    cmake_path(NORMAL_PATH folder)
    if(of_libtorch)
      string(REPLACE "${libtorch}" "$ORIGIN/lockstep-libtorch" folder "${folder}")
    elseif(of_wheels)
      string(REPLACE "${wheels}" "$ORIGIN/lockstep-libtorch/.." folder "${folder}")
    endif()
    list(APPEND folders "${folder}")
  endforeach()
  list(REMOVE_DUPLICATES folders)
  list(REMOVE_ITEM folders ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES})
  set(${result} "${folders}" PARENT_SCOPE)
endfunction()
get_target_property(c10 lockstep::c10 IMPORTED_LOCATION)
set(mpi "")
foreach(library IN LISTS MPI_CXX_LIBRARIES)
  file(REAL_PATH "${library}" library) # Debian's name for compiling leads to where the loader looks anyway
  list(APPEND mpi "${library}")
endforeach()
installed_rpath(rpath "${c10}" ${mpi})
set_target_properties(lockstepd_second_stage PROPERTIES INSTALL_RPATH "${rpath}" BUILD_WITH_INSTALL_RPATH ON)
if(TARGET lockstep_nccl)
  install(TARGETS lockstep_nccl LIBRARY DESTINATION libexec)
  installed_rpath(rpath "${c10}" "${NCCL_LIBRARY}" "${CUDART_LIBRARY}")
  set_target_properties(lockstep_nccl PROPERTIES INSTALL_RPATH "${rpath}" BUILD_WITH_INSTALL_RPATH ON)
endif()

# The tree below share/lockstep is the sources', so that the documents' links to each other lead somewhere.
set(documents share/lockstep)
install(FILES README.md LICENSE DESTINATION ${documents})
install(FILES deploy/CLI.md deploy/FIGURES.md deploy/FORMAT.md deploy/MIGRATION.md deploy/RUNBOOK.md deploy/STATUS.md
  deploy/THIRD_PARTY.md deploy/TUTORIAL.md deploy/libtorch.txt DESTINATION ${documents}/deploy)
install(DIRECTORY deploy/config deploy/examples deploy/monitoring deploy/mpirun deploy/slurm
  DESTINATION ${documents}/deploy USE_SOURCE_PERMISSIONS PATTERN build EXCLUDE)
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" \"-DROOT=${PROJECT_SOURCE_DIR}\"
  \"-DOUT=${PROJECT_BINARY_DIR}/copyright\" -P \"${PROJECT_SOURCE_DIR}/deploy/cmake/Copyright.cmake\"
  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT programs)
install(FILES "${PROJECT_BINARY_DIR}/copyright" DESTINATION share/doc/lockstep)
install_link(programs share/doc/lockstep/README.md ../../lockstep/README.md)
install_link(programs share/doc/lockstep/deploy ../../lockstep/deploy)
install(FILES deploy/completion.bash DESTINATION share/bash-completion/completions RENAME lockstep)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
install_link(development share/doc/lockstep-dev lockstep) # its copyright
set_target_properties(lockstep_plugin PROPERTIES EXPORT_NAME plugin)
install(TARGETS lockstep_plugin EXPORT lockstepPluginTargets
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep")
set_target_properties(lockstep_daemon PROPERTIES EXPORT_NAME own_loop) # what it is to others
install(TARGETS lockstep_common lockstep_collective lockstep_coordinator lockstep_watchdog lockstep_status lockstep_worker lockstep_daemon
  EXPORT lockstepTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep")

set(package "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")
set(LOCKSTEP_LIBTORCH libexec/lockstep-libtorch)
configure_package_config_file(deploy/cmake/lockstepConfig.cmake.in "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
  INSTALL_DESTINATION "${package}" PATH_VARS LOCKSTEP_LIBTORCH)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(EXPORT lockstepPluginTargets NAMESPACE lockstep:: DESTINATION "${package}")
install(EXPORT lockstepTargets NAMESPACE lockstep:: DESTINATION "${package}")
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake" "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
  deploy/libtorch.txt DESTINATION "${package}")
install(FILES deploy/cmake/Dependencies.cmake deploy/cmake/LibTorch.cmake deploy/cmake/LibTorchRoot.cmake DESTINATION "${package}/modules")
