// The SDK's fake context, under the name of this folder.
#pragma once

#include <holdfast/testing.h>

namespace holdfast::fakes {
using holdfast::FakeContext;
}  // namespace holdfast::fakes
