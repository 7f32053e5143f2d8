# What a plugin's CMakeLists.txt calls. The same text works inside this project and in a project that did find_package(holdfast).

# holdfast_add_plugin(<name> SOURCES <file>... [LIBRARIES <target>...])
# Builds one plugin library, <name>.plugin.so, in the build tree's plugins/ folder; installed, it lies where the program of that prefix
# looks. MODULE: nobody links a plugin. --no-undefined: a missing symbol fails here and not when the runner loads it.
function(holdfast_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "usage: holdfast_add_plugin(<name> SOURCES <file>... [LIBRARIES <target>...])")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE holdfast::sdk ${arg_LIBRARIES})
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".plugin.so"
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/plugins"
    INSTALL_RPATH "$ORIGIN/../..")
  if(COMMAND holdfast_use_headers)  # inside Holdfast
    holdfast_use_headers(${name} sdk)
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION lib/holdfast/plugins)
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_PLUGINS ${name})  # the build's, for whoever needs them all
  if(NOT HOLDFAST_SANITIZE AND NOT HOLDFAST_SANITIZE_THREADS)  # the sanitizers' own symbols come with the program that loads the plugin
    target_link_options(${name} PRIVATE LINKER:--no-undefined)
  endif()
endfunction()

# holdfast_add_plugin_test(<name> SOURCES <file>...)
# A test program of the plugin <name> for ctest, linked with what the plugin is made of (<holdfast/testing.h>). It takes GoogleTest;
# where that is not installed there are no tests, and a line says so.
function(holdfast_add_plugin_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES OR NOT TARGET ${name})
    message(FATAL_ERROR "usage, after holdfast_add_plugin(<name> ...): holdfast_add_plugin_test(<name> SOURCES <file>...)")
  endif()
  find_package(GTest QUIET)
  if(NOT GTest_FOUND)
    message(STATUS "GoogleTest was not found (libgtest-dev): the tests of ${name} are left out")
    return()
  endif()
  get_target_property(libraries ${name} LINK_LIBRARIES)
  add_executable(${name}-test ${arg_SOURCES} $<TARGET_OBJECTS:${name}>)
  target_link_libraries(${name}-test PRIVATE ${libraries} GTest::gtest GTest::gtest_main)
  set_target_properties(${name}-test PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  add_test(NAME ${name}-test COMMAND ${name}-test)
  set_tests_properties(${name}-test PROPERTIES LABELS unit ENVIRONMENT OMP_NUM_THREADS=1)
  if(COMMAND holdfast_add_floor)  # inside Holdfast: with its other tests, which who only runs the program does not wait for
    set_target_properties(${name}-test PROPERTIES EXCLUDE_FROM_ALL ON)
    set_property(GLOBAL APPEND PROPERTY HOLDFAST_PLUGIN_TESTS ${name}-test)
  endif()
endfunction()
