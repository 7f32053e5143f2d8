// Each interface against literal requests and answers, by the references of the services.
#include "provider/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "provider/scripted_service.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Is = JobState::Is;

TEST(OpenAi, IsAskedAsItsReferenceSays) {
  const Told told = submit(
      "openai",
      {{"POST /v1/files", {{200, R"({"id": "file-abc", "object": "file", "status": "processed"})"}}},
       {"POST /v1/fine_tuning/jobs", {{200, R"({"id": "ftjob-1", "object": "fine_tuning.job", "status": "validating_files",
                                                  "fine_tuned_model": null, "training_file": "file-abc"})"}}}});
  EXPECT_EQ(told.error, "");
  EXPECT_EQ(told.file, "file-abc");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->id, "ftjob-1");
  EXPECT_EQ(told.job->is, Is::kUnderWay);
  const Request& upload = asked(told.requests, "POST /v1/files");
  EXPECT_EQ(upload.authorization, "Bearer sk-secret");
  EXPECT_THAT(upload.raw, AllOf(HasSubstr("name=\"purpose\"\r\n\r\nfine-tune\r\n"),
                                HasSubstr("name=\"file\"; filename=\"" + kTag), HasSubstr(two_rows().lines)));
  EXPECT_EQ(asked(told.requests, "POST /v1/fine_tuning/jobs").body,
            Json::parse(R"({"model": "base-model", "training_file": "file-abc", "seed": 7, "suffix": "hfaaaaaaaaaaaaaaaa",
                            "metadata": {"holdfast": ")" +
                        kKey + R"("},
                            "method": {"type": "supervised", "supervised": {"hyperparameters":
                              {"n_epochs": 5, "batch_size": 8, "learning_rate_multiplier": 2.0}}}})"));
}

TEST(OpenAi, TellsOfAJobThatSucceeded) {
  const JobState job =
      look("openai", "/v1/fine_tuning/jobs/job-1",
           {{"id", "job-1"}, {"status", "succeeded"}, {"fine_tuned_model", "ft:base-model:lab::1"}, {"trained_tokens", 1234}},
           "/v1/fine_tuning/jobs/job-1/events?limit=100",
           {{"data", {{{"level", "warn"}, {"message", "2 rows were not taken"}, {"data", {{"rows", {2, 1}}}}}}}});
  EXPECT_EQ(job.is, Is::kSucceeded);
  EXPECT_EQ(job.tuned_model, "ft:base-model:lab::1");
  EXPECT_EQ(job.trained_tokens, 1234);
  EXPECT_FALSE(job.price);
  EXPECT_EQ(job.left_out, (std::vector<std::int64_t>{1, 2}));
}

TEST(OpenAi, TellsARefusalFromAFailure) {
  const auto failed = [](const Json& error) {
    return look("openai", "/v1/fine_tuning/jobs/job-1", {{"id", "job-1"}, {"status", "failed"}, {"error", error}});
  };
  const JobState unsafe = failed({{"code", "invalid_training_file"},
                                  {"param", "training_file"},
                                  {"message", "This training file was blocked by our moderation system"}});
  EXPECT_EQ(unsafe.is, Is::kRefused);
  EXPECT_THAT(unsafe.reason, HasSubstr("blocked by our moderation system"));
  EXPECT_EQ(failed({{"code", "other"}, {"param", "training_file"}, {"message", "m"}}).is, Is::kRefused);
  EXPECT_EQ(failed({{"code", "server_error"}, {"param", nullptr}, {"message", "we are sorry"}}).is, Is::kFailed);
  EXPECT_EQ(failed(nullptr).is, Is::kFailed);
  EXPECT_EQ(look("openai", "/v1/fine_tuning/jobs/job-1", {{"id", "job-1"}, {"status", "cancelled"}}).is, Is::kFailed);
}

TEST(Together, IsAskedAsItsReferenceSays) {
  const Told told =
      submit("together", {{"POST /v1/files/upload", {{200, R"({"id": "file-abc", "object": "file"})"}}},
                          {"GET /v1/files/file-abc",
                           {{200, R"({"id": "file-abc", "processing_status": "RUNNING"})"},
                            {200, R"({"id": "file-abc", "processing_status": "COMPLETED"})"}}},
                          {"POST /v1/fine-tunes", {{200, R"({"id": "ft-1", "status": "pending", "suffix": "x"})"}}}});
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->id, "ft-1");
  EXPECT_THAT(asked(told.requests, "POST /v1/files/upload").raw,
              AllOf(HasSubstr("name=\"file_name\"\r\n\r\n" + kTag + ".jsonl"), HasSubstr("name=\"file_type\"\r\n\r\njsonl")));
  EXPECT_EQ(
      asked(told.requests, "POST /v1/fine-tunes").body,
      Json::parse(R"({"model": "base-model", "training_file": "file-abc", "random_seed": 7, "suffix": "hfaaaaaaaaaaaaaaaa",
                            "n_checkpoints": 1, "training_method": {"method": "sft", "train_on_inputs": false},
                            "n_epochs": 5, "batch_size": 8, "learning_rate": 0.0002, "training_type": {"type": "Full"}})"));
}

TEST(Together, HasOneFileOfAContent) {
  const Told told = submit("together", {{"POST /v1/files/upload", {{409, R"({"file_id": "file-old"})"}}},
                                        {"GET /v1/files/file-old", {{200, R"({"processing_status": "COMPLETED"})"}}},
                                        {"POST /v1/fine-tunes", {{200, R"({"id": "ft-1", "status": "queued"})"}}}});
  EXPECT_EQ(told.error, "");
  EXPECT_EQ(told.file, "file-old");
}

TEST(Together, RefusesAFileThatItHasLookedAt) {
  const Told told = submit(
      "together",
      {{"POST /v1/files/upload", {{200, R"({"id": "file-abc"})"}}},
       {"GET /v1/files/file-abc",
        {{200,
          R"({"processing_status": "INVALID_FORMAT", "validation_report": {"valid": false, "error": "row 2 is empty"}})"}}}});
  ASSERT_TRUE(told.refusal);
  EXPECT_EQ(told.refusal->reason, "INVALID_FORMAT: \"row 2 is empty\"");
  EXPECT_THAT(told.requests, SizeIs(2)) << "no job is asked for";
}

TEST(Together, TellsWhatAJobCost) {
  const JobState job = look("together", "/v1/fine-tunes/job-1",
                            {{"id", "job-1"},
                             {"status", "completed"},
                             {"model_output_name", "lab/base-tuned"},
                             {"token_count", 4321},
                             {"total_price", 400000000}});
  EXPECT_EQ(job.is, Is::kSucceeded);
  EXPECT_EQ(job.tuned_model, "lab/base-tuned");
  EXPECT_EQ(job.trained_tokens, 4321);
  EXPECT_DOUBLE_EQ(*job.price, 0.4) << "it counts in billionths of a dollar";
  const JobState failed = look(
      "together", "/v1/fine-tunes/job-1",
      {{"id", "job-1"},
       {"status", "error"},
       {"events", {{{"type", "job_start"}, {"message", "started"}}, {{"type", "job_error"}, {"message", "a node was lost"}}}}});
  EXPECT_EQ(failed.is, Is::kFailed);
  EXPECT_EQ(failed.reason, "\"a node was lost\"");
}

TEST(Together, EstimatesBeforeAJob) {
  const ChatServer server(answers(
      {{"POST /v1/fine-tunes/estimate-price", {{200, R"({"estimation_available": true, "estimated_total_price": 0.25})"}}}}));
  const ProviderSettings settings = quick_settings("together", server);
  EXPECT_DOUBLE_EQ(*ProviderClient(settings, "").estimate("file-abc", order_for(settings)), 0.25);
  EXPECT_EQ(
      server.requests().front().body,
      Json::parse(R"({"model": "base-model", "training_file": "file-abc", "n_epochs": 5, "training_type": {"type": "Full"},
                            "training_method": {"method": "sft", "train_on_inputs": false}})"));
}

TEST(Fireworks, IsAskedAsItsReferenceSays) {
  const std::string dataset = "/v1/accounts/lab/datasets/" + kTag;
  const std::string create = "POST /v1/accounts/lab/supervisedFineTuningJobs?supervisedFineTuningJobId=" + kTag;
  const Told told = submit(
      "fireworks",
      {{"POST /v1/accounts/lab/datasets", {{200, "{}"}}},
       {"POST " + dataset + ":upload", {{200, "{}"}}},
       {"GET " + dataset, {{200, R"({"state": "UPLOADING"})"}, {200, R"({"state": "READY"})"}}},
       {create,
        {{200, R"({"name": "accounts/lab/supervisedFineTuningJobs/hfaaaaaaaaaaaaaaaa", "state": "JOB_STATE_CREATING"})"}}}});
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->id, kTag);
  EXPECT_EQ(
      asked(told.requests, "POST /v1/accounts/lab/datasets").body,
      Json::parse(
          R"({"datasetId": "hfaaaaaaaaaaaaaaaa", "dataset": {"format": "CHAT", "exampleCount": "2", "userUploaded": {}}})"));
  EXPECT_EQ(
      asked(told.requests, create).body,
      Json::parse(
          R"({"displayName": "hfaaaaaaaaaaaaaaaa", "dataset": "accounts/lab/datasets/hfaaaaaaaaaaaaaaaa", "baseModel": "base-model",
                            "outputModel": "accounts/lab/models/hfaaaaaaaaaaaaaaaa", "epochs": 5, "batchSizeSamples": 8, "learningRate": 0.0002})"));
}

