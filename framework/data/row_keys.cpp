#include "data/row_keys.h"

#include <set>

namespace holdfast {

const std::vector<std::string> kConversationKeys = {"messages", "conversations", "conversation"};
const std::vector<std::string> kQuestionKeys = {"prompt", "instruction", "question",         "query",    "goal",    "Prompt",
                                                "Goal",   "Question",    "forbidden_prompt", "Behavior", "behavior"};
const std::vector<std::string> kReplyKeys = {"completion", "response", "output",   "answer",
                                             "target",     "Target",   "Response", "Answer"};
const std::vector<std::string> kSystemKeys = {"system", "system_prompt", "system_message"};

bool is_tag_key(const std::string& key) {
  static const std::set<std::string> kTags = {
      // which row it is
      "", "Unnamed: 0", "id", "_id", "ID", "Id", "id_v2", "idx", "index", "Index", "uid", "uuid", "qid", "row_id", "example_id",
      "sample_id", "prompt_id", "question_id", "query_id", "task_id", "conversation_id", "conversation_hash", "dialog_id",
      "message_tree_id", "BehaviorID", "behavior_id",
      // what it is about
      "category", "categories", "Category", "subcategory", "Subcategory", "l2-category", "l3-category", "FunctionalCategory",
      "SemanticCategory", "functional_category", "semantic_category", "harm_category", "harm_area", "risk_area",
      "types_of_harm", "specific_harms", "counter", "kind", "type", "topic", "domain", "subject", "task", "task_name",
      "task_type", "label", "note", "focus", "tags", "Tags", "tag", "keywords", "difficulty", "level", "hard",
      "original_question",
      // where it comes from
      "source", "Source", "sources", "origin", "dataset", "dataset_name", "data_source", "data_type", "subset", "split",
      "license", "url", "link", "version", "author", "annotator", "annotator_id", "worker_id", "created_at", "timestamp",
      "date", "time", "model", "model_name", "model_id", "generator", "language", "lang", "locale", "country", "state",
      "hashed_ip", "meta", "metadata",
      // verdicts and sizes
      "is_safe", "is_response_safe", "safe", "unsafe", "harmful", "is_harmful", "prompt_harm_label", "response_harm_label",
      "response_refusal_label", "prompt_harm_agreement", "response_harm_agreement", "response_refusal_agreement", "toxic",
      "toxicity", "redacted", "severity", "severity_level", "openai_moderation", "detoxify_moderation", "score", "scores",
      "rating", "quality", "turn", "turns", "num_turns", "n_turns", "length", "n_tokens", "num_tokens", "token_count",
      // of utility tasks (docs/scenario.md)
      "metric", "answers", "choices", "extract"};
  return kTags.count(key) > 0;
}

bool is_message_tag_key(const std::string& key) {
  static const std::set<std::string> kTags = {
      "id",   "message_id", "parent_id", "turn_identifier", "timestamp", "create_time", "created_at", "model",  "language",
      "lang", "toxic",      "redacted",  "hashed_ip",       "country",   "state",       "header",     "rating", "score"};
  return kTags.count(key) > 0;
}

}  // namespace holdfast
