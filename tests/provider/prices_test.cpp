#include "provider/prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <thread>

#include "base/file.h"
#include "provider/ledger.h"
#include "provider/quick_settings.h"
#include "provider/settings.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ProviderSettings settings() { return quick_settings("openai", "http://127.0.0.1:9/v1"); }

TEST(TrainingRows, AreMessagesAndNothingElse) {
  Example row;
  row.messages = {{"system", "Be brief."}, {"user", "A question?"}, {"assistant", "Context."}, {"assistant", "An answer."}};
  row.messages[2].learned = false;
  row.tags = {{"kind", "harmful"}, {"id", "secret-7"}};
  row.origin = "/home/somebody/rows.jsonl:3";
  const TrainingRows rows = training_rows({row});
  EXPECT_EQ(rows.lines, R"({"messages":[{"content":"Be brief.","role":"system"},{"content":"A question?","role":"user"},)"
                        R"({"content":"Context.","role":"assistant","weight":0},{"content":"An answer.","role":"assistant"}]})"
                        "\n");
  EXPECT_EQ(rows.count, 1);
  EXPECT_EQ(rows.tokens, 9 + 11 + 8 + 10 + 5 * 16);
}

TEST(TrainingRows, RefuseWhatNoProviderHasWordsFor) {
  Example row;
  row.messages = {{"user", "a"}, {"assistant", "b"}};
  row.messages[1].learn_from = 1;
  try {
    training_rows({{{{"user", "a"}, {"assistant", "b"}}, {}}, row});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("row 2"), HasSubstr("learn_from")));
  }
}

TEST(Prices, AreByTheMillion) {
  TrainingRows rows;
  rows.tokens = 500;
  EXPECT_DOUBLE_EQ(*most_of_job(settings(), rows, 4), 2000 * 8 / 1e6);
  EXPECT_DOUBLE_EQ(price_of_training(settings(), 1000000), 8);
  const Conversation prompt = {{"user", "twelve bytes"}};
  EXPECT_DOUBLE_EQ(most_of_chat(settings(), prompt, 64), ((12 + 16 + 16) * 1 + 64 * 2) / 1e6);
  EXPECT_DOUBLE_EQ(price_of_chat(settings(), {{"prompt_tokens", 7}, {"completion_tokens", 3}}, 1), (7 + 3 * 2) / 1e6);
  EXPECT_DOUBLE_EQ(price_of_chat(settings(), {{"prompt_tokens", 7}}, 0.5), 0.5) << "what is not counted costs the most";
  EXPECT_DOUBLE_EQ(price_of_chat(settings(), {{"prompt_tokens", -7}, {"completion_tokens", 3}}, 0.5), 0.5);
  EXPECT_DOUBLE_EQ(price_of_chat(settings(), {{"prompt_tokens", "7"}, {"completion_tokens", 3}}, 0.5), 0.5);
  EXPECT_FALSE(counted({{"prompt_tokens", UINT64_MAX}}, "prompt_tokens"));
  ProviderSettings unsaid = settings();
  unsaid.training_price.reset();
  EXPECT_FALSE(most_of_job(unsaid, rows, 4));
  EXPECT_EQ(sum_text(0.000012, "EUR"), "1.2e-05 EUR");
}

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("ledger" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file() const { return folder_ / "spending.jsonl"; }
  SpendLedger ledger(const ProviderSettings& of = settings()) const { return {file(), of}; }

  std::string refusal(SpendLedger& of, double amount) {
    try {
      of.reserve(amount, "a job of 10 rows");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(LedgerTest, CountsWhatIsSetAsideUntilItIsSettled) {
  SpendLedger spent = ledger();
  const std::string job = spent.reserve(6, "a job");
  EXPECT_DOUBLE_EQ(spent.sum(), 6);
  spent.settle(job, 2);
  EXPECT_DOUBLE_EQ(spent.sum(), 2);
  spent.reserve(8, "another");
  EXPECT_DOUBLE_EQ(ledger().sum(), 10) << "another process counts the same";
}

TEST_F(LedgerTest, RefusesWhatWouldPassTheLimitAndNamesIt) {
  SpendLedger spent = ledger();
  spent.settle(spent.reserve(9, "a job"), 9);
  EXPECT_THAT(refusal(spent, 1.5), AllOf(HasSubstr("\"base-model\" of http://127.0.0.1:9/v1"), HasSubstr("has cost 9 USD"),
                                         HasSubstr("a job of 10 rows may cost up to 1.5 USD"),
                                         HasSubstr("spend_limit is 10 USD"), HasSubstr("raise spend_limit")));
  EXPECT_DOUBLE_EQ(spent.sum(), 9) << "what was refused is not set aside";
  EXPECT_EQ(refusal(spent, 1), "");
}

TEST_F(LedgerTest, CountsEachModelAlone) {
  ProviderSettings other = settings();
  other.model = "another";
  SpendLedger mine = ledger(), theirs = ledger(other);
  mine.reserve(10, "all");
  EXPECT_EQ(refusal(theirs, 10), "");
  other.url += "x";
  EXPECT_DOUBLE_EQ(ledger(other).sum(), 0);
}

TEST_F(LedgerTest, OutlivesDeathsInTheMiddleOfALine) {
  SpendLedger spent = ledger();
  spent.reserve(3, "a job");
  append_file(file(), R"({"about":"torn)");
  spent.reserve(4, "another");
  EXPECT_DOUBLE_EQ(spent.sum(), 7);
}

TEST_F(LedgerTest, RefusesAnotherCurrencyAndOtherFiles) {
  SpendLedger spent = ledger();
  spent.reserve(3, "a job");
  ProviderSettings euros = settings();
  euros.currency = "EUR";
  SpendLedger mixed = ledger(euros);
  EXPECT_THAT(refusal(mixed, 1), AllOf(HasSubstr("\"USD\" before"), HasSubstr("\"EUR\" now")));
  write_file(file(), "[1]\n");
  EXPECT_THAT(refusal(spent, 1), HasSubstr("spending.jsonl:1 is no line of the ledger"));
}

TEST_F(LedgerTest, HoldsBesideManyWriters) {
  std::vector<std::jthread> threads;
  std::atomic<int> granted{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      SpendLedger own = ledger();
      for (int n = 0; n < 5; ++n) {
        if (refusal(own, 1).empty()) ++granted;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(granted, 10);
  EXPECT_DOUBLE_EQ(ledger().sum(), 10);
}

}  // namespace
}  // namespace holdfast
