// The SDK's fake asker, under the name of this folder.
#pragma once

#include <holdfast/testing.h>

namespace holdfast::fakes {
using holdfast::FakeAsker;
}  // namespace holdfast::fakes
