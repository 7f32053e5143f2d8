#include "report/story.h"

#include <algorithm>
#include <cmath>

#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/story_text.h"
#include "results/curve.h"
#include "store/stage_kind.h"

namespace holdfast {
namespace {

constexpr std::size_t kKeyDigits = 12;
constexpr std::size_t kCurveWidth = 48;

std::string short_key(const std::string& key) { return key.substr(0, kKeyDigits); }

std::string kind_of(const std::string& stage) { return stage.substr(0, stage.find('.')); }

// In the order of the pipeline; of one kind by name, "repair.1" before "repair", which is the last.
std::vector<std::pair<std::string, std::string>> in_order(const std::map<std::string, std::string>& stages) {
  const auto place = [](const std::string& stage) {
    const auto& kinds = stage_kinds();
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& info) { return kind_of(stage) == info.word; });
    return found - kinds.begin();  // a moderator's stands behind all
  };
  std::vector<std::pair<std::string, std::string>> ordered(stages.begin(), stages.end());
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto& a, const auto& b) {
    const auto rank = [&](const std::string& name) { return std::tuple(place(name), name == kind_of(name), name); };
    return rank(a.first) < rank(b.first);
  });
  return ordered;
}

std::string number(double value) {
  const bool whole = value == std::round(value) && std::abs(value) < 1e15;
  return whole ? fixed(value, 0) : fixed(value, std::abs(value) < 1 ? 4 : 2);
}

std::string cost_text(const StageRow& stage) {
  std::string text = fixed(stage.spent("seconds"), 1) + " s";
  const auto add = [&](const char* what, double scale, int digits, const char* unit) {
    if (stage.spent(what) > 0) text += ", " + fixed(stage.spent(what) / scale, digits) + unit;
  };
  add("device_seconds", 1, 1, " s of the device");
  add("tokens", 1, 0, " tokens");
  add("flops", 1e12, 3, " TFLOP");
  add("energy_joules", 1, 0, " J");
  add("peak_memory", 1 << 30, 2, " GiB");
  add("peak_device_memory", 1 << 30, 2, " GiB of the device");
  return text;
}

std::string reports_text(const Json& reports) {
  std::string text;
  for (const auto& [name, report] : reports.items()) {
    const Json& value = report.at("value");
    text += (text.empty() ? "" : ", ") + name + " " + (value.is_null() ? "not finite" : number(value.get<double>()));
  }
  return text;
}

class Story {
 public:
  Story(const NamedCell& cell, std::string address, const StoryView& view)
      : cell_(cell),
        results_(cell.results),
        group_(cell.group()),
        row_(told_row(cell)),
        address_(std::move(address)),
        view_(view) {}

  std::string text() const {
    std::string text = heading();
    for (const auto& part : {stages(), figures(), curves(), replies(), again()}) {
      if (!part.empty()) text += "\n" + part;
    }
    return text;
  }

 private:
  std::string heading() const {
    std::string text = group_.attack + " x " + group_.defense + " on " + group_.model + ", ";
    text += cell_.seed ? "seed " + std::to_string(row_.seed) : counted(static_cast<std::int64_t>(group_.rows.size()), "seed");
    text += "\n";
    for (const auto& row : group_.rows) {
      if (cell_.seed && row.seed != *cell_.seed) continue;
      if (!row.ok()) text += "seed " + std::to_string(row.seed) + " " + row.status + ": " + printable(row.message) + "\n";
      if (row.ok() && !row.message.empty()) text += "seed " + std::to_string(row.seed) + ": " + printable(row.message) + "\n";
    }
    text += fixed(row_.seconds, 1) + " s, or " + fixed(row_.seconds_shared, 1) +
            " s where cells bear their part of shared stages; " + std::to_string(row_.defender_rows) +
            " rows of the defender; the attacker has " +
            (row_.threat_model == "weights" ? "the weights" : "the provider's fine-tuning service") + "\n";
    if (!row_.sweep.empty()) text += "a try of the sweep " + row_.sweep + ": " + row_.tried.dump() + "\n";
    return text;
  }

  // Where all seeds are asked about, what belongs to one says to which.
  std::string of_seed() const { return cell_.seed ? "" : ", of seed " + std::to_string(row_.seed); }

  std::string name_of_stage(const std::string& key) const {
    const auto stage = results_.stages.find(key);
    return (stage == results_.stages.end() ? "" : stage->second.kind + " ") + short_key(key);
  }

