# Installs the SDK to a fresh prefix, builds plugins/template from there as a project of its own, and has this build load it.
# Run with -DBUILD=<build tree> -DTEMPLATE=<plugins/template> -DLOADER=<test_plugin> -DWORK=<scratch folder>
file(REMOVE_RECURSE "${WORK}")
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGN}\n${text}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install "${BUILD}" --component sdk --prefix "${WORK}/prefix")
run(${CMAKE_COMMAND} -S "${TEMPLATE}" -B "${WORK}/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
run(${CMAKE_COMMAND} --build "${WORK}/build")
set(ENV{HOLDFAST_PLUGIN_PATH} "${WORK}/build/plugins")
run("${LOADER}" --gtest_also_run_disabled_tests --gtest_filter=*OutOfTree.DISABLED_*)
