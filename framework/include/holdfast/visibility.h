// What the SDK's library exports: all that is declared in a `namespace HOLDFAST_PUBLIC holdfast` of these headers, and nothing
// else.
#pragma once

/// Marks a namespace whose definitions the library exports.
#define HOLDFAST_PUBLIC [[gnu::visibility("default")]]
