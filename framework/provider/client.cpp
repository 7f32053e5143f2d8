#include "provider/client.h"

#include <holdfast/error.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/stop_point.h"
#include "base/untrusted.h"
#include "judge/server_error.h"
#include "provider/templates.h"

namespace holdfast {
namespace {

constexpr std::size_t kTagDigits = 16;  // so that "hf" and them fit every provider's names
constexpr int kMostPages = 50;
constexpr long kIsThere = 409;
constexpr double kLongestFileWait = 3600;  // seconds in which a service looks at a file

// How a reply is read that is no refusal of the rows.
Taken trouble_of(const HttpReply& reply) {
  if (reply.status == 0) return {false, reply.failure, !reply.permanent};
  const ServerError error = server_error(json_or_discarded(reply.body));
  return {false, trouble_text(reply.status, error, reply.body), may_pass(reply.status, error)};
}

// Takes a reply that is JSON under a status of success.
Taken take_json(const HttpReply& reply, Json& into) {
  if (reply.status < 200 || reply.status > 299) return trouble_of(reply);
  into = json_or_discarded(reply.body);
  if (into.is_object()) return {true, "", false};
  return {false, "an answer that is no JSON object, " + shown(reply.body), true};
}

// Whether a status says that what was sent is at fault, and not who sent it.
bool blames_content(long status) { return status == 400 || status == 413 || status == 415 || status == 422; }

std::string reason_in(const HttpReply& reply) {
  return trouble_text(reply.status, server_error(json_or_discarded(reply.body)), reply.body);
}

std::string tag_of(const JobOrder& order) { return "hf" + order.key.substr(0, kTagDigits); }

}  // namespace

void wait_or_stop(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  stop_point();
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    std::this_thread::sleep_for(
        std::min<Clock::duration>(std::chrono::duration_cast<Clock::duration>(end - now), std::chrono::milliseconds(200)));
    stop_point();
  }
}

ProviderClient::ProviderClient(const ProviderSettings& settings, std::string key)
    : settings_(settings), dialect_(dialect(settings.dialect)), endpoint_{settings.url,     std::move(key),
                                                                          settings.timeout, settings.retries,
                                                                          settings.backoff, settings.concurrency} {}

ProviderClient::Values ProviderClient::values_of(const std::string& file, const JobOrder& order) const {
  return {{"account", settings_.account},
          {"model", settings_.model},
          {"file", file},
          {"tag", tag_of(order)},
          {"key", order.key},
          {"seed", order.seed},
          {"rows", std::to_string(order.rows)}};
}

HttpRequest ProviderClient::request(const char* method, const std::string& path, const Values& values) const {
  HttpRequest made;
  made.method = method;
  made.url = settings_.url + filled(path, values);
  return made;
}

void ProviderClient::send(const HttpRequest& request, const Take& take) {
  const auto pause = [](double seconds) {
    wait_or_stop(seconds);
    return true;
  };
  send_until_taken(http_, endpoint_, request, take, pause);
}

Json ProviderClient::get(const std::string& path, const Values& values, bool may_be_missing) {
  Json found;
  send(request("GET", path, values), [&](const HttpReply& reply) {
    if (may_be_missing && reply.status == 404) return Taken{true, "", false};
    return take_json(reply, found);
  });
  return found;
}

void ProviderClient::register_file(const Values& values) {
  HttpRequest asked = request("POST", dialect_.register_path, values);
  asked.body = canonical(filled(dialect_.register_body, values));
  send(asked, [](const HttpReply& reply) {
    Json ignored;
    return reply.status == kIsThere ? Taken{true, "", false} : take_json(reply, ignored);
  });
}

std::variant<std::string, ProviderRefusal> ProviderClient::upload(const TrainingRows& rows, const JobOrder& order) {
  const Values values = values_of("", order);
  if (!dialect_.register_path.empty()) register_file(values);
  HttpRequest asked = request("POST", dialect_.upload_path, values);
  for (const auto& [name, content] : dialect_.upload_fields) asked.form.push_back({name, filled(content, values)});
  asked.form.push_back({"file", rows.lines, tag_of(order) + ".jsonl"});
  std::string file = filled(dialect_.file_name, values);
  std::optional<ProviderRefusal> refusal;
  send(asked, [&](const HttpReply& reply) {
    if (blames_content(reply.status) || declines(reply.status, server_error(json_or_discarded(reply.body)))) {
      refusal = ProviderRefusal{reason_in(reply)};
      return Taken{true, "", false};
    }
    if (reply.status == kIsThere && !dialect_.file_is_there.empty()) {
      file = text_at(json_or_discarded(reply.body), dialect_.file_is_there);
    } else {
      Json made;
      const Taken taken = take_json(reply, made);
      if (!taken.done) return taken;
      if (!dialect_.file_id.empty()) file = text_at(made, dialect_.file_id);
    }
    if (dialect_.file_name.empty() && !is_plain_id(file)) {
      return Taken{false, "an answer without the id of a file, " + shown(reply.body), false};
    }
    return Taken{true, "", false};
  });
  if (!refusal) refusal = await_file(file, values);
  if (refusal) return *refusal;
  return file;
}

