// What becomes of jobs, and what of it is there after a restart.
#include <gmock/gmock.h>

#include <fstream>

#include "service/job_plan.h"
#include "service/service_fakes.h"

namespace holdfast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

JobRecord created(IdleService& service, JobRequest request = {}) {
  request.model = "base";
  if (request.training_file.empty()) request.training_file = service.file().id;
  return service.desk->jobs.create(service.customer(), plan_job(*service.desk, service.customer(), request));
}

JobRecord found(IdleService& service, const std::string& id) { return service.desk->jobs.find("local", id); }

std::vector<std::string> messages(IdleService& service, const JobRecord& job) {
  std::vector<std::string> texts;
  for (const auto& event : service.desk->jobs.events().all(job)) texts.push_back(event.message);
  return texts;
}

const TuningSucceeded kDone{500, 1, {{1, 2.5, 1e-3, 1, 10}, {2, 1.5, 1e-3, 1, 10}}, "digest"};

TEST(Jobs, AreWhatTheRequestAndTheScenarioSay) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  created(service);
  EXPECT_EQ(service.backend.orders[0].seed, 7);
  EXPECT_EQ(service.backend.orders[0].options.epochs, 3);
  JobRequest request;
  request.seed = 1;
  request.n_epochs = 5;
  request.lr_multiplier = 2;
  created(service, request);
  EXPECT_EQ(service.backend.orders[1].seed, 1);
  EXPECT_EQ(service.backend.orders[1].options.epochs, 5);
  EXPECT_DOUBLE_EQ(service.backend.orders[1].options.lr, 2 * service.scenario.finetune.lr);
  EXPECT_EQ(service.backend.orders[1].rows.digest, service.backend.orders[0].rows.digest);
}

TEST(Jobs, GoThroughTheirStates) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  const JobRecord job = created(service);
  const std::string run = service.backend.runs.at(0);
  Jobs& jobs = service.desk->jobs;
  EXPECT_EQ(found(service, job.id).status, JobStatus::kValidating);
  jobs.began(run, StageKind::kCollect);
  EXPECT_EQ(found(service, job.id).status, JobStatus::kValidating);
  jobs.screened(run, {5, {2, 4}, 0});
  EXPECT_EQ(found(service, job.id).status, JobStatus::kQueued);
  jobs.began(run, StageKind::kFinetune);
  EXPECT_EQ(found(service, job.id).status, JobStatus::kRunning);
  jobs.progressed(run, {{"unit", "step"}, {"done", 1}, {"total", 2}, {"loss", 2.5}});
  jobs.ended(run, kDone);
  const JobRecord done = found(service, job.id);
  EXPECT_EQ(done.status, JobStatus::kSucceeded);
  EXPECT_EQ(done.trained_tokens, 500);
  EXPECT_DOUBLE_EQ(done.cost, 0.5);
  EXPECT_DOUBLE_EQ(service.desk->accounts.spent("local"), 0.5);
  EXPECT_EQ(done.last_step, 2);
  EXPECT_TRUE(service.desk->jobs.with_model("local", done.fine_tuned_model));
  EXPECT_FALSE(service.desk->jobs.with_model("another", done.fine_tuned_model));
  EXPECT_EQ(read_file(service.desk->files.content(service.desk->files.find("local", done.result_file))),
            "step,train_loss\n1,2.5\n2,1.5\n");
  EXPECT_THAT(messages(service, job),
              ElementsAre("Created fine-tuning job: " + job.id, HasSubstr("Validating training file"),
                          HasSubstr("2 of the 5 rows"), HasSubstr("Files validated"), "Fine-tuning job started",
                          "Step 1/2: training loss=2.5", "Step 2/2: training loss=1.5",
                          HasSubstr("New fine-tuned model created"), "The job has successfully completed"));
}

TEST(Jobs, SayNothingOfScreeningWhereTheServiceIsSilent) {
  const ScratchFolder folder;
  IdleService service(folder.path(), {}, false);
  const JobRecord job = created(service);
  service.desk->jobs.screened(service.backend.runs.at(0), {5, {2, 4}, 0});
  EXPECT_THAT(messages(service, job), Not(Contains(HasSubstr("rows"))));
}

