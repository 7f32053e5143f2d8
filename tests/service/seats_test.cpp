// Answers that take their time.
#include "service/seats.h"

#include <gtest/gtest.h>

#include "service/announced_uploads.h"
#include "service/api_error.h"

namespace holdfast {
namespace {

template <typename Call>
int status_of(const Call& call) {
  try {
    call();
  } catch (const ApiError& error) {
    return error.status;
  }
  return 200;
}

TEST(Seats, AreLimitedForOneAndForAll) {
  Seats seats(2, 3);
  auto first = seats.take("a");
  const auto second = seats.take("a");
  EXPECT_EQ(status_of([&] { seats.take("a"); }), 429);
  const auto third = seats.take("b");
  EXPECT_EQ(status_of([&] { seats.take("b"); }), 503);
  const auto copy = first;
  first.reset();
  EXPECT_EQ(status_of([&] { seats.take("b"); }), 503);  // a copy holds it still
}

TEST(Seats, AreFreeOnceNobodySitsThere) {
  Seats seats(1, 1);
  for (const char* customer : {"a", "b", "a"}) {
    const auto seat = seats.take(customer);
    EXPECT_EQ(status_of([&] { seats.take(customer); }), 429);
  }
}

TEST(AnnouncedUploads, HaveAddressesThatNobodyGuesses) {
  AnnouncedUploads uploads;
  const std::string one = uploads.add({"a", "file-1", {}}), other = uploads.add({"b", "file-2", {}});
  EXPECT_NE(one, other);
  EXPECT_EQ(uploads.find(one)->customer, "a");
  EXPECT_EQ(uploads.find(other)->file_id, "file-2");
  EXPECT_FALSE(uploads.find("incoming-"));
  uploads.remove(one);
  EXPECT_FALSE(uploads.find(one));
  for (int i = 0; i < 99; ++i) uploads.add({"b", "file", {}});
  EXPECT_EQ(status_of([&] { uploads.add({"b", "file", {}}); }), 429);
  EXPECT_EQ(status_of([&] { uploads.add({"a", "file", {}}); }), 200);
}

}  // namespace
}  // namespace holdfast
