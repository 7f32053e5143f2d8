#include "judge/recording.h"

#include <holdfast/error.h>
#include <holdfast/log.h>

#include <fstream>
#include <sstream>

#include "base/locked_file.h"
#include "base/untrusted.h"

namespace holdfast {
namespace {

constexpr const char* kNoAnswer = " is no recorded answer: give \"recording\" a file of its own";

}  // namespace

std::optional<Answer> Recording::find(const std::string& request) {
  if (!answers_.contains(request)) read_on();
  const auto found = answers_.find(request);
  return found == answers_.end() ? std::nullopt : std::optional(found->second);
}

Answer Recording::add(const std::string& request, const std::string& model, const Answer& answer) {
  LockedFile file(path_, "the recording");
  if (const auto before = find(request)) return *before;
  Json row = {{"answer", answer.text}, {"model", model}, {"request", request}, {"usage", answer.usage}};
  if (!answer.declined.empty()) row["declined"] = answer.declined;
  if (answer.cut) row["cut"] = true;
  file.append_line(canonical(row));
  return answers_[request] = answer;
}

void Recording::read_on() {
  std::ifstream in(path_, std::ios::binary);
  if (!in) return;
  in.seekg(static_cast<std::streamoff>(read_));
  std::ostringstream rest;
  rest << in.rdbuf();
  const std::string text = std::move(rest).str();
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    ++lines_;
    read_line(text.substr(begin, end - begin));
    begin = end + 1;
  }
  read_ += begin;
}

void Recording::read_line(const std::string& line) {
  if (line.empty()) return;
  const std::string place = path_.string() + ":" + std::to_string(lines_);
  const Json json = json_or_discarded(line);
  if (json.is_discarded() && line.starts_with('{')) {
    log_warning(place + " is a torn line and is passed over");
    return;
  }
  const auto text = [&](const char* name) { return json.is_object() && json.contains(name) && json[name].is_string(); };
  if (!text("request") || !text("answer") || (json.contains("declined") && !text("declined"))) {
    throw Error(place + kNoAnswer);
  }
  if (json.contains("cut") && !json["cut"].is_boolean()) throw Error(place + kNoAnswer);
  answers_.emplace(json["request"], Answer{json["answer"], json.value("usage", Json::object()),
                                           json.value("declined", std::string()), json.value("cut", false)});
}

}  // namespace holdfast