TEST(Jobs, FailWithWhatTheirCustomerMayRead) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  const JobRecord none = created(service), other = created(service);
  service.desk->jobs.ended(service.backend.runs.at(0), TuningFailed{"all 3 rows were dropped", true});
  EXPECT_EQ(found(service, none.id).error->code, "invalid_training_file");
  EXPECT_THAT(found(service, none.id).error->message, Not(HasSubstr("dropped")));
  const std::string place = service.backend.orders.at(1).rows.location;
  service.desk->jobs.ended(service.backend.runs.at(1), TuningFailed{place + ":3: nothing is learned", false});
  EXPECT_EQ(found(service, other.id).error->message, "rows.jsonl:3: nothing is learned");
}

TEST(Jobs, HearNothingOfRunsThatWereStopped) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  const JobRecord job = created(service);
  Jobs& jobs = service.desk->jobs;
  jobs.pause("local", job.id);
  EXPECT_EQ(service.backend.stopped, service.backend.runs);
  jobs.ended(service.backend.runs.at(0), kDone);  // it was faster
  EXPECT_EQ(found(service, job.id).status, JobStatus::kPaused);
  jobs.resume("local", job.id);
  ASSERT_THAT(service.backend.runs, SizeIs(2));
  EXPECT_NE(service.backend.runs[0], service.backend.runs[1]);
  jobs.ended(service.backend.runs[0], TuningStopped{});
  jobs.ended(service.backend.runs[0], TuningFailed{"late", false});
  EXPECT_EQ(found(service, job.id).status, JobStatus::kValidating);
  jobs.ended(service.backend.runs[1], kDone);
  EXPECT_EQ(found(service, job.id).status, JobStatus::kSucceeded);
  EXPECT_EQ(refusal([&] { jobs.cancel("local", job.id); }).status, 409);
  EXPECT_EQ(refusal([&] { jobs.pause("local", job.id); }).status, 409);
  EXPECT_EQ(refusal([&] { jobs.cancel("another", job.id); }).status, 404);
  jobs.began("ftjob-nobody/1", StageKind::kFinetune);
  jobs.ended("", kDone);
}

// A customer may be faster than the runner, which must not go on with what nobody wants.
TEST(Jobs, ThatAreCancelledWhileTheyAreSubmittedAreStopped) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  service.backend.on_submit = [&] { service.desk->jobs.cancel("local", service.desk->jobs.list("local").at(0).id); };
  const JobRecord job = created(service);
  EXPECT_EQ(found(service, job.id).status, JobStatus::kCancelled);
  EXPECT_EQ(service.backend.stopped.back(), service.backend.runs.back());
  EXPECT_THAT(service.backend.stopped, SizeIs(2));  // once before it was there, and once after
}

TEST(Jobs, AreLimited) {
  const ScratchFolder folder;
  ServiceLimits limits;
  limits.jobs = 2;
  limits.tokens = 900;
  limits.spend = 0.7;  // a row is 100 tokens, an epoch of one costs 0.1
  IdleService service(folder.path(), limits);
  const JobRecord first = created(service);
  JobRequest five;
  five.n_epochs = 5;
  EXPECT_EQ(refusal([&] { created(service, five); }).code, "insufficient_quota");
  five.n_epochs = 10;
  EXPECT_EQ(refusal([&] { created(service, five); }).code, "too_many_tokens");
  created(service);
  const ApiError many = refusal([&] { created(service); });
  EXPECT_EQ(many.code, "rate_limit_exceeded");
  EXPECT_GT(many.retry_after, 0);
  service.desk->jobs.cancel("local", first.id);
  created(service);
  service.backend.ready = false;
  EXPECT_EQ(refusal([&] { created(service); }).status, 503);
}

