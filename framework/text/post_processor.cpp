#include "text/post_processor.h"

namespace holdfast {

namespace {

std::vector<std::int64_t> special_ids(const Definition& definition, const std::string& name) {
  std::vector<std::int64_t> ids;
  const Definition special = definition.at("special_tokens").at(name);
  for (const Definition& id : special.items("ids")) {
    if (!id.json().is_number_integer()) id.fail(std::string("expected an integer, found ") + id.json().type_name());
    ids.push_back(id.json().get<std::int64_t>());
  }
  return ids;
}

PostProcessor from_template(const Definition& definition) {
  PostProcessor result;
  bool seen = false;
  for (const Definition& item : definition.items("single")) {
    if (item.has("Sequence")) {
      if (seen) item.fail("the text stands twice in the template, which is not supported");
      seen = true;
      continue;
    }
    const auto ids = special_ids(definition, item.at("SpecialToken").string("id"));
    std::vector<std::int64_t>& side = seen ? result.after : result.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!seen) definition.fail("the template \"single\" has no place for the text");
  return result;
}

std::int64_t id_of_pair(const Definition& definition, const std::string& key) {
  const Json& pair = definition.at(key).json();
  if (!pair.is_array() || pair.size() != 2 || !pair[1].is_number_integer())
    definition.fail("\"" + key + "\": expected [\"token\", id]");
  return pair[1].get<std::int64_t>();
}

// Each part wraps what the parts before it made.
PostProcessor from_sequence(const Definition& definition) {
  PostProcessor result;
  for (const Definition& part : definition.items("processors")) {
    const PostProcessor outer = PostProcessor::from_json(part);
    result.before.insert(result.before.begin(), outer.before.begin(), outer.before.end());
    result.after.insert(result.after.end(), outer.after.begin(), outer.after.end());
  }
  return result;
}

}  // namespace

PostProcessor PostProcessor::from_json(const Definition& definition) {
  const std::string type = definition.type();
  if (type == "TemplateProcessing") return from_template(definition);
  if (type == "Sequence") return from_sequence(definition);
  if (type == "ByteLevel") return {};  // changes offsets only, and ours are never trimmed
  if (type == "BertProcessing" || type == "RobertaProcessing")
    return {{id_of_pair(definition, "cls")}, {id_of_pair(definition, "sep")}};
  definition.unsupported("post-processor", "TemplateProcessing, Sequence, ByteLevel, BertProcessing, RobertaProcessing");
}

}  // namespace holdfast
