set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

# Flags for every target of ours.
add_library(lockstep_private_flags INTERFACE)
target_compile_features(lockstep_private_flags INTERFACE cxx_std_20)
target_compile_definitions(lockstep_private_flags INTERFACE LOCKSTEP_VERSION="${PROJECT_VERSION}")
target_compile_options(lockstep_private_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${LOCKSTEP_WERROR}>:-Werror>)
if(LOCKSTEP_SANITIZE)
  # vptr needs the type information of LibTorch's classes, which its libraries do not export.
  target_compile_options(lockstep_private_flags INTERFACE
    -fsanitize=${LOCKSTEP_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lockstep_private_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()

# lockstep_library(<name> SOURCES <files> HEADERS <files> [DEPENDS <targets>] [PRIVATE_DEPENDS <targets>]):
# static library lockstep::<name>. Each header is also compiled alone by the target all_verify_interface_header_sets.
function(lockstep_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS")
  set(target lockstep_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(lockstep::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${arg_HEADERS})
  target_link_libraries(${target} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_PRIVATE_DEPENDS}
    $<BUILD_INTERFACE:lockstep_private_flags>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
endfunction()

# lockstep_program(<name> SOURCES <files> DEPENDS <targets>): program <name> in the build folder's bin/.
function(lockstep_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} lockstep_private_flags)
endfunction()
