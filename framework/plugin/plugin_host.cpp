#include "plugin/plugin_host.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/remembered_digest.h"
#include "data/conversation.h"
#include "plugin/library.h"
#include "plugin/plugin_kind.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kStartSeconds = 120;  // of the program itself, on a machine that does other things too
constexpr double kLoadSeconds = 20;    // of a library, which has nothing to do yet

// Waits until the process answers or ends; false when the time is over.
bool wait_for(const WorkerProcess& process, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd watched{process.answers(), POLLIN, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (left <= 0) return false;
  }
}

// A process that died before it was asked closes the pipe, which is no reason for this one to die.
void send(WorkerProcess& process, const Json& question) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  process.send(question);
  ::signal(SIGPIPE, before);
}

std::string seconds_text(double seconds) {
  const std::string text = Json(seconds).dump();
  return (text.ends_with(".0") ? text.substr(0, text.size() - 2) : text) + " s";
}

PluginInfo info_from_json(const Json& json, const fs::path& path) {
  PluginInfo info;
  info.kind = plugin_kind(json.at("kind").get<std::string>());
  json.at("name").get_to(info.name);
  json.at("revision").get_to(info.revision);
  json.at("summary").get_to(info.summary);
  json.at("stages").get_to(info.stages);
  json.at("digest").get_to(info.digest);
  info.path = path;
  return info;
}

PluginTraits traits_from_json(const Json& json) {
  const Json& judge = json.at("judge");
  std::vector<AskingTraits> askings;
  for (const auto& asking : json.at("askings")) askings.push_back({asking[0], asking[1]});
  return {json.at("need_aligned").get<unsigned>(),
          json.at("need_base").get<unsigned>(),
          json.at("draw").get<unsigned>(),
          json.at("corpora").get<std::set<std::string>>(),
          std::move(askings),
          json.at("tampers").get<bool>(),
          {judge.at("aligned_model").get<bool>(), judge.at("served_model").get<bool>(), judge.at("model").get<std::string>(),
           judge.at("device").get<std::string>(), judge.at("dtype").get<std::string>()}};
}

std::vector<std::string> texts(const std::set<fs::path>& paths) { return {paths.begin(), paths.end()}; }

}  // namespace

PluginFault::~PluginFault() = default;

PluginHost::PluginHost(fs::path program, const std::vector<fs::path>& folders, double seconds)
    : program_(std::move(program)), seconds_(seconds) {
  KnownLibraries known;
  for (const auto& path : plugin_files(folders)) describe(fs::absolute(path).lexically_normal(), known);
  known.keep();
}

PluginHost::~PluginHost() = default;

void PluginHost::limit(double seconds) { seconds_ = std::min(seconds_, seconds); }

// A library that cannot be read is said by the process that tries to load it.
Json PluginHost::description(const fs::path& path, KnownLibraries& known) {
  std::error_code unreadable;
  const bool is_file = fs::is_regular_file(path, unreadable) && ::access(path.c_str(), R_OK) == 0;
  if (const Json* said = is_file ? known.find(path, remembered_sha256(path)) : nullptr) return *said;
  const Json answer =
      ask(path, {{"question", "describe"}, {"library", path.string()}}, "loaded", std::min(seconds_, kLoadSeconds));
  if (answer.contains("error")) throw Error(answer.at("error").get<std::string>());
  known.add(path, answer.at("digest").get<std::string>(), answer);
  return answer;
}

void PluginHost::describe(const fs::path& path, KnownLibraries& known) {
  try {
    PluginInfo info = info_from_json(description(path, known), path);
    if (const auto* twin = find(info.kind, info.name)) {
      throw Error(path.string() + " is another \"" + info.name + "\"; the one of " + twin->path.string() + " is used");
    }
    loaded_.push_back(std::move(info));
  } catch (const PluginFault& fault) {
    refused_.push_back({path, fault.what(), true});
  } catch (const Error& error) {
    refused_.push_back({path, error.what(), false});
  }
}

const PluginInfo* PluginHost::find(PluginKind kind, const std::string& name) const {
  const auto found =
      std::find_if(loaded_.begin(), loaded_.end(), [&](const auto& one) { return one.kind == kind && one.name == name; });
  return found == loaded_.end() ? nullptr : &*found;
}

