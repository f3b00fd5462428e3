# Open MPI 4: more ranks than cores, root in a container, no process_vm_readv; a rank may use every core.
# Not a cache variable: a cached default would silently survive an edit.
set(LOCKSTEP_TEST_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
  OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
  OMP_NUM_THREADS=1)
# Open MPI leaks in plugins that it has unloaded again; only unit tests look for leaks.
set(LOCKSTEP_LEAKS_OFF ASAN_OPTIONS=detect_leaks=0)

# Timeouts are for plain builds; sanitizers cost several times as much.
set(LOCKSTEP_PATIENCE 1)
if(LOCKSTEP_SANITIZE)
  set(LOCKSTEP_PATIENCE 4)
endif()

# lockstep_scratch(<result> <test>): a folder of the test's own.
function(lockstep_scratch result test)
  set(scratch "${CMAKE_CURRENT_BINARY_DIR}/scratch/${test}")
  file(MAKE_DIRECTORY "${scratch}")
  set(${result} "${scratch}" PARENT_SCOPE)
endfunction()

# lockstep_unit_test(<name> <sources...> [DEPENDS <targets>] [TIMEOUT <s>]): one process without MPI_Init, one CTest
# test. Many sources share a program, since linking and starting it cost more than most tests.
function(lockstep_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "DEPENDS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180)
  endif()
  math(EXPR timeout "${arg_TIMEOUT} * ${LOCKSTEP_PATIENCE}")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE GTest::gmock GTest::gtest_main ${arg_DEPENDS} lockstep_private_flags)
  lockstep_scratch(scratch ${name})
  add_test(NAME ${name} WORKING_DIRECTORY "${scratch}" COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${timeout})
endfunction()

# lockstep_mpi_test(<name> <sources...> RANKS <n...> [DEPENDS <targets>] [TIMEOUT <s>] [EXPECT_OUTPUT <regex>]):
# one CTest test for each rank count, <name>.np<n>. Two clocks: the launcher's own reaps the ranks, CTest's the launcher.
function(lockstep_mpi_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;EXPECT_OUTPUT" "RANKS;DEPENDS")
  if(NOT arg_RANKS)
    message(FATAL_ERROR "lockstep_mpi_test(${name}): RANKS is required")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180)
  endif()
  math(EXPR launchers "${arg_TIMEOUT} * ${LOCKSTEP_PATIENCE}")
  math(EXPR ours "${launchers} + 20")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE
    lockstep_mpi_gtest_main GTest::gmock ${arg_DEPENDS} lockstep_private_flags)
  foreach(n IN LISTS arg_RANKS)
    set(test ${name}.np${n})
    lockstep_scratch(scratch ${test})
    add_test(NAME ${test} WORKING_DIRECTORY "${scratch}"
      COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${n} --timeout ${launchers}
              ${MPIEXEC_PREFLAGS} $<TARGET_FILE:${name}> ${MPIEXEC_POSTFLAGS})
    set_tests_properties(${test} PROPERTIES LABELS mpi PROCESSORS ${n} TIMEOUT ${ours}
      ENVIRONMENT "${LOCKSTEP_TEST_ENVIRONMENT};${LOCKSTEP_LEAKS_OFF}")
    if(arg_EXPECT_OUTPUT)  # passes exactly when the output matches, whatever the exit code
      set_tests_properties(${test} PROPERTIES PASS_REGULAR_EXPRESSION "${arg_EXPECT_OUTPUT}")
    endif()
  endforeach()
endfunction()

# lockstep_e2e_test(<name> <script> [ARGS <args>] [TIMEOUT <s>] [PROCESSORS <n>]): runs a Python or shell script in a
# folder of its own, with the built programs' folder and the launcher in its environment. Exit code 99: could not test.
# Takes two cores by default, since most jobs have two ranks.
function(lockstep_e2e_test name script)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TIMEOUT;PROCESSORS" "ARGS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_PROCESSORS)
    set(arg_PROCESSORS 2)
  endif()
  math(EXPR timeout "${arg_TIMEOUT} * ${LOCKSTEP_PATIENCE}")
  set(interpreter bash)
  if(script MATCHES "\\.py$")
    set(interpreter python3 -B)
  endif()
  lockstep_scratch(scratch ${name})
  add_test(NAME ${name} WORKING_DIRECTORY "${scratch}"
    COMMAND ${interpreter} "${CMAKE_CURRENT_SOURCE_DIR}/${script}" ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS e2e PROCESSORS ${arg_PROCESSORS} TIMEOUT ${timeout}
    SKIP_RETURN_CODE 99
    ENVIRONMENT "${LOCKSTEP_TEST_ENVIRONMENT};${LOCKSTEP_LEAKS_OFF};LOCKSTEP_BIN_DIR=${PROJECT_BINARY_DIR}/bin;LOCKSTEP_MPIEXEC=${MPIEXEC_EXECUTABLE}")
endfunction()

# main() of the MPI tests.
add_library(lockstep_mpi_gtest_main STATIC support/mpi_gtest_main.cpp)
target_link_libraries(lockstep_mpi_gtest_main PUBLIC GTest::gtest MPI::MPI_CXX PRIVATE lockstep_private_flags)
