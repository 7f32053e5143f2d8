# holdfast_add_plugin(<name> SOURCES <file>... [LIBRARIES <target>...])
# Builds one plugin library, <name>.plugin.so, in the build tree's plugins/ folder. The same text works inside this project and
# in a project that did find_package(holdfast). MODULE: nobody links a plugin. --no-undefined: a missing symbol fails here and
# not when the runner loads it.
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
    INSTALL_RPATH "$ORIGIN/../lib")
  install(TARGETS ${name} LIBRARY DESTINATION plugins)
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_PLUGINS ${name})  # the build's, for whoever needs them all
  if(NOT HOLDFAST_SANITIZE)  # the sanitizers' own symbols come with the program that loads the plugin
    target_link_options(${name} PRIVATE LINKER:--no-undefined)
  endif()
endfunction()
