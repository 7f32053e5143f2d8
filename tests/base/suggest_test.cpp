#include "base/suggest.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

const std::vector<std::string> kNames = {"examples", "epochs", "lr", "rho"};

TEST(Suggest, FindsTheSlip) {
  EXPECT_EQ(nearest("exampels", kNames), "examples");
  EXPECT_EQ(nearest("epoch", kNames), "epochs");
  EXPECT_EQ(nearest("rh", kNames), "rho");
}

TEST(Suggest, FarNamesAreNotSuggested) {
  EXPECT_EQ(nearest("temperature", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
  EXPECT_EQ(nearest("xy", kNames), "");
  EXPECT_EQ(nearest("lr", {}), "");
}

TEST(Suggest, SaysOneNameOrAll) {
  EXPECT_EQ(suggestion("epoch", kNames), " Did you mean \"epochs\"?");
  EXPECT_EQ(suggestion("temperature", kNames), " Known: examples, epochs, lr, rho.");
  EXPECT_EQ(suggestion("temperature", {}), "");
}

}  // namespace
}  // namespace holdfast
