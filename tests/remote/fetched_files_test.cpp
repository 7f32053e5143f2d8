#include "remote/fetched_files.h"

#include <holdfast/error.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/remembered_digest.h"
#include "learn/checkpoint.h"
#include "remote/served_store.h"

namespace holdfast {
namespace {

// The server is another process in another folder, and what it serves has relative names: for the worker there is nothing at
// them.
class FetchedFilesTest : public ServedStore {
 protected:
  FetchedFilesTest() {
    fs::create_directories(there);
    fs::create_directories(here);
    fs::current_path(here);
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    child = ::fork();
    if (child == 0) serve_there(pipe[1]);
    int port = 0;
    EXPECT_EQ(::read(pipe[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
    ::close(pipe[0]);
    ::close(pipe[1]);
    client = std::make_unique<StoreClient>(StoreAddress{"http", "127.0.0.1", port}, "", 3);
  }
  ~FetchedFilesTest() override {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    fs::current_path(before);
  }

  [[noreturn]] void serve_there(int port_to) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    fs::current_path(there);
    ServeOptions options;
    options.store = store.root();
    const StoreServer served(options);
    const int port = served.port();
    if (::write(port_to, &port, sizeof port) != sizeof port) ::_exit(1);
    for (;;) ::pause();
  }

  void file(const std::string& name, const std::string& content) const {
    fs::create_directories((there / name).parent_path());
    write_file(there / name, content);
  }
  Json named(const std::string& name) const { return {{"location", name}, {"digest", content_digest(there / name)}}; }
  WeightsRef model(const std::string& name) const {
    return {name, "cpu", "float32", checkpoint_digest((there / name).string()), {}};
  }
  static fs::path fixture(const std::string& name) {
    return fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/architectures" / name;
  }

  /// The stage as a worker has it once its files are there.
  StageRequest located(const StageRequest& request) {
    lease = taken({request});
    StageRequest mine = posted_work(lease).stages.front();
    FetchedFiles files(*client, cache.root() / "files");
    files.locate(mine);
    return mine;
  }

  const fs::path before = fs::current_path();
  const fs::path there = folder / "there", here = folder / "here";
  pid_t child = -1;
  Lease lease;
};

TEST_F(FetchedFilesTest, AFileIsFetchedUnderItsOwnName) {
  file("rows.jsonl", "rows\n");
  StageRequest request = stage('a');
  request.task = {{"corpora", {{"harmful", named("rows.jsonl")}, {"ours", {{"location", "builtin:x"}, {"digest", "d"}}}}}};
  const StageRequest mine = located(request);
  const fs::path place = mine.task.at("corpora").at("harmful").at("location").get<std::string>();
  EXPECT_EQ(place.filename(), "rows.jsonl");
  EXPECT_EQ(place, cache.root() / "files" / sha256("rows\n") / "rows.jsonl");
  EXPECT_EQ(read_file(place), "rows\n");
  EXPECT_EQ(mine.task.at("corpora").at("ours").at("location"), "builtin:x");
}

TEST_F(FetchedFilesTest, WhatIsHereIsNotFetchedUnlessItIsAnother) {
  file("rows.jsonl", "rows\n");
  StageRequest request = stage('a');
  request.task = {{"rows", named("rows.jsonl")}};
  write_file(here / "rows.jsonl", "rows\n");
  EXPECT_EQ(located(request).task.at("rows").at("location"), "rows.jsonl");
  lose(lease);
  queue.withdraw(lease.id);
  write_file(here / "rows.jsonl", "others\n");
  EXPECT_EQ(read_file(located(request).task.at("rows").at("location").get<std::string>()), "rows\n");
}

TEST_F(FetchedFilesTest, ADamagedCopyIsFetchedAgain) {
  file("rows.jsonl", "rows\n");
  StageRequest request = stage('a');
  request.task = {{"rows", named("rows.jsonl")}};
  const fs::path place = located(request).task.at("rows").at("location").get<std::string>();
  lose(lease);
  queue.withdraw(lease.id);
  write_file(place, "sour\n");
  EXPECT_EQ(located(request).task.at("rows").at("location").get<std::string>(), place);
  EXPECT_EQ(read_file(place), "rows\n");
}

TEST_F(FetchedFilesTest, SettingsOfPluginsFollow) {
  file("scenario/filter.py", "print()\n");
  file("scenario/words/a.txt", "a\n");
  file("scenario/words/b.txt", "b\n");
  file("scenario/words/.hidden", "no part of it\n");
  file("lib.plugin.so", "library");
  StageRequest request = stage('a');
  request.task = {{"folder", "scenario"},
                  {"plugin",
                   {{"values", {{"command", {"python3", "filter.py", "--fast"}}, {"words", "words"}, {"n", 3}}},
                    {"files", {named("scenario/filter.py"), named("scenario/words")}},
                    {"library", named("lib.plugin.so")}}}};
  const Json plugin = located(request).task.at("plugin");
  const Json& command = plugin.at("values").at("command");
  EXPECT_EQ(command.at(0), "python3");
  EXPECT_EQ(read_file(command.at(1).get<std::string>()), "print()\n");
  EXPECT_EQ(command.at(1), plugin.at("files").at(0).at("location"));
  EXPECT_EQ(command.at(2), "--fast");
  const fs::path words = plugin.at("values").at("words").get<std::string>();
  EXPECT_EQ(content_digest(words), plugin.at("files").at(1).at("digest"));
  EXPECT_EQ(words.filename(), "words");
  EXPECT_FALSE(fs::exists(words / ".hidden"));
  EXPECT_EQ(plugin.at("values").at("n"), 3);
  EXPECT_EQ(fs::path(plugin.at("library").at("location").get<std::string>()).filename(), "lib.plugin.so");
}

TEST_F(FetchedFilesTest, AFolderThatIsNotHereIsReplacedByAnEmptyOne) {
  StageRequest request = stage('a');
  request.task = {{"folder", "scenario"}};
  const fs::path folder = located(request).task.at("folder").get<std::string>();
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(FetchedFilesTest, ModelsAreFetchedWhole) {
  fs::copy(fixture("llama2"), there / "model", fs::copy_options::recursive);
  fs::copy(fixture("qwen2.gguf"), there / "judge.gguf");
  StageRequest request = stage('a');
  request.weights["weights"] = model("model");
  request.weights["aligned"] = model("model");
  request.weights["base"] = {"organism", "cpu", "float32", "any", {}};
  request.task = {{"base", request.weights["weights"].base},
                  {"model", {{"source", "model"}, {"device", "cpu"}, {"dtype", "float32"}}},
                  {"judge_model", to_json(model("judge.gguf"))}};
  const StageRequest mine = located(request);
  const std::string source = mine.weights.at("weights").source;
  EXPECT_EQ(fs::path(source).filename(), "model");
  EXPECT_EQ(checkpoint_digest(source), request.weights["weights"].base);
  EXPECT_EQ(mine.weights.at("aligned").source, source);
  EXPECT_EQ(mine.task.at("model").at("source"), source);
  EXPECT_EQ(mine.weights.at("base").source, "organism");
  const WeightsRef judge = weights_ref_from_json(mine.task.at("judge_model"));
  EXPECT_EQ(checkpoint_digest(judge.source), judge.base);
  EXPECT_EQ(judge.base, model("judge.gguf").base);
}

TEST_F(FetchedFilesTest, AModelThatIsHereIsNotFetched) {
  for (const auto& place : {there, here}) fs::copy(fixture("llama2"), place / "model", fs::copy_options::recursive);
  StageRequest request = stage('a');
  request.weights["weights"] = model("model");
  EXPECT_EQ(located(request).weights.at("weights").source, "model");
}

TEST_F(FetchedFilesTest, AnAdapterWhoseBaseLiesElsewhereIsRefused) {
  fs::copy(fixture("llama2"), there / "model", fs::copy_options::recursive);
  const fs::path adapter = fs::path(HOLDFAST_SOURCE_DIR) / "tests/fixtures/llama/adapter";
  fs::copy(adapter, there / "adapter", fs::copy_options::recursive);
  Json config = Json::parse(read_file(adapter / "adapter_config.json"));
  config["base_model_name_or_path"] = "../model";
  write_file(there / "adapter/adapter_config.json", config.dump());
  StageRequest request = stage('a');
  request.weights["weights"] = model("adapter");
  try {
    located(request);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("stands on"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("holdfast export"), std::string::npos) << error.what();
  }
}

TEST_F(FetchedFilesTest, AFileThatChangedSinceThePlanIsRefused) {
  file("rows.jsonl", "rows\n");
  StageRequest request = stage('a');
  request.task = {{"rows", named("rows.jsonl")}};
  file("rows.jsonl", "other rows\n");
  try {
    located(request);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("start the run again"), std::string::npos) << error.what();
  }
}

TEST_F(FetchedFilesTest, NothingElseIsServedAndThatOnlyWhileTheLeaseIsHeld) {
  file("rows.jsonl", "rows\n");
  file("secret", "secret\n");
  StageRequest request = stage('a');
  request.task = {{"rows", named("rows.jsonl")}};
  located(request);
  EXPECT_EQ(client->get("/cas/" + sha256("rows\n"), lease.name).body, "rows\n");
  EXPECT_EQ(client->get("/cas/" + sha256("rows\n")).status, 404) << "without the lease";
  EXPECT_EQ(client->get("/cas/" + sha256("secret\n"), lease.name).status, 404);
  lose(lease);
  EXPECT_EQ(client->get("/cas/" + sha256("rows\n"), lease.name).status, 404);
  EXPECT_THROW(client->ask("files", {{"lease", lease.name}}), Error);
}

}  // namespace
}  // namespace holdfast
