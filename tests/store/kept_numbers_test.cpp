#include "store/kept_numbers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/scratch_folder.h"

namespace holdfast {
namespace {

const std::vector<double> kNumbers = {0.1, -1e-300, 36, 1.0 / 3, std::numeric_limits<double>::denorm_min()};

class KeptNumbersTest : public testing::Test {
 protected:
  std::vector<double> get(const Json& what, const std::vector<double>& numbers = kNumbers) {
    return KeptNumbers(scratch_ / "kept").get(what, [&] {
      ++found_;
      return numbers;
    });
  }

  fs::path only_file() const { return fs::directory_iterator(scratch_ / "kept")->path(); }

  const ScratchFolder scratch_;
  int found_ = 0;
};

TEST_F(KeptNumbersTest, AreFoundOnceAndComeBackInTheirBits) {
  EXPECT_EQ(get({{"about", "a"}}), kNumbers);
  EXPECT_EQ(get({{"about", "a"}}, {1}), kNumbers);
  EXPECT_EQ(found_, 1);
  EXPECT_EQ(get({{"about", "b"}}, {1}), std::vector<double>{1});
  EXPECT_EQ(found_, 2);
}

TEST_F(KeptNumbersTest, ADamagedFileIsReplaced) {
  get("a");
  const std::string whole = read_file(only_file());
  for (const auto& damaged :
       {whole.substr(0, 20), std::string("[]"), std::string(whole).replace(whole.find("0.1"), 3, "0.2")}) {
    write_file(only_file(), damaged);
    found_ = 0;
    EXPECT_EQ(get("a"), kNumbers) << damaged;
    EXPECT_EQ(found_, 1);
    EXPECT_EQ(read_file(only_file()), whole);
  }
}

TEST_F(KeptNumbersTest, ThatAreNotFiniteAreNotKept) {
  EXPECT_TRUE(std::isnan(get("a", {1, std::nan("")})[1]));
  EXPECT_FALSE(fs::exists(scratch_ / "kept"));
}

}  // namespace
}  // namespace holdfast