std::vector<std::string> PluginHost::names(PluginKind kind) const {
  std::vector<std::string> found;
  for (const auto& one : loaded_) {
    if (one.kind == kind) found.push_back(one.name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

PluginTraits PluginHost::make(const PluginInfo& plugin, Params::State& state) {
  const Json question = {{"question", "make"},
                         {"library", {{"location", plugin.path.string()}, {"digest", plugin.digest}}},
                         {"values", state.values},
                         {"places", state.places},
                         {"folder", state.folder.string()},
                         {"missing", texts(state.missing)}};
  const Json answer = ask(plugin.path, question, "made", seconds_);
  for (const auto& each : answer.at("declared")) state.declared.push_back({each[0], each[1], each[2], each[3]});
  for (const auto& each : answer.at("mistakes")) state.mistakes.push_back({each[0], each[1]});
  for (const auto& [name, file] : answer.at("files").items()) {
    state.files[name] = {file.at("path").get<std::string>(), file.at("digest").get<std::string>()};
  }
  state.card = answer.at("card");
  state.preset = answer.at("preset");
  state.resolved = answer.at("resolved");
  state.lacks_file = answer.at("lacks_file").get<bool>();
  if (answer.contains("error")) throw Error(answer.at("error").get<std::string>());
  return traits_from_json(answer.at("traits"));
}

std::vector<Conversation> PluginHost::wrap(const Json& settings, const fs::path& folder, const std::string& asking,
                                           const std::vector<Conversation>& prompts) {
  Json conversations = Json::array();
  for (const auto& prompt : prompts) conversations.push_back(to_json(prompt));
  const Json question = {{"question", "wrap"},
                         {"plugin", settings},
                         {"folder", folder.string()},
                         {"asking", asking},
                         {"conversations", conversations}};
  const fs::path library = settings.at("library").at("location").get<std::string>();
  const Json answer = ask(library, question, "asked to wrap prompts", seconds_);
  std::vector<Conversation> wrapped;
  for (const auto& each : answer.at("conversations")) {
    wrapped.push_back(conversation_from_json(each));
  }
  return wrapped;
}

// A process that has loaded other libraries too may have died of one of those: then a fresh one is asked, and what it does
// counts.
Json PluginHost::ask(const fs::path& library, const Json& question, const std::string& doing, double seconds) {
  while (true) {
    if (!process_) start();
    asked_.insert(library);
    const bool alone = asked_.size() == 1;
    const auto answer = ask_process(question, seconds);
    if (const auto* said = std::get_if<Json>(&answer)) {
      if (!said->contains("fault")) return *said;
      throw PluginFault(library.string() + ": the plugin " + said->at("fault").get<std::string>() + " while it was " + doing +
                        ": mend it, or leave it out");
    }
    if (alone) {
      throw PluginFault(library.string() + ": the process " + std::get<Death>(answer).how + " while the plugin was " + doing +
                        ": mend it, or leave it out");
    }
  }
}

// What a plugin may take begins once the process is there.
void PluginHost::start() {
  process_ = std::make_unique<WorkerProcess>(WorkerSetup{.program = program_, .limits = {.network = false}});
  const auto answer = ask_process({{"question", "ready"}}, kStartSeconds);
  if (const auto* death = std::get_if<Death>(&answer)) {
    throw Error("the process that plugins run in, " + program_.string() + ", " + death->how + " before it was asked anything");
  }
}

std::variant<Json, PluginHost::Death> PluginHost::ask_process(const Json& question, double seconds) {
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::string how = "was stopped after " + seconds_text(seconds);
  send(*process_, question);  // one that died meanwhile shows in its answers
  try {
    while (wait_for(*process_, deadline)) {
      if (auto answer = process_->receive()) return std::move(*answer);
      if (!process_->ended()) continue;
      how = process_->death();
      break;
    }
  } catch (const Json::exception&) {
    how = "was stopped when it wrote into the pipe of its answers";
  }
  process_.reset();
  asked_.clear();
  return Death{how};
}

}  // namespace holdfast
