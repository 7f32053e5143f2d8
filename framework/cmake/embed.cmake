# Makes text files of the tree constants of the program.
# cmake -DOUT=<file.cpp> -DHEADER=<header that declares them> -P embed.cmake <constant>=<file>...
cmake_minimum_required(VERSION 3.25)
set(text "// Made by framework/cmake/embed.cmake.\n#include \"${HEADER}\"\n\nnamespace holdfast {\n")
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(NOT CMAKE_ARGV${i} MATCHES "^(k[A-Za-z]+)=(.+)$")
    continue()
  endif()
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" content)
  string(APPEND text "\nconst std::string_view ${name} = R\"~~~~(${content})~~~~\";\n")
endforeach()
file(WRITE "${OUT}" "${text}\n}  // namespace holdfast\n")