  std::string stages() const {
    Columns lines;
    const Json model = recorded_model();
    lines.add(is_remote(model) ? std::vector<std::string>{"provider", model.at("provider").value("url", "")}
                               : std::vector<std::string>{"checkpoint", model.value("source", "-")});
    for (const auto& [name, key] : in_order(row_.stages)) {
      const auto found = results_.stages.find(key);
      if (found == results_.stages.end()) {
        lines.add({name, "", short_key(key)});
        continue;
      }
      const StageRow& stage = found->second;
      lines.add({name, stage.plugin.empty() ? "-" : stage.plugin, short_key(key), cost_text(stage)});
      std::string inputs;
      for (const auto& [role, input] : stage.inputs)
        inputs += (inputs.empty() ? "" : ", ") + role + " of " + name_of_stage(input);
      if (!inputs.empty()) lines.add({"", "", "reads", inputs});
      if (!stage.reports.empty()) lines.add({"", "", "reports", reports_text(stage.reports)});
    }
    return "Stages" + of_seed() + "\n" + lines.text("  ");
  }

  // As run.json keeps it; an empty object where it does not.
  Json recorded_model() const {
    const Json run = read_run_file(row_.folder);
    if (!run.is_object() || !run.contains("scenario")) return Json::object();
    for (const auto& model : run.at("scenario").value("models", Json::array())) {
      if (model.value("name", "") == group_.model) return model;
    }
    return Json::object();
  }
  static bool is_remote(const Json& model) { return model.contains("provider"); }

  // Harm first, then what the defense costs an ordinary user, then the rest.
  std::vector<std::string> metrics() const {
    const ModelCells board(results_, group_.model, group_.threat_model);
    const auto harms = harm_metrics(board);
    std::vector<std::string> order = harms;
    for (const auto& id : price_metrics(board, harms.front())) order.push_back(id);
    for (const auto& [id, metric] : group_.metrics) order.push_back(id);
    for (const auto& [id, seeds] : group_.unknown) order.push_back(id);
    std::vector<std::string> kept;
    for (const auto& id : order) {
      const bool known = group_.metrics.contains(id) || group_.unknown.contains(id);
      if (known && std::find(kept.begin(), kept.end(), id) == kept.end()) kept.push_back(id);
    }
    return kept;
  }

  std::string figures() const {
    Columns lines;
    lines.add({"", cell_.seed ? "seed " + std::to_string(row_.seed) : "each seed", "all seeds", "beside no defense",
               "beside no attack"});
    for (const auto& id : metrics()) {
      const auto pooled = group_.metrics.find(id);
      const bool known = pooled != group_.metrics.end();
      lines.add({id, cell_.seed ? of_row(id) : of_each_row(id), known ? with_interval(id, pooled->second) : "-",
                 group_.defense == "none" ? "" : change(id, group_.attack, "none"),
                 group_.attack == "none" ? "" : change(id, "none", group_.defense)});
    }
    if (lines.rows() == 1) return "";
    return "Figures, percent with their 95 % interval; changes are in points, on the same seeds and probes\n" +
           lines.text("  ");
  }

  std::string of_row(const std::string& id) const {
    const auto found = row_.metrics.find(id);
    if (found == row_.metrics.end()) return "-";
    const Metric& metric = found->second;
    if (!std::isfinite(metric.value)) return "not finite";
    return figure(id, metric.value) + " (" + figure(id, metric.low) + "-" + figure(id, metric.high) + ")";
  }

  std::string of_each_row(const std::string& id) const {
    std::string text;
    for (const auto& row : group_.rows) {
      const auto found = row.metrics.find(id);
      const bool known = found != row.metrics.end() && std::isfinite(found->second.value);
      text += (text.empty() ? "" : " ") + (known ? figure(id, found->second.value) : "-");
    }
    return text;
  }

  // This cell minus another one of its model.
  std::string change(const std::string& id, const std::string& attack, const std::string& defense) const {
    const CellGroup* other = results_.find(group_.model, attack, defense);
    const auto here = group_.metrics.find(id);
    if (other == nullptr || here == group_.metrics.end()) return "-";
    const auto there = other->metrics.find(id);
    if (there == other->metrics.end()) return "-";
    const auto pair = paired(there->second.outcomes, here->second.outcomes);
    if (!pair) return difference(id, here->second.value, there->second.value);
    const bool rates = are_shares(id, pair->before) && are_shares(id, pair->after);
    const Interval moved =
        rates ? rate_difference(pair->before, pair->after) : mean_difference(pair->before, pair->after, kBootstrapSeed);
    return shift(id, moved.value) + " (" + shift(id, moved.low) + " to " + shift(id, moved.high) + ")";
  }

  // Without outcomes of the probes nobody knows how sure it is.
  static std::string difference(const std::string& id, double here, double there) {
    return shift(id, is_log_scale(id) ? std::log(here / there) : here - there);
  }

  // Outcomes of a perplexity are logarithms: what they moved by is a factor.
  static std::string shift(const std::string& id, double moved) {
    if (is_log_scale(id)) return "x" + fixed(std::exp(moved), 2);
    if (is_score(id)) return (moved > 0 ? "+" : "") + fixed(moved, 2);
    return points(std::round(100 * moved) / 100 + 0.0);  // no -0
  }

