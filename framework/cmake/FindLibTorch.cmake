# Finds the CPU half of libtorch and defines torch::c10, torch::cpu and torch::openmp, the library of the threads it uses: in the
# folder LIBTORCH_ROOT where that is given, else where the set-up put it (HOLDFAST_TORCH), else below CMAKE_PREFIX_PATH.
# The wheel's own find_package(Torch) demands a CUDA toolkit and links the CUDA half at start; we load that half at run time.
set(_version_header_below include/torch/headeronly/version.h)
if(DEFINED LIBTORCH_ROOT)
  set(_torch "${LIBTORCH_ROOT}")
elseif(EXISTS "${HOLDFAST_TORCH}/${_version_header_below}")
  set(_torch "${HOLDFAST_TORCH}")
else()
  find_path(_torch ${_version_header_below} NO_CACHE)
endif()
set(_version_header "${_torch}/${_version_header_below}")
if(EXISTS "${_version_header}")
  foreach(_part MAJOR MINOR PATCH)
    file(STRINGS "${_version_header}" _line REGEX "^#define TORCH_VERSION_${_part} ")
    string(REGEX REPLACE ".* ([0-9]+).*" "\\1" _${_part} "${_line}")
  endforeach()
  set(LibTorch_VERSION "${_MAJOR}.${_MINOR}.${_PATCH}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_VERSION VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "there is no ${_version_header_below} below LIBTORCH_ROOT, ${HOLDFAST_TORCH} or CMAKE_PREFIX_PATH: ${HOLDFAST_TORCH_HINT}")

if(LibTorch_FOUND AND NOT TARGET torch::cpu)
  foreach(_library c10 cpu)
    add_library(torch::${_library} SHARED IMPORTED)
    # SYSTEM keeps torch's own warnings out of ours.
    set_target_properties(torch::${_library} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${_torch}/include;${_torch}/include/torch/csrc/api/include")
  endforeach()
  file(GLOB _openmp "${_torch}/lib/libgomp*.so*")
  add_library(torch::openmp SHARED IMPORTED)
  set_target_properties(torch::openmp PROPERTIES IMPORTED_LOCATION "${_openmp}")
  set_target_properties(torch::c10 PROPERTIES IMPORTED_LOCATION "${_torch}/lib/libc10.so")
  set_target_properties(torch::cpu PROPERTIES IMPORTED_LOCATION "${_torch}/lib/libtorch_cpu.so"
    INTERFACE_LINK_LIBRARIES torch::c10
    INTERFACE_LINK_OPTIONS "LINKER:-rpath-link,${_torch}/../nvidia/cu13/lib")
endif()
