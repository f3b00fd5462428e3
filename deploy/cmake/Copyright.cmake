# cmake -DROOT=<sources> -DOUT=<file> -P Copyright.cmake: lockstep's licence, deploy/THIRD_PARTY.md, and of what that says
# is compiled in, embedded or static the texts, where this system has them.
cmake_minimum_required(VERSION 3.25)
set(rule "\n\n------------------------------------------------------------------------\n")
file(READ "${ROOT}/deploy/THIRD_PARTY.md" list)
set(text "lockstep is licensed under the Apache License, Version 2.0; on Debian systems its text is in
/usr/share/common-licenses/Apache-2.0.${rule}${list}")

string(REPLACE ";" "," rows "${list}") # a CMake list from here on
string(REGEX MATCHALL "\n[|][^\n]*(compiled in|embedded|static)[^\n]*" rows "${rows}")
foreach(row IN LISTS rows)
  if(row MATCHES "`(/usr/share/doc/[^`]*)`")
    set(path "${CMAKE_MATCH_1}")
    if(EXISTS "${path}")
      file(READ "${path}" licence)
      string(APPEND text "${rule}${path}:\n\n${licence}")
    else()
      message(WARNING "${path} is not there: its text is not taken into ${OUT}")
    endif()
  endif()
endforeach()
file(WRITE "${OUT}" "${text}")