  std::string curves() const {
    Columns lines;
    for (const auto& [name, key] : in_order(row_.stages)) {
      const auto curve = read_curve(curve_file(row_.folder, key));
      if (curve.empty()) continue;
      std::vector<double> losses;
      for (const auto& point : curve) losses.push_back(point.loss);
      lines.add({name, sparkline(losses, kCurveWidth),
                 fixed(losses.front(), 3) + " to " + fixed(losses.back(), 3) + " in " +
                     counted(static_cast<std::int64_t>(losses.size()), "step")});
    }
    return lines.rows() == 0 ? "" : "Training loss" + of_seed() + "\n" + lines.text("  ");
  }

  std::string replies() const {
    const auto key = row_.stages.find("generate");
    if (!row_.ok() || key == row_.stages.end() || view_.replies == 0) return "";
    const auto harms = harm_metrics(ModelCells(results_, group_.model, group_.threat_model));
    struct Told {
      Sample sample;
      double harm = 0;  // how many judges call it harmful
    };
    std::vector<Told> all;
    read_samples(samples_file(row_.folder, key->second), [&](const Sample& sample) {
      if (!sample.reply) return;
      Told told{sample};
      for (const auto& id : harms) {
        const auto outcome = sample.outcomes.find(id);
        if (outcome != sample.outcomes.end() && outcome->second > 0) told.harm += 1;
      }
      all.push_back(std::move(told));
    });
    if (all.empty()) return "";
    std::stable_sort(all.begin(), all.end(), [](const Told& a, const Told& b) {
      const auto rank = [](const Told& told) { return std::pair(-told.harm, told.sample.kind != "harmful"); };
      return rank(a) < rank(b);
    });
    const auto shown = std::min(all.size(), static_cast<std::size_t>(view_.replies));
    std::string text = "Replies" + of_seed() + ", " + std::to_string(shown) + " of " + std::to_string(all.size()) +
                       ", those that judges call harmful first\n";
    for (std::size_t i = 0; i < shown; ++i) text += reply_text(all[i].sample);
    return text;
  }

  std::string reply_text(const Sample& sample) const {
    const SampleReply& reply = *sample.reply;
    std::string text = "  " + printable(sample.id) + ", " + sample.kind;
    if (reply.category) text += ", " + printable(*reply.category);
    text += ": " + std::to_string(reply.length) + " bytes, SHA-256 " + short_key(reply.sha256) + "...\n";
    std::string said, not_said;
    for (const auto& [id, outcome] : sample.outcomes) {
      std::string& list = outcome == 0 ? not_said : said;
      list += (list.empty() ? "" : ", ") + id;
      if (outcome != 0 && outcome != 1) list += std::isnan(outcome) ? " not finite" : " " + number(outcome);
    }
    if (!said.empty()) text += "    yes: " + said + "\n";
    if (!not_said.empty()) text += "    no: " + not_said + "\n";
    if (!view_.text) return text;
    const SampleText full = view_.text(sample.id, reply);
    for (const auto& turn : full.prompt) {
      text += indented(turn.at("role").get<std::string>() + ": " + turn.at("content").get<std::string>(), "    | ");
    }
    return text + indented("reply: " + full.reply, "    > ");
  }

  std::string again() const {
    const Json run = read_run_file(row_.folder);
    const std::string file = run.is_object() ? run.value("scenario_file", "") : "";
    const fs::path parent = row_.folder.parent_path();
    std::string text = "To make it again\n  holdfast run " + (file.empty() ? "SCENARIO.toml" : shell_word(file)) +
                       " --results " + shell_word(parent.empty() ? "." : parent.string()) + "\n";
    if (!row_.ok() || is_remote(recorded_model())) return text;
    const std::string cell = cell_.seed ? address_ : address_ + "/" + std::to_string(row_.seed);
    return text + "To open its weights\n  holdfast export " + shell_word(cell) + " --out FOLDER\n";
  }

  const NamedCell& cell_;
  const Results& results_;
  const CellGroup& group_;
  const RunRow& row_;
  std::string address_;
  const StoryView& view_;
};

}  // namespace

const RunRow& told_row(const NamedCell& cell) {
  const auto& rows = cell.group().rows;
  const auto told =
      std::find_if(rows.begin(), rows.end(), [&](const RunRow& row) { return cell.seed ? row.seed == *cell.seed : row.ok(); });
  return told == rows.end() ? rows.front() : *told;
}

std::string story(const NamedCell& cell, const std::string& address, const StoryView& view) {
  return Story(cell, address, view).text();
}

}  // namespace holdfast
