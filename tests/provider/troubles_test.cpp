// What all services have in common: refusals, busy hours, lost answers, nonsense.
#include "provider/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provider/scripted_service.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST(Provider, RefusesRowsBeforeThereIsAJob) {
  const Told upload = submit(
      "openai", {{"POST /v1/files", {{400, R"({"error": {"message": "line 2 is no chat", "code": "invalid_file_format"}})"}}}});
  ASSERT_TRUE(upload.refusal);
  EXPECT_EQ(upload.refusal->reason, "HTTP status 400, \"line 2 is no chat\"");
  const Told create = submit(
      "openai", {{"POST /v1/files", {{200, R"({"id": "file-abc"})"}}},
                 {"POST /v1/fine_tuning/jobs", {{400, R"({"error": {"message": "too few", "code": "invalid_n_examples"}})"}}}});
  ASSERT_TRUE(create.refusal);
  const Told flagged =
      submit("mistral", {{"POST /v1/files", {{403, R"({"error": {"message": "no", "code": "content_policy_violation"}})"}}}});
  EXPECT_TRUE(flagged.refusal);
}

TEST(Provider, DoesNotTakeOtherTroubleForARefusal) {
  const std::string file = R"({"id": "file-abc"})";
  const auto create = [&](const Scripted& reply) {
    return submit("openai", {{"POST /v1/files", {{200, file}}}, {"POST /v1/fine_tuning/jobs", {reply}}});
  };
  const Told model = create({400, R"({"error": {"message": "no such model", "code": "model_not_found", "param": "model"}})"});
  EXPECT_FALSE(model.refusal);
  EXPECT_THAT(model.error, AllOf(HasSubstr("refuses"), HasSubstr("no such model")));
  const Told quota = create({429, R"({"error": {"message": "you are out of money", "code": "insufficient_quota"}})"});
  EXPECT_FALSE(quota.refusal);
  EXPECT_THAT(quota.error, HasSubstr("you are out of money"));
  const Told key = submit("openai", {{"POST /v1/files", {{401, R"({"error": {"message": "wrong key sk-secret"}})"}}}});
  EXPECT_FALSE(key.refusal);
  EXPECT_THAT(key.error, AllOf(HasSubstr("wrong key [key]"), Not(HasSubstr("sk-secret"))));
  EXPECT_THAT(key.requests, SizeIs(1)) << "a wrong key is not tried again";
}

TEST(Provider, TriesAgainWhereTheServiceIsBusy) {
  const Told told =
      submit("openai", {{"POST /v1/files", {{429, "{}", "Retry-After: 0"}, {200, R"({"id": "file-abc"})"}}},
                        {"POST /v1/fine_tuning/jobs", {{429, "{}"}, {200, R"({"id": "ftjob-1", "status": "queued"})"}}}});
  EXPECT_EQ(told.error, "");
  EXPECT_TRUE(told.job);
  EXPECT_THAT(told.requests, SizeIs(4));
}

TEST(Provider, LooksForAJobWhoseAnswerWasLost) {
  const Json ours = {{"id", "ftjob-1"}, {"status", "running"}, {"metadata", {{"holdfast", kKey}}}};
  const Json another = {{"id", "ftjob-0"},
                        {"status", "running"},
                        {"metadata", {{"holdfast", std::string(64, 'b')}}},
                        {"training_file", "file-abc"}};
  const Json first = {{"data", {another}}, {"has_more", true}}, second = {{"data", {ours}}, {"has_more", false}};
  for (const Scripted& lost : {Scripted{200, "", "", 0, true}, Scripted{502, "bad gateway"}, Scripted{200, "not JSON"}}) {
    const Told told = submit("openai", {{"POST /v1/files", {{200, R"({"id": "file-abc"})"}}},
                                        {"POST /v1/fine_tuning/jobs", {lost}},
                                        {"GET /v1/fine_tuning/jobs?limit=100", {{200, first.dump()}}},
                                        {"GET /v1/fine_tuning/jobs?limit=100&after=ftjob-0", {{200, second.dump()}}}});
    EXPECT_EQ(told.error, "");
    ASSERT_TRUE(told.job);
    EXPECT_EQ(told.job->id, "ftjob-1");
    int created = 0;
    for (const auto& request : told.requests)
      created += request.method == "POST" && request.path == "/v1/fine_tuning/jobs" ? 1 : 0;
    EXPECT_EQ(created, 1);
  }
}

TEST(Provider, CreatesOnceMoreWhereThereIsNoJob) {
  const Told told =
      submit("together", {{"POST /v1/files/upload", {{200, R"({"id": "file-abc"})"}}},
                          {"GET /v1/files/file-abc", {{200, R"({"processing_status": "COMPLETED"})"}}},
                          {"GET /v1/fine-tunes", {{200, R"({"data": []})"}}},
                          {"POST /v1/fine-tunes", {{500, "{}"}, {200, R"({"id": "ft-2", "status": "queued"})"}}}});
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->id, "ft-2");
}

TEST(Provider, FindsAJobByItsFileWhereTheServiceKeepsNoTag) {
  const Told told = submit("openai",
                           {{"POST /v1/files", {{200, R"({"id": "file-abc"})"}}},
                            {"GET /v1/fine_tuning/jobs?limit=100",
                             {{200, R"({"data": [{"id": "ftjob-0", "status": "running", "training_file": "file-other"},
                                                           {"id": "ftjob-1", "status": "running", "training_file": "file-abc"}]})"}}}},
                           /*begun=*/true);
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->id, "ftjob-1");
}

TEST(Provider, IsNotTakenAtItsWordForPaths) {
  const Told told = submit("openai", {{"POST /v1/files", {{200, R"({"id": "../../x"})"}}}});
  EXPECT_THAT(told.error, HasSubstr("without the id of a file"));
  const Told job = submit("openai", {{"POST /v1/files", {{200, R"({"id": "file-abc"})"}}},
                                     {"POST /v1/fine_tuning/jobs", {{200, R"({"id": "a?b", "status": "queued"})"}}}});
  EXPECT_THAT(job.error, HasSubstr("gave a job without an id"));
}

TEST(Provider, IsNotTakenAtItsWordForFigures) {
  const auto told = [](const Json& tokens, const Json& price) {
    return look("together", "/v1/fine-tunes/job-1",
                {{"id", "job-1"},
                 {"status", "completed"},
                 {"model_output_name", "lab/tuned"},
                 {"token_count", tokens},
                 {"total_price", price}});
  };
  EXPECT_FALSE(told(1e300, 1).trained_tokens);
  EXPECT_FALSE(told(-5, 1).trained_tokens);
  EXPECT_FALSE(told(1, -5).price) << "a limit would grow by it";
  EXPECT_FALSE(told(1, std::string(400, '9')).price);
  EXPECT_DOUBLE_EQ(*told(1, "5000000000").price, 5);
}

TEST(Provider, SaysWhereAStateIsUnknown) {
  try {
    look("openai", "/v1/fine_tuning/jobs/job-1", {{"id", "job-1"}, {"status", "pondering"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("job-1"), HasSubstr("\"pondering\""), HasSubstr("no state")));
  }
}

}  // namespace
}  // namespace holdfast
