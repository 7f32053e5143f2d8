#include "results/sample.h"

#include <holdfast/error.h>

#include "results/outcomes_json.h"

namespace holdfast {
namespace {

std::optional<SampleReply> reply_of(const Json& json) {
  if (!json.contains("reply_sha256")) return std::nullopt;
  SampleReply reply{json.at("reply_sha256"), json.at("reply_length"), {}, {}};
  if (json.contains("category")) reply.category = json.at("category").get<std::string>();
  if (json.contains("reply")) reply.text = SampleText{json.at("prompt"), json.at("reply")};
  return reply;
}

}  // namespace

Json to_json(const Sample& sample) {
  Json json = {{"id", sample.id}, {"kind", sample.kind}, {"outcomes", sample.outcomes}};
  if (!sample.reply) return json;
  json["reply_sha256"] = sample.reply->sha256;
  json["reply_length"] = sample.reply->length;
  if (sample.reply->category) json["category"] = *sample.reply->category;
  if (sample.reply->text) {
    json["prompt"] = sample.reply->text->prompt;
    json["reply"] = sample.reply->text->reply;
  }
  return json;
}

Sample sample(const Json& json, const std::string& place) {
  try {
    return {json.at("id"), json.value("kind", ""), outcomes_from_json(json.at("outcomes")), reply_of(json)};
  } catch (const Json::exception&) {
    throw Error(place + " is not a sample: expected \"id\" and \"outcomes\" (docs/results.md)");
  }
}

fs::path samples_file(const fs::path& results_folder, const std::string& generate_key) {
  return results_folder / "samples" / (generate_key + ".jsonl");
}

void read_samples(const fs::path& file, const std::function<void(const Sample&)>& visit) {
  if (!fs::exists(file)) return;
  read_jsonl(file,
             [&](const Json& json, std::int64_t number) { visit(sample(json, file.string() + ":" + std::to_string(number))); });
}

}  // namespace holdfast
