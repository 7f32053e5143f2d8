# What the SDK's library exports: the definitions of holdfast/*.h. They lie in the floors where they belong and are compiled once,
# for that library, so that each class has one table and one type for the program and for all plugins.
set(HOLDFAST_API_SOURCES
  base/error.cpp base/json_tree.cpp base/log.cpp base/params.cpp base/random.cpp data/dataset.cpp data/dataset_file.cpp
  data/system_message.cpp judge/ask_options.cpp judge/guard_question.cpp judge/policy.cpp judge/question.cpp
  judge/review_judge.cpp judge/sdk.cpp judge/words.cpp learn/attacker.cpp learn/batches.cpp learn/defender.cpp
  learn/defender_rows.cpp learn/repair.cpp learn/row_ranking.cpp learn/row_states.cpp learn/sdk.cpp learn/taps.cpp
  learn/tensors.cpp plugin/divergence.cpp plugin/moderation.cpp plugin/moderator.cpp plugin/testing.cpp)
list(TRANSFORM HOLDFAST_API_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/framework/")

# A floor is one folder of framework/, compiled as an object library: holdfast_<floor>. Its sources are the folder's *.cpp, but for
# those of the SDK's library.
# holdfast_add_floor(<floor> HEADERS plain|core|app|cli LIBRARIES <target>...)
function(holdfast_add_floor floor)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADERS" "LIBRARIES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/${floor}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/(pretrain|front|engine)/")  # programs of their own
  list(TRANSFORM sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  list(REMOVE_ITEM sources ${HOLDFAST_API_SOURCES})
  if(NOT sources)  # a floor that has headers only
    file(TOUCH "${PROJECT_BINARY_DIR}/empty.cpp")
    set(sources "${PROJECT_BINARY_DIR}/empty.cpp")
  endif()
  add_library(holdfast_${floor} OBJECT ${sources})
  target_include_directories(holdfast_${floor} PUBLIC "${PROJECT_SOURCE_DIR}/framework/include" "${PROJECT_SOURCE_DIR}/framework")
  target_link_libraries(holdfast_${floor} PUBLIC ${arg_LIBRARIES})
  holdfast_use_headers(holdfast_${floor} ${arg_HEADERS})
endfunction()

# Reading torch, JSON and the standard library anew takes most of a source file's compile time, so they are precompiled:
# `plain` for floors without tensors, `core` for those that compute, `app` for the code around them, where the optimiser would
# take longer than it ever saves, `cli` for the command line's.
# The release and sanitizer presets also compile files of a floor together (CMAKE_UNITY_BUILD), which takes a third of the time: a
# name of an unnamed namespace stands once in a floor. Whether each file's own includes are complete shows where it is compiled alone:
# cmake --preset dev -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON.
# A precompiled header serves one set of compiler options; what uses one takes its options too.
set(HOLDFAST_STANDARD_HEADERS
  <algorithm> <filesystem> <functional> <map> <memory> <optional> <set> <sstream> <string> <vector> <nlohmann/json.hpp>)
set(HOLDFAST_PLUGIN_HEADERS
  <ATen/ATen.h> <algorithm> <filesystem> <functional> <map> <memory> <optional> <set> <sstream> <string> <vector>)
set(HOLDFAST_QUICK "$<$<CONFIG:Release>:-O1>")  # a debug build keeps its own optimisation level

# holdfast_add_headers(<name> OPTIONS <option>... LIBRARIES <target>... HEADERS <header>...)
function(holdfast_add_headers name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;LIBRARIES;HEADERS")
  file(TOUCH "${PROJECT_BINARY_DIR}/headers_${name}.cpp")
  add_library(holdfast_headers_${name} OBJECT "${PROJECT_BINARY_DIR}/headers_${name}.cpp")
  target_link_libraries(holdfast_headers_${name} PUBLIC ${arg_LIBRARIES})
  target_compile_options(holdfast_headers_${name} PUBLIC ${arg_OPTIONS})
  target_precompile_headers(holdfast_headers_${name} PRIVATE ${arg_HEADERS})
endfunction()

function(holdfast_use_headers target name)
  target_precompile_headers(${target} REUSE_FROM holdfast_headers_${name})
  get_target_property(options holdfast_headers_${name} INTERFACE_COMPILE_OPTIONS)
  if(options)
    target_compile_options(${target} PRIVATE ${options})
  endif()
endfunction()