// A word that is in no list is a state of a service's own, in which it has said nothing against the file.
std::optional<ProviderRefusal> ProviderClient::await_file(const std::string& file, const Values& values) {
  if (dialect_.file_path.empty()) return std::nullopt;
  Values with_file = values;
  for (auto& [name, value] : with_file) {
    if (name == "file") value = file;
  }
  for (double waited = 0;; waited += settings_.poll) {
    const Json found = get(dialect_.file_path, with_file);
    const std::string word = text_at(found, dialect_.file_status);
    if (lists(dialect_.file_refused, word)) return ProviderRefusal{word + ": " + first_reason(found, dialect_.file_reasons)};
    if (!lists(dialect_.file_waits, word)) return std::nullopt;
    if (waited > kLongestFileWait) {
      throw Error(described(settings_) + " has not looked at the rows in an hour (" + word +
                  "): run the same command again when it works");
    }
    wait_or_stop(settings_.poll);
  }
}

Json ProviderClient::create_request(const std::string& file, const JobOrder& order) const {
  Json body = filled(dialect_.create_body, values_of(file, order));
  for (const auto& [place, value] : order.hyperparameters.items()) body[Json::json_pointer(place)] = value;
  return body;
}

std::optional<double> ProviderClient::estimate(const std::string& file, const JobOrder& order) {
  if (dialect_.estimate_path.empty()) return std::nullopt;
  Json body = create_request(file, order);
  if (!dialect_.estimate_fields.empty()) {
    Json fewer = Json::object();
    for (const auto& field : dialect_.estimate_fields) {
      if (body.contains(field)) fewer[field] = body[field];
    }
    body = fewer;
  }
  HttpRequest asked = request("POST", dialect_.estimate_path, values_of(file, order));
  asked.body = canonical(body);
  Json estimated;
  send(asked, [&](const HttpReply& reply) { return take_json(reply, estimated); });
  check_currency(settings_,
                 dialect_.estimate_currency.empty() ? dialect_.currency : text_at(estimated, dialect_.estimate_currency));
  return price_at(estimated, {{dialect_.estimate_price}});
}

std::variant<JobState, ProviderRefusal> ProviderClient::create(const std::string& file, const JobOrder& order, bool begun) {
  HttpRequest asked = request("POST", dialect_.create_path, values_of(file, order));
  asked.body = canonical(create_request(file, order));
  asked.once = true;
  std::optional<JobState> made;
  std::optional<ProviderRefusal> refusal;
  const auto take = [&](const HttpReply& reply) {
    const ServerError error = server_error(json_or_discarded(reply.body));
    const auto blames_rows = [&](const std::string& code) { return lists(dialect_.refusing_codes, code); };
    const bool of_rows = std::any_of(error.codes.begin(), error.codes.end(), blames_rows);
    if (declines(reply.status, error) || (blames_content(reply.status) && of_rows)) {
      refusal = ProviderRefusal{reason_in(reply)};
      return Taken{true, "", false};
    }
    if (reply.status == kIsThere && dialect_.names_jobs) {
      begun = true;
      return Taken{true, "", false};
    }
    Json job;
    const Taken taken = take_json(reply, job);
    if (taken.done) made = read_job(settings_, job);
    // Without an answer nobody knows whether there is a job now.
    begun = reply.status == 0 || reply.status >= 500 || (reply.status == 200 && !taken.done);
    return begun && taken.again ? Taken{true, "", false} : taken;
  };
  for (std::int64_t attempt = 0; !made && !refusal; ++attempt) {
    if (attempt > 0) wait_or_stop(retry_delay(settings_.backoff, attempt - 1, 1, 0));
    if (begun) made = find(file, order);
    if (made) break;
    if (attempt > settings_.retries) {
      throw Error(described(settings_) + " gave no answer when it was asked for a job, in " + std::to_string(attempt) +
                  " attempts: run the same command again when it works; a job that it made meanwhile is taken up then");
    }
    send(asked, take);
  }
  if (refusal) return *refusal;
  return *made;
}

// A job of the same tag; where a service does not say a job's tag, one of the same file.
std::optional<JobState> ProviderClient::find(const std::string& file, const JobOrder& order) {
  Values values = values_of(file, order);
  if (dialect_.names_jobs) {
    values.emplace_back("job", tag_of(order));
    const Json job = get(dialect_.job_path, values, /*may_be_missing=*/true);
    return job.is_null() ? std::nullopt : std::optional(read_job(settings_, job));
  }
  values.emplace_back("job", "");
  std::string path = dialect_.list_path;
  for (int page = 0; page < kMostPages; ++page) {
    const Json found = get(path, values);
    const Json& jobs = at_place(found, dialect_.listed);
    for (const auto& job : jobs.is_array() ? jobs : Json::array()) {
      const std::string tag = text_at(job, dialect_.job_tag);
      const bool ours = tag.empty() ? text_at(job, dialect_.job_file) == file : tag == tag_of(order) || tag == order.key;
      if (ours) return read_job(settings_, job);
    }
    const bool more = found.contains("has_more") && found["has_more"] == true && !dialect_.list_next.empty();
    if (!more || !jobs.is_array() || jobs.empty()) break;
    values.back().second = text_at(jobs.back(), dialect_.job_id);
    path = dialect_.list_path + dialect_.list_next;
  }
  return std::nullopt;
}

JobState ProviderClient::job(const std::string& id) {
  const Values values = {{"account", settings_.account}, {"job", id}};
  const Json found = get(dialect_.job_path, values);
  JobState state = read_job(settings_, found);
  if (state.is != JobState::Is::kUnderWay) add_events(state, found);
  return state;
}

// A service without events (404) says nothing of rows.
void ProviderClient::add_events(JobState& state, const Json& job) {
  const Values values = {{"account", settings_.account}, {"job", state.id}};
  const Json said = dialect_.events_path.empty() ? job : get(dialect_.events_path, values, /*may_be_missing=*/true);
  state.left_out = rows_named(at_place(said, dialect_.events));
}

}  // namespace holdfast