TEST(Jobs, AreThereAfterARestart) {
  const ScratchFolder folder;
  std::string open, paused, done, model, file;
  {
    IdleService service(folder.path());
    open = created(service).id;
    paused = created(service).id;
    done = created(service).id;
    service.desk->jobs.pause("local", paused);
    service.desk->jobs.began(service.backend.runs.at(0), StageKind::kFinetune);
    service.desk->jobs.ended(service.backend.runs.at(2), kDone);
    model = found(service, done).fine_tuned_model;
    file = found(service, open).ordered.training_file;
    service.desk->accounts.spend_on_chat("local", 0.25, "a chat");
    service.desk->files.remove("local", found(service, paused).ordered.training_file);
    std::ofstream(service.desk->folder.events("local", open), std::ios::app) << "{\"id\": \"torn";
    std::ofstream(service.desk->folder.spend("local"), std::ios::app) << "{\"amount\": 1";
    std::ofstream(service.desk->folder.jobs("local") / "ftjob-000000000000000000000000.json") << "{";
  }
  IdleService service(folder.path());
  EXPECT_THAT(service.desk->jobs.list("local"), SizeIs(3));
  ASSERT_THAT(service.backend.runs, SizeIs(1));
  EXPECT_TRUE(service.backend.runs[0].starts_with(open));
  EXPECT_TRUE(fs::exists(service.backend.orders[0].rows.location));
  EXPECT_EQ(found(service, open).status, JobStatus::kRunning);
  EXPECT_EQ(found(service, paused).status, JobStatus::kPaused);
  EXPECT_DOUBLE_EQ(service.desk->accounts.spent("local"), 0.75);
  EXPECT_TRUE(service.desk->jobs.with_model("local", model));
  service.desk->jobs.began(service.backend.runs[0], StageKind::kFinetune);
  service.desk->jobs.ended(service.backend.runs[0], kDone);
  const auto told = messages(service, found(service, open));
  EXPECT_EQ(std::count(told.begin(), told.end(), "Fine-tuning job started"), 1);
  EXPECT_EQ(told.back(), "The job has successfully completed");
  service.desk->jobs.resume("local", paused);
  EXPECT_TRUE(fs::exists(service.backend.orders.back().rows.location));  // its file was deleted, and not what it needs
  EXPECT_EQ(service.desk->files.find("local", file).rows, 1);
}

TEST(Jobs, OfAModelThatIsNoLongerOnOfferFail) {
  const ScratchFolder folder;
  std::string id;
  {
    IdleService service(folder.path());
    id = created(service).id;
  }
  Scenario scenario;
  scenario.service = ServiceSpec();
  scenario.service->offers = {{"another", "organism", "none"}};
  Desk desk(scenario, {}, folder.path());
  IdleBackend backend;
  desk.jobs.begin(backend);
  EXPECT_THAT(backend.runs, IsEmpty());
  EXPECT_THAT(desk.jobs.find("local", id).error->message, HasSubstr("no longer on offer"));
}

TEST(StateFolder, IsOneServers) {
  const ScratchFolder folder;
  const IdleService service(folder.path());
  EXPECT_THROW(IdleService(folder.path()), Error);
}

TEST(Files, LieOnceAndAsLongAsTheyAreNeeded) {
  const ScratchFolder folder;
  ServiceLimits limits;
  limits.files = 2;
  IdleService service(folder.path(), limits);
  Files& files = service.desk->files;
  const FileRecord one = service.file(), two = service.file();
  EXPECT_EQ(files.content(one), files.content(two));
  EXPECT_EQ(refusal([&] { service.file(); }).code, "insufficient_quota");
  files.remove("local", one.id);
  EXPECT_TRUE(fs::exists(files.content(two)));
  JobRequest request;
  request.training_file = two.id;
  const JobRecord job = created(service, request);
  files.remove("local", two.id);
  EXPECT_TRUE(fs::exists(files.content(two)));
  service.desk->jobs.cancel("local", job.id);
  EXPECT_FALSE(fs::exists(files.content(two)));
  EXPECT_EQ(refusal([&] { files.find("local", two.id); }).status, 404);
}

TEST(Accounts, KeepWhatIsUnderWay) {
  const ScratchFolder folder;
  ServiceLimits limits;
  limits.spend = 1;
  IdleService service(folder.path(), limits);
  Accounts& accounts = service.desk->accounts;
  {
    const Reservation held(accounts, service.customer(), 0.75, "a chat");
    EXPECT_EQ(refusal([&] { accounts.reserve(service.customer(), 0.5, "another"); }).status, 429);
  }
  accounts.reserve(service.customer(), 0.5, "another");
  accounts.release("local", 0.5);
  accounts.spend_on_chat("local", 1, "all");
  EXPECT_EQ(refusal([&] { accounts.reserve(service.customer(), 0, "nothing"); }).status, 429);
}

}  // namespace
}  // namespace holdfast
