# What common/version.cpp says of the build and of the libraries that Dependencies.cmake found. Debian's are shared for
# the most part: what a program runs with may be a later one of the same ABI.

# lockstep_header_version(<result> <header> <macros...>): the values, joined by dots.
function(lockstep_header_version result header)
  set(numbers "")
  foreach(macro IN LISTS ARGN)
    file(STRINGS "${header}" line REGEX "#define +${macro} " LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9][0-9.]*" number "${line}")
    list(APPEND numbers "${number}")
  endforeach()
  list(JOIN numbers "." version)
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

lockstep_header_version(xxhash "${XXHASH_INCLUDE_DIR}/xxhash.h" XXH_VERSION_MAJOR XXH_VERSION_MINOR XXH_VERSION_RELEASE)
lockstep_header_version(protozero "${PROTOZERO_INCLUDE_DIR}/protozero/version.hpp" PROTOZERO_VERSION_STRING)
lockstep_header_version(isal "${ISAL_INCLUDE_DIR}/isa-l.h" ISAL_MAJOR_VERSION ISAL_MINOR_VERSION ISAL_PATCH_VERSION)
get_target_property(prometheus prometheus-cpp::core LOCATION) # says its version nowhere but in the file's name
string(REGEX REPLACE ".*\\.so\\.([0-9.]+)$" "\\1" prometheus "${prometheus}")
file(STRINGS "${CHART_JS}" chart REGEX "Chart.js v" LIMIT_COUNT 1)
string(REGEX REPLACE ".*Chart.js v([0-9.]+).*" "\\1" chart "${chart}")

string(JOIN ", " of_both
  "yaml-cpp ${yaml-cpp_VERSION}" "nlohmann-json ${nlohmann_json_VERSION}" "simdjson ${simdjson_VERSION}"
  "spdlog ${spdlog_VERSION}" "fmt ${fmt_VERSION}" "xxHash ${xxhash}" "Boost ${Boost_VERSION_STRING}"
  "prometheus-cpp ${prometheus}" "CLI11 ${CLI11_VERSION}" "Chart.js ${chart}")
string(JOIN ", " of_daemon "isa-l ${isal}" "protozero ${protozero}" "zlib ${ZLIB_VERSION_STRING}")
set(compiler "${CMAKE_CXX_COMPILER_ID}")
if(compiler STREQUAL "GNU")
  set(compiler GCC)
endif()
set(build_type "${CMAKE_BUILD_TYPE}")
if(LOCKSTEP_SANITIZE)
  string(APPEND build_type " with ${LOCKSTEP_SANITIZE}")
endif()
set_source_files_properties("${PROJECT_SOURCE_DIR}/common/version.cpp" TARGET_DIRECTORY lockstep_common PROPERTIES
  COMPILE_DEFINITIONS "LOCKSTEP_BUILD_TYPE=\"${build_type}\";LOCKSTEP_COMPILER=\"${compiler} ${CMAKE_CXX_COMPILER_VERSION}\";LOCKSTEP_LIBRARIES_OF_BOTH=\"${of_both}\";LOCKSTEP_LIBRARIES_OF_DAEMON=\"${of_daemon}\"")
