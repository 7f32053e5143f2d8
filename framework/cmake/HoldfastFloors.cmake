# A floor is one folder of framework/, compiled as an object library: holdfast_<floor>. Its sources are the folder's *.cpp.
# holdfast_add_floor(<floor> LIBRARIES <target>...)
function(holdfast_add_floor floor)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBRARIES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${floor}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/pretrain/")  # a program of its own
  if(NOT sources)  # a floor that has headers only
    file(TOUCH "${PROJECT_BINARY_DIR}/empty.cpp")
    set(sources "${PROJECT_BINARY_DIR}/empty.cpp")
  endif()
  add_library(holdfast_${floor} OBJECT ${sources})
  target_include_directories(holdfast_${floor} PUBLIC "${PROJECT_SOURCE_DIR}/framework/include" "${PROJECT_SOURCE_DIR}/framework")
  target_link_libraries(holdfast_${floor} PUBLIC ${arg_LIBRARIES})
endfunction()
