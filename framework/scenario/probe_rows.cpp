#include "scenario/probe_rows.h"

#include <holdfast/error.h>

#include <map>
#include <set>

#include "base/digest.h"
#include "data/formats.h"
#include "judge/held_out.h"
#include "judge/tasks.h"

namespace holdfast {
namespace {

constexpr const char* kHeldOutTag = "held-out";

// Tasks that name a metric are ours; others belong to a judge that knows them (the organism's).
bool names_metric(const Example& row) { return row.tags.contains("metric"); }

class Numbering {
 public:
  explicit Numbering(std::int64_t limit) : limit_(limit) {}

  // False when the row is beyond the limit.
  bool number(Example& row) {
    if (row.messages.empty() || last_content(row.messages, "user").empty()) throw Error("a probe has no user turn");
    std::string& kind = row.tags["kind"];
    if (kind.empty()) kind = names_metric(row) ? "task" : "harmful";
    const std::string group = kind == "task" && row.tags.contains("task") ? row.tags["task"] : kind;
    const bool held_out = row.tags.contains(kHeldOutTag);
    const std::int64_t number = ++counts_[{held_out, group}];
    if (limit_ > 0 && number > limit_) return false;
    std::string& id = row.tags["id"];
    if (id.empty()) id = group + "-" + std::to_string(number);
    if (is_held_out(id)) throw Error("a probe has the id \"" + id + "\", whose end is kept for held-out probes: rename it");
    if (held_out) id += kHeldOut;
    if (!ids_.insert(id).second) throw Error("two probes have the id \"" + id + "\"");
    return true;
  }

  void check(const Example& row) {
    check_task(row);
    const std::string& task = row.tags.at("task");
    const std::string& metric = row.tags.at("metric");
    const auto [known, fresh] = metrics_.emplace(task, metric);
    if (known->second == metric) return;
    throw Error("the task \"" + task + "\" has rows of the metrics \"" + known->second + "\" and \"" + metric +
                "\": give one of them another task name");
  }

 private:
  std::int64_t limit_;
  std::map<std::pair<bool, std::string>, std::int64_t> counts_;  // held-out ones apart
  std::map<std::string, std::string> metrics_;                   // by task
  std::set<std::string> ids_;
};

// What is asked in public shows nothing in the held-out part.
void check_apart(const Dataset& rows) {
  std::set<std::string> shown;
  for (const auto& row : rows) {
    if (!row.tags.contains(kHeldOutTag)) shown.insert(last_content(row.messages, "user"));
  }
  for (const auto& row : rows) {
    const std::string asked = last_content(row.messages, "user");
    if (!row.tags.contains(kHeldOutTag) || !shown.contains(asked)) continue;
    throw Error("the held-out probe \"" + asked + "\" is among the public ones too: take it out of one of the two");
  }
}

}  // namespace

ProbeRows probe_rows(const Dataset& rows, std::int64_t limit) {
  Numbering numbering(limit);
  ProbeRows result;
  check_apart(rows);
  for (Example row : rows) {
    if (!numbering.number(row)) continue;
    if (names_metric(row)) {
      row.tags.try_emplace("task", "tasks");
      numbering.check(row);
      if (is_measured(row)) {
        result.measured.push_back(std::move(row));
        continue;
      }
    }
    while (row.messages.back().role == "assistant") row.messages.pop_back();  // a reference reply is not asked
    result.asked.push_back(std::move(row));
  }
  return result;
}

std::vector<Conversation> conversations_of(const Dataset& rows) {
  std::vector<Conversation> conversations;
  for (const auto& row : rows) conversations.push_back(row.messages);
  return conversations;
}

std::string prompts_digest(const Dataset& rows, const std::vector<Conversation>& asked) {
  HOLDFAST_CHECK(rows.size() == asked.size());
  Sha256 all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string line = canonical({example_to_json(rows[i]), example_to_json({asked[i], rows[i].tags})}) + "\n";
    all.update(line.data(), line.size());
  }
  return all.hex();
}

void mark_rows(Dataset& rows, const DataSource& source) {
  for (auto& row : rows) {
    if (source.held_out) row.tags[kHeldOutTag] = "yes";
    if (source.tasks.empty()) continue;
    row.tags.try_emplace("kind", "task");
    row.tags.try_emplace("task", source.tasks);
  }
}

Dataset load_probes(const std::vector<DataSource>& sources) {
  Dataset rows;
  for (const auto& source : sources) {
    Dataset more = load_data(source);
    mark_rows(more, source);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

}  // namespace holdfast
