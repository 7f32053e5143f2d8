// The SDK's fake model, under the name of this folder.
#pragma once

#include <holdfast/testing.h>

namespace holdfast::fakes {
using holdfast::FakeModel;
}  // namespace holdfast::fakes
