// The ABI tag: one exported symbol whose name says what a plugin was compiled against.
#pragma once

#include <torch/headeronly/version.h>

#include <cstddef>  // any standard header: it defines _GLIBCXX_USE_CXX11_ABI

/// Bumped by hand whenever a type that crosses the plugin border changes (tests/plugin pins their sizes beside this number).
#ifndef HOLDFAST_PLUGIN_API
#define HOLDFAST_PLUGIN_API 6
#endif

#define HOLDFAST_ABI_PASTE(api, major, minor, patch, cxx11) \
  holdfast_abi_api##api##_torch##major##_##minor##_##patch##_cxx11abi##cxx11
#define HOLDFAST_ABI_EXPAND(api, major, minor, patch, cxx11) HOLDFAST_ABI_PASTE(api, major, minor, patch, cxx11)

/// An identifier such as holdfast_abi_api6_torch2_11_0_cxx11abi1. The compiler is no part of it: g++ and clang++ lay out and
/// name the same things alike. With another standard library (libc++) the last part is no number, and the plugin is refused.
#define HOLDFAST_ABI_TAG                                                                                  \
  HOLDFAST_ABI_EXPAND(HOLDFAST_PLUGIN_API, TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH, \
                      _GLIBCXX_USE_CXX11_ABI)
