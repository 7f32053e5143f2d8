// What the SDK's library exports: all that is declared in a `namespace HOLDFAST_PUBLIC holdfast` of these headers, and nothing
// else.
#pragma once

#define HOLDFAST_PUBLIC [[gnu::visibility("default")]]
