# cmake --install build/release --prefix P: the programs, and the CMake package `lockstep` for what is built against
# them (deploy/cmake/lockstepConfig.cmake.in).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# bin/lockstepd looks for libexec/lockstepd beside its own folder, wherever the prefix is moved.
install(TARGETS lockstepd lockstep RUNTIME DESTINATION bin)
install(TARGETS lockstepd_second_stage RUNTIME DESTINATION libexec)
if(TARGET lockstep_nccl)
  install(TARGETS lockstep_nccl LIBRARY DESTINATION libexec)
  set_target_properties(lockstep_nccl PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()
set_target_properties(lockstepd_second_stage PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON) # LibTorch's folder

set_target_properties(lockstep_plugin PROPERTIES EXPORT_NAME plugin)
install(TARGETS lockstep_plugin EXPORT lockstepPluginTargets
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep")
set_target_properties(lockstep_daemon PROPERTIES EXPORT_NAME own_loop) # what it is to others
install(TARGETS lockstep_common lockstep_collective lockstep_coordinator lockstep_watchdog lockstep_status lockstep_worker lockstep_daemon
  EXPORT lockstepTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep")

set(package "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")
get_target_property(LOCKSTEP_LIBTORCH lockstep::c10 IMPORTED_LOCATION)
cmake_path(GET LOCKSTEP_LIBTORCH PARENT_PATH LOCKSTEP_LIBTORCH)
cmake_path(GET LOCKSTEP_LIBTORCH PARENT_PATH LOCKSTEP_LIBTORCH)
configure_package_config_file(deploy/cmake/lockstepConfig.cmake.in "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
  INSTALL_DESTINATION "${package}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(EXPORT lockstepPluginTargets NAMESPACE lockstep:: DESTINATION "${package}")
install(EXPORT lockstepTargets NAMESPACE lockstep:: DESTINATION "${package}")
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake" "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
  deploy/libtorch.txt DESTINATION "${package}")
install(FILES deploy/cmake/Dependencies.cmake deploy/cmake/LibTorch.cmake deploy/cmake/LibTorchRoot.cmake DESTINATION "${package}/modules")
