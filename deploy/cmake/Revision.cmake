# cmake -DSOURCE=<sources> -DOUT=<folder> -DVERSION=<the project's> -P Revision.cmake: writes which commit the sources are
# of, and touches only what has changed: OUT/revision.cpp for --version, OUT/package_version.txt for Debian's package.
# Sources that are no checkout and come from no `git archive` have no revision.
cmake_minimum_required(VERSION 3.25)
set(archived "$Format:%h$") # git archive replaces it (.gitattributes)
set(archived_at "$Format:%ct$")

# git(<result> <arguments>): "" where it fails. Never takes a lock: a build may go on beside a commit.
function(git result)
  execute_process(COMMAND git --no-optional-locks -C "${SOURCE}" ${ARGN}
    OUTPUT_VARIABLE said ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(${result} "${said}" PARENT_SCOPE)
endfunction()

# Sources without a .git of their own may lie in a checkout of something else.
set(revision "")
set(package_version "${VERSION}")
git(prefix rev-parse --show-prefix --is-inside-work-tree)
if(prefix MATCHES "^[\n]?true$")
  git(revision describe --tags --match "v[0-9]*" --always --dirty)
  git(tagged describe --tags --match "v${VERSION}" --abbrev=0)
  git(committed log -1 --format=%ct)
elseif(NOT archived MATCHES "Format:")
  set(revision "${archived}")
  set(tagged "")
  set(committed "${archived_at}")
endif()

# A release is what has the tag v0.1.0; before it 0.1.0~..., behind it 0.1.0+..., which dpkg orders so.
if(revision AND NOT revision STREQUAL "v${VERSION}")
  set(sign "~")
  if(tagged)
    set(sign "+")
  endif()
  set(ENV{SOURCE_DATE_EPOCH} "${committed}")
  string(TIMESTAMP at "%Y%m%d.%H%M%S" UTC)
  string(REGEX REPLACE "^v[0-9].*-g([0-9a-f]+)" "\\1" commit "${revision}")
  string(REPLACE "-" "." commit "${commit}")
  set(package_version "${VERSION}${sign}git${at}.${commit}")
endif()

function(write_if_different path text)
  set(before "")
  if(EXISTS "${path}")
    file(READ "${path}" before)
  endif()
  if(NOT before STREQUAL text)
    file(WRITE "${path}" "${text}")
  endif()
endfunction()
write_if_different("${OUT}/package_version.txt" "${package_version}\n")
write_if_different("${OUT}/revision.cpp" "#include \"common/revision.h\"

namespace lockstep {

const char* source_revision() {
  return \"${revision}\";
}

}  // namespace lockstep
")
