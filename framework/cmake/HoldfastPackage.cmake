# cmake --install BUILD --prefix PREFIX: a package that needs no checkout and may be moved.
#   bin/                    holdfast, holdfast-engine, which it becomes where torch is needed, and holdfast-setup, which brings what the
#                           package does not hold
#   lib/                    libholdfast_sdk.so
#   lib/holdfast/plugins/   one library a plugin (HoldfastPlugin.cmake)
#   lib/holdfast/torch      a link to the folder that holds torch/ and nvidia/: this build's, until holdfast-setup sets another
#   lib/cmake/holdfast/     find_package(holdfast), for plugins that are projects of their own
#   share/holdfast/         the organism, templates of plugins, scenarios, documentation
# Component sdk is what building a plugin takes; running one takes the whole.
include(CMakePackageConfigHelpers)
set(_package lib/cmake/holdfast)
set(_torch_libraries holdfast/torch/torch/lib)
set_target_properties(holdfast_sdk PROPERTIES EXPORT_NAME sdk INSTALL_RPATH "$ORIGIN;$ORIGIN/${_torch_libraries}")
set_target_properties(holdfast_engine PROPERTIES INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../lib/${_torch_libraries}")
install(TARGETS holdfast holdfast_engine RUNTIME DESTINATION bin)
install(TARGETS holdfast_sdk EXPORT holdfastTargets LIBRARY DESTINATION lib COMPONENT sdk)
install(EXPORT holdfastTargets NAMESPACE holdfast:: DESTINATION ${_package} COMPONENT sdk)
install(DIRECTORY include/holdfast DESTINATION include COMPONENT sdk)
configure_package_config_file(cmake/holdfastConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/holdfastConfig.cmake"
  INSTALL_DESTINATION ${_package})
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/holdfastConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES cmake/FindLibTorch.cmake cmake/HoldfastPlugin.cmake
  "${CMAKE_CURRENT_BINARY_DIR}/holdfastConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/holdfastConfigVersion.cmake"
  DESTINATION ${_package} COMPONENT sdk)
install(PROGRAMS "${PROJECT_SOURCE_DIR}/tools/setup" DESTINATION bin RENAME holdfast-setup COMPONENT sdk)
# A folder that holdfast-setup filled, or a link that leads somewhere, stays.
install(CODE "
  set(torch \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/holdfast/torch\")
  if(NOT EXISTS \"\${torch}/torch/lib\")
    file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/holdfast\")
    file(CREATE_LINK \"${HOLDFAST_DEPS}/torch\" \"\${torch}\" SYMBOLIC)
  endif()" COMPONENT sdk)

set(_share share/holdfast)
install(DIRECTORY organism/base/ DESTINATION ${_share}/organism)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/plugins/template/" DESTINATION ${_share}/template)
foreach(_scenario quickstart field leaderboard effort)
  install(FILES "${PROJECT_SOURCE_DIR}/scenarios/${_scenario}.toml" DESTINATION ${_share}/scenarios)
endforeach()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs" DESTINATION ${_share} FILES_MATCHING PATTERN "*.md")
foreach(_kind attacks defenses judges)  # beside docs/ as in the checkout, where its pages look for them
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/plugins/${_kind}" DESTINATION ${_share}/plugins FILES_MATCHING PATTERN "README.md")
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md" DESTINATION ${_share})