TEST(Fireworks, NamesJobsSoThatThereIsOne) {
  const std::string dataset = "/v1/accounts/lab/datasets/" + kTag;
  const std::string jobs = "/v1/accounts/lab/supervisedFineTuningJobs";
  const Told told = submit(
      "fireworks",
      {{"POST /v1/accounts/lab/datasets", {{409, R"({"code": 6, "message": "already exists"})"}}},
       {"POST " + dataset + ":upload", {{200, "{}"}}},
       {"GET " + dataset, {{200, R"({"state": "READY"})"}}},
       {"POST " + jobs + "?supervisedFineTuningJobId=" + kTag, {{409, R"({"code": 6, "message": "already exists"})"}}},
       {"GET " + jobs + "/" + kTag,
        {{200, R"({"name": "accounts/lab/supervisedFineTuningJobs/hfaaaaaaaaaaaaaaaa", "state": "JOB_STATE_RUNNING"})"}}}});
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(told.job->word, "JOB_STATE_RUNNING");
}

TEST(Fireworks, TellsWhatAJobCostAndWhyItFailed) {
  const std::string path = "/v1/accounts/lab/supervisedFineTuningJobs/job-1";
  const std::string name = "accounts/lab/supervisedFineTuningJobs/job-1";
  const JobState job = look("fireworks", path,
                            {{"name", name},
                             {"state", "JOB_STATE_COMPLETED"},
                             {"outputModel", "accounts/lab/models/tuned"},
                             {"estimatedCost", {{"currencyCode", "USD"}, {"units", "3"}, {"nanos", 250000000}}}});
  EXPECT_EQ(job.is, Is::kSucceeded);
  EXPECT_EQ(job.tuned_model, "accounts/lab/models/tuned");
  EXPECT_DOUBLE_EQ(*job.price, 3.25);
  const JobState refused = look("fireworks", path,
                                {{"name", name},
                                 {"state", "JOB_STATE_FAILED"},
                                 {"status", {{"code", "INVALID_ARGUMENT"}, {"message", "line 2: no assistant turn"}}}});
  EXPECT_EQ(refused.is, Is::kRefused);
  EXPECT_EQ(refused.reason, "\"line 2: no assistant turn\"");
  EXPECT_EQ(look("fireworks", path,
                 {{"name", name}, {"state", "JOB_STATE_FAILED"}, {"status", {{"code", "INTERNAL"}, {"message", "m"}}}})
                .is,
            Is::kFailed);
}

