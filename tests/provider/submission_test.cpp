#include "provider/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "provider/chats.h"
#include "provider/hyperparameters.h"
#include "provider/quick_settings.h"

namespace holdfast {
namespace {

using fakes::ChatServer;
using fakes::Request;
using fakes::Scripted;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A service of OpenAI's shape with one job, whose states come one after another.
class OneJob {
 public:
  explicit OneJob(std::vector<Json> states) : states_(std::move(states)) {}

  Scripted operator()(const Request& request) {
    const std::string what = request.method + " " + request.path;
    if (what == "POST /v1/files") return {200, R"({"id": "file-1"})"};
    if (what == "POST /v1/fine_tuning/jobs") {
      ++created;
      return {200, R"({"id": "ftjob-1", "status": "queued"})"};
    }
    if (what == "GET /v1/fine_tuning/jobs/ftjob-1") {
      Json job = states_[std::min(looks_++, states_.size() - 1)];
      job["id"] = "ftjob-1";
      return {200, job.dump()};
    }
    if (what == "POST /v1/chat/completions") return fakes::says("reply of " + request.body.at("model").get<std::string>());
    return {404, "{}"};
  }

  int created = 0;

 private:
  std::vector<Json> states_;
  std::size_t looks_ = 0;
};

class SubmissionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("submission" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void serve(std::vector<Json> states) {
    job_.emplace(std::move(states));
    server_.emplace([this](const Request& request) { return (*job_)(request); });
    settings_ = quick_settings("openai", *server_);
  }

  Submission submission() const {
    Submission made;
    made.rows = training_rows({{{{"user", "a"}, {"assistant", "b"}}, {}}});
    made.epochs = 5;
    TrainingOptions options;
    made.order = {std::string(64, 'a'), hyperparameters(dialect("openai"), options, settings_.base_lr), 1, 1};
    return made;
  }

  Submitted submit() {
    SpendLedger ledger = this->ledger();
    const std::function<void(const JobState&)> told = [](const JobState&) {};
    return submit_rows(settings_, submission(), folder_ / "submissions" / "a.json", ledger, told);
  }
  std::string error() {
    try {
      submit();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  SpendLedger ledger() const { return {folder_ / "spending.jsonl", settings_}; }

  fs::path folder_;
  std::optional<OneJob> job_;
  std::optional<ChatServer> server_;
  ProviderSettings settings_;
};

const Json kSucceeded = {{"status", "succeeded"}, {"fine_tuned_model", "ft:tuned"}, {"trained_tokens", 1000}};

TEST_F(SubmissionTest, EndsInATunedModelAndItsPrice) {
  serve({{{"status", "validating_files"}}, {{"status", "running"}}, kSucceeded});
  const Submitted made = submit();
  EXPECT_FALSE(made.refused);
  EXPECT_EQ(made.model, "ft:tuned");
  EXPECT_EQ(made.job, "ftjob-1");
  EXPECT_EQ(made.trained_tokens, 1000);
  EXPECT_DOUBLE_EQ(made.price, 1000 * 8 / 1e6);
  EXPECT_DOUBLE_EQ(ledger().sum(), made.price) << "what was set aside is settled";
  EXPECT_EQ(to_json(submitted_from_json(to_json(made))), to_json(made));
}

TEST_F(SubmissionTest, GoesOnWithTheJobOfWhoeverDied) {
  serve({kSucceeded});
  fs::create_directories(folder_ / "submissions");
  write_file(folder_ / "submissions" / "a.json",
             R"({"creating":true,"file":"file-1","job":"ftjob-1","most":1.0,"reserved":"x"})");
  EXPECT_EQ(submit().model, "ft:tuned");
  EXPECT_EQ(job_->created, 0);
  EXPECT_EQ(submit().model, "ft:tuned") << "a lost artifact is no second job";
  EXPECT_EQ(job_->created, 0);
}

TEST_F(SubmissionTest, RefusedIsAResultThatCostsNothing) {
  serve({{{"status", "failed"},
          {"error", {{"code", "invalid_training_file"}, {"message", "unsafe"}, {"param", "training_file"}}}}});
  const Submitted made = submit();
  EXPECT_TRUE(made.refused);
  EXPECT_EQ(made.model, "base-model") << "what the attacker is left with";
  EXPECT_EQ(made.reason, "\"unsafe\"");
  EXPECT_EQ(made.price, 0);
  EXPECT_EQ(ledger().sum(), 0);
}

TEST_F(SubmissionTest, AJobThatFailedOfItselfIsTriedAnew) {
  serve({{{"status", "failed"}, {"error", {{"code", "server_error"}, {"message", "a node was lost"}}}}, kSucceeded});
  EXPECT_THAT(error(), AllOf(HasSubstr("ftjob-1"), HasSubstr("a node was lost"), HasSubstr("new job")));
  EXPECT_EQ(submit().model, "ft:tuned");
  EXPECT_EQ(job_->created, 2);
}

TEST_F(SubmissionTest, NoJobIsCreatedThatMayPassTheLimit) {
  serve({kSucceeded});
  settings_.spend_limit = 1e-6;
  EXPECT_THAT(error(), AllOf(HasSubstr("a job of 1 rows may cost up to"), HasSubstr("spend_limit is 1e-06 USD")));
  EXPECT_EQ(job_->created, 0);
  settings_.spend_limit = 1;
  EXPECT_EQ(error(), "");
}

TEST_F(SubmissionTest, AJobThatTakesTooLongIsWaitedForAnotherTime) {
  serve({{{"status", "running"}}});
  settings_.job_timeout = 0.05;
  EXPECT_THAT(error(), AllOf(HasSubstr("ftjob-1"), HasSubstr("\"running\""), HasSubstr("job_timeout")));
  EXPECT_GT(ledger().sum(), 0) << "it may still be billed";
  EXPECT_THAT(error(), HasSubstr("ftjob-1"));
  EXPECT_EQ(job_->created, 1);
}

TEST_F(SubmissionTest, IsRepeatedFromARecordingWithoutNetworkAndKey) {
  serve({kSucceeded});
  settings_.recording = (folder_ / "recording.jsonl").string();
  const Submitted made = submit();
  settings_.replay = true;
  settings_.key_env = "HOLDFAST_NO_SUCH_KEY";
  server_.reset();
  fs::remove_all(folder_ / "submissions");
  const double spent = ledger().sum();
  EXPECT_EQ(to_json(submit()), to_json(made));
  EXPECT_EQ(ledger().sum(), spent) << "to replay costs nothing";
  settings_.model = "another";
  EXPECT_THAT(error(), AllOf(HasSubstr("lacks the job of 1 rows"), HasSubstr("replay = false")));
  settings_.model = "base-model";
  std::string text = read_file(settings_.recording);
  text.replace(text.find("refused"), 7, "refusal");
  write_file(settings_.recording, text);
  EXPECT_THAT(error(), HasSubstr("holds something else in the place of a job"));
}

class ChatsTest : public SubmissionTest {
 protected:
  std::vector<Answer> ask(int count, ChatsCost& asked) {
    std::vector<Conversation> prompts;
    for (int i = 0; i < count; ++i) prompts.push_back({{"user", "question " + std::to_string(i)}});
    SpendLedger ledger = this->ledger();
    GenerateOptions options;
    options.batch_size = 2;
    return ask_provider(settings_, "ft:tuned", prompts, options, ledger, asked, [](std::size_t) {});
  }
};

TEST_F(ChatsTest, AnswersCostWhatTheProviderCounts) {
  serve({kSucceeded});
  settings_.concurrency = 1;  // one after another, in their order
  ChatsCost asked;
  const auto answers = ask(5, asked);
  ASSERT_THAT(answers, SizeIs(5));
  EXPECT_EQ(answers[4].text, "reply of ft:tuned");
  EXPECT_EQ(asked.tokens, 15);
  EXPECT_NEAR(asked.price, 5 * (7 + 3 * 2) / 1e6, 1e-12);
  EXPECT_NEAR(ledger().sum(), asked.price, 1e-12);
  EXPECT_EQ(server_->requests().front().body, Json({{"model", "ft:tuned"},
                                                    {"messages", {{{"role", "user"}, {"content", "question 0"}}}},
                                                    {"max_tokens", 64},
                                                    {"temperature", 0.0}}));
}

TEST_F(ChatsTest, StopAtTheLimitWithWhatWasAnswered) {
  serve({kSucceeded});
  settings_.recording = (folder_ / "recording.jsonl").string();
  settings_.concurrency = 1;
  settings_.spend_limit = 3.5e-4;  // a batch of two may cost 3.4e-4, and does cost 2.6e-5
  ChatsCost asked;
  try {
    ask(4, asked);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("2 chats may cost up to"), HasSubstr("spend_limit")));
  }
  EXPECT_THAT(server_->requests(), SizeIs(2));
  settings_.spend_limit = 1;
  ChatsCost rest;
  EXPECT_THAT(ask(4, rest), SizeIs(4));
  EXPECT_THAT(server_->requests(), SizeIs(4)) << "what was answered is not paid for twice";
}

TEST_F(ChatsTest, AreRepeatedFromARecording) {
  serve({kSucceeded});
  settings_.recording = (folder_ / "recording.jsonl").string();
  ChatsCost asked, again;
  const auto answers = ask(3, asked);
  settings_.replay = true;
  settings_.key_env = "HOLDFAST_NO_SUCH_KEY";
  server_.reset();
  const double spent = ledger().sum();
  EXPECT_EQ(ask(3, again), answers);
  EXPECT_DOUBLE_EQ(again.price, asked.price) << "a repeated row says what was billed";
  EXPECT_EQ(ledger().sum(), spent);
  try {
    ask(4, again);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("lacks 1 replies of the model \"ft:tuned\""));
  }
}

TEST_F(ChatsTest, ATroubleLeavesNothingSetAside) {
  serve({kSucceeded});
  server_.emplace([](const Request&) { return Scripted{401, R"({"error": {"message": "wrong key"}})"}; });
  settings_ = quick_settings("openai", *server_);
  ChatsCost asked;
  EXPECT_THROW(ask(3, asked), Error);
  EXPECT_EQ(ledger().sum(), 0);
}

}  // namespace
}  // namespace holdfast
