// The SDK's fake context, under the name of this folder, and one that counts as the runner does.
#pragma once

#include <holdfast/testing.h>

namespace holdfast::fakes {
using holdfast::FakeContext;

/// Adds up what is reported as the defender's rows, as the runner does.
struct CountingContext final : FakeContext {
  void report(const std::string& name, double value, std::int64_t n) override {
    if (name == kDefenderRows) counted += n;
    FakeContext::report(name, value, n);
  }
  std::int64_t counted = 0;
};

}  // namespace holdfast::fakes