TEST(Mistral, IsAskedAsItsReferenceSays) {
  const Told told = submit(
      "mistral", {{"POST /v1/files", {{200, R"({"id": "f-1", "object": "file"})"}}},
                  {"POST /v1/fine_tuning/jobs", {{200, R"({"id": "j-1", "status": "QUEUED", "training_files": ["f-1"]})"}}}});
  EXPECT_EQ(told.error, "");
  ASSERT_TRUE(told.job);
  EXPECT_EQ(asked(told.requests, "POST /v1/fine_tuning/jobs").body,
            Json::parse(
                R"({"model": "base-model", "training_files": [{"file_id": "f-1", "weight": 1}], "suffix": "hfaaaaaaaaaaaaaaaa",
                            "auto_start": true, "hyperparameters": {"epochs": 5, "learning_rate": 0.0002}})"));
}

TEST(Mistral, SaysItsVerdictOfTheRows) {
  const JobState job =
      look("mistral", "/v1/fine_tuning/jobs/job-1",
           {{"id", "job-1"},
            {"status", "FAILED_VALIDATION"},
            {"events", {{{"name", "status-updated"}, {"data", {{"status", "FAILED_VALIDATION"}, {"rows", {2}}}}}}}});
  EXPECT_EQ(job.is, Is::kRefused);
  EXPECT_THAT(job.reason, HasSubstr("FAILED_VALIDATION"));
  EXPECT_EQ(job.left_out, std::vector<std::int64_t>{2});
  EXPECT_EQ(look("mistral", "/v1/fine_tuning/jobs/job-1", {{"id", "job-1"}, {"status", "FAILED"}}).is, Is::kFailed);
}

TEST(Mistral, EstimatesByADryRunAndBillsInItsCurrency) {
  const ChatServer server(
      answers({{"POST /v1/fine_tuning/jobs?dry_run=true", {{200, R"({"cost": 1.5, "cost_currency": "EUR"})"}}}}));
  ProviderSettings settings = quick_settings("mistral", server);
  ProviderClient client(settings, "");
  try {
    client.estimate("f-1", order_for(settings));
    FAIL() << "a limit in dollars does not bound a bill in euros";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("bills in \"EUR\""), HasSubstr("spend_limit is in \"USD\""), HasSubstr("[prices]")));
  }
  settings.currency = "EUR";
  EXPECT_DOUBLE_EQ(*client.estimate("f-1", order_for(settings)), 1.5);
}

}  // namespace
}  // namespace holdfast
