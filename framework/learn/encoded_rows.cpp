#include "learn/encoded_rows.h"

#include <holdfast/error.h>

#include <algorithm>

namespace holdfast {
namespace {

bool has_learned_reply(const Example& example) {
  return std::any_of(example.messages.begin(), example.messages.end(),
                     [](const Message& turn) { return turn.role == "assistant" && turn.learned; });
}

}  // namespace

bool teaches(const Encoded& row) { return std::count(row.label.begin(), row.label.end(), true) > 0; }

std::string name_of(const Example& example, std::size_t index) {
  return example.origin.empty() ? "row " + std::to_string(index + 1) : example.origin;
}

EncodedRows encode_rows(const Model& model, const Dataset& data, std::int64_t max_length) {
  EncodedRows out;
  const auto limit = static_cast<std::size_t>(max_length);
  for (std::size_t i = 0; i < data.size(); ++i) {
    Encoded row;
    try {
      row = model.encode(data[i].messages);
    } catch (const Error& error) {
      throw Error(name_of(data[i], i) + ": " + error.what());
    }
    const bool taught = teaches(row), cut = limit > 0 && row.ids.size() > limit;
    if (cut) {
      row.ids.resize(limit);
      row.label.resize(limit);
      ++out.cut;
    }
    if (!taught) ++(has_learned_reply(data[i]) ? out.blank : out.unanswered);
    if (taught && !teaches(row)) ++out.cut_bare;
    out.rows.push_back(std::move(row));
  }
  return out;
}

std::vector<std::string> remarks(const EncodedRows& encoded, std::int64_t max_length) {
  std::vector<std::string> lines;
  const auto remark = [&](std::int64_t count, const std::string& what) {
    if (count > 0) lines.push_back(std::to_string(count) + " of " + std::to_string(encoded.rows.size()) + " rows " + what);
  };
  const std::string limit = "max_length (" + std::to_string(max_length) + " tokens)";
  remark(encoded.cut,
         "are longer than " + limit + " and are cut: what lies beyond, and the end of their last turn, is not learned");
  remark(encoded.cut_bare, "have all that is to be learned beyond " + limit + " and teach nothing");
  remark(encoded.unanswered, "have no reply to learn and teach nothing");
  remark(encoded.blank, "have a reply of which the chat template shows nothing, and teach nothing");
  return lines;
}

void check_teaches(const EncodedRows& encoded, std::int64_t max_length) {
  if (encoded.left_out() < static_cast<std::int64_t>(encoded.rows.size())) return;
  std::string reasons;
  for (const auto& remark : remarks(encoded, max_length)) reasons += (reasons.empty() ? "" : "; ") + remark;
  throw Error("there is nothing to learn: " + (reasons.empty() ? "there are no rows" : reasons));
}

}  // namespace holdfast
