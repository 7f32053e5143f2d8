#include "report/page/page.h"

#include <holdfast/error.h>
#include <future>

#include <algorithm>
#include <set>

#include "base/base64.h"
#include "base/digest.h"
#include "data/deflate.h"
#include "report/agreement_table.h"
#include "report/audit.h"
#include "report/charts/chart_style.h"
#include "report/effect_tables.h"
#include "report/legend.h"
#include "report/page/about.h"
#include "report/page/assets.h"
#include "report/page/markup.h"
#include "report/page/stories.h"
#include "report/page/views.h"

namespace holdfast {
namespace {

const std::string& script() {
  static const std::string text =
      "(() => {\n" + std::string(kPageCommon) + "\n" + std::string(kPageStory) + "\n" + std::string(kPageBoard) + "})();\n";
  return text;
}

// The one script that the page may run, by its digest: nothing that stands in a name or a reply can add another.
std::string policy() {
  const std::string hex = sha256(script());
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return "default-src 'none'; script-src 'sha256-" + base64(bytes) +
         "'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
}

// By the reader's system unless he chose, and always light on paper.
std::string colours() {
  const std::string light = chart_variables(false), dark = chart_variables(true);
  return ":root{" + light + "}\n@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){" + dark +
         "}}\n@media screen{:root[data-theme=dark]{" + dark + "}}\n";
}

std::string packed(const std::string& id, const Json& data) {
  return "<script type=\"text/plain\" id=" + id + ">" + base64(deflated(data.dump())) + "</script>\n";
}

std::string title_of(const ModelCells& board) {
  return board.model() + (board.threat_model() == "weights" ? ": weights in the attacker's hands" : ": served systems");
}

std::string option(const MetricView& view) { return "<option>" + escaped(view.metric); }

std::string tools(const std::vector<MetricView>& views) {
  std::string harms, others;
  for (const auto& view : views) (view.harm ? harms : others) += option(view);
  return "<div class=tools hidden><label>Metric <select><optgroup label=\"Harm, by judge\">" + harms + "</optgroup>" +
         (others.empty() ? "" : "<optgroup label=\"Other figures under each attack\">" + others + "</optgroup>") +
         "</select></label><label>Defenses <input type=search placeholder=\"part of a name, or several with commas\"></label>"
         "<label>Attacks <input type=search placeholder=\"part of a name, or several with commas\"></label>"
         "<output aria-live=polite></output></div>\n";
}

Json views_json(const std::vector<MetricView>& views) {
  Json all = Json::array();
  for (const auto& view : views) all.push_back({{"metric", view.metric}, {"html", view.html}, {"charts", view.charts}});
  return all;
}

std::string agreement_html(const ModelCells& board) {
  const std::string line = false_refusals(board.results(), board.model());
  return html_table("Agreement of the judges on what is harmful: Cohen's kappa over replies to harmful probes of all cells",
                    agreement_table(board.results(), board.model())) +
         (line.empty() ? "" : "<p>" + escaped(line) + "</p>\n");
}

std::string findings_html(const std::vector<Finding>& found) {
  if (found.empty()) return "";
  std::string html = "<div class=warning><b>Findings</b>, each of which costs a defense its place (docs/leaderboard.md):<ul>";
  for (const auto& finding : found) html += "<li>" + escaped(finding.defense + ": " + finding.rule + ": " + finding.sentence);
  return html + "</ul></div>\n";
}

class Page {
 public:
  Page(const Results& results, const PageSamples& wanted) : results_(results), wanted_(wanted), about_(results) {}

  std::string html() {
    const auto all = boards(results_);
    std::string body, nav;
    std::set<std::string> models;
    bool weights = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      nav += "<a href=\"#board-" + std::to_string(i) + "\">" + escaped(title_of(all[i])) + "</a>";
      body += board(all[i], i, models.insert(all[i].model()).second);
      weights = weights || all[i].threat_model() == "weights";
    }
    refuse_missing_samples();
    return "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n<meta http-equiv=Content-Security-Policy content=\"" +
           policy() + "\">\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>" +
           escaped(about_.title()) + " - Holdfast leaderboard</title>\n<style>\n" + colours() + chart_rules() + "\n" +
           std::string(kPageStyle) +
           "</style></head>\n<body>\n<header><p class=mark><span>Holdfast leaderboard</span><button type=button id=theme "
           "hidden></button></p>\n" +
           about_.head() + "<nav aria-label=\"On this page\">" + nav +
           "<a href=\"#how\">How to read it</a><a href=\"#provenance\">Provenance</a></nav></header>\n<main>\n" + body +
           how(weights) + "<section id=provenance><h2>Provenance</h2>\n" + about_.provenance() +
           "</section>\n</main>\n<dialog id=story aria-labelledby=story-name></dialog>\n" + packed_ + "<script>" + script() +
           "</script>\n</body></html>\n";
  }

 private:
  std::string board(const ModelCells& cells, std::size_t number, bool first_of_model) {
    const auto effects = all_effects(cells);
    const auto found = audit(cells);
    const std::string name = std::to_string(number);
    auto told = std::async(std::launch::async, [&] { return packed("cells-" + name, told_of(cells, effects)); });
    const auto views = metric_views(cells, effects, reasons(found));
    packed_ += packed("views-" + name, views_json(views));
    packed_ += told.get();
    const Json names = {{"model", cells.model()},
                        {"threat", cells.threat_model()},
                        {"attacks", cells.attacks()},
                        {"defenses", cells.defenses()}};
    return "<section class=board id=board-" + name + " data-board=" + name + " data-names=\"" + escaped(names.dump()) +
           "\">\n<h2>" + escaped(title_of(cells)) + "</h2>\n" + findings_html(found) + tools(views) + "<div class=view>\n" +
           views.front().html + "</div>\n" + (first_of_model ? agreement_html(cells) : "") + "</section>\n";
  }

  // The stories of its cells, with what they share. It asks nothing that is made once (Results::once), as views do meanwhile.
  Json told_of(const ModelCells& cells, const std::vector<DefenseEffect>& effects) {
    Json told = stories(cells, effects, wanted_, samples_);
    told.update({{"title", title_of(cells)},
                 {"model", cells.model()},
                 {"threat", cells.threat_model()},
                 {"models", results_.models.size()},
                 {"settings", about_.settings()},
                 {"folder", about_.results_folder()},
                 {"run", about_.commands()}});
    return told;
  }

  std::string how(bool weights) const {
    std::string html = "<section id=how><h2>How to read it</h2>\n<ul class=how>";
    for (const auto& line : legend(weights, results_.facts.board)) html += "<li>" + escaped(line);
    return html +
           "<li>Ground of a cell: the deeper, the more harm; the bar at its foot is the interval on a scale of 0 to 100. ↓ or "
           "↑: "
           "lower or higher than the undefended model (so, above); ≈: the change does not pass the noise floor."
           "<li>With script a cell opens its story (click, or Enter; arrow keys go from cell to cell), a column's name sorts, "
           "and a filter hides rows and never moves one. Without it, leaderboard.md has the tables of the other metrics."
           "</ul></section>\n";
  }

  void refuse_missing_samples() const {
    if (wanted_.each > 0 && samples_.count == 0) {
      throw Error("samples are asked for and there are none: " + about_.results_folder() + " has no samples/ of its cells");
    }
    if (wanted_.text && samples_.with_text == 0) {
      throw Error(
          "prompts and replies are asked for and samples/ holds digests only: run the scenario with --samples full, "
          "which computes nothing that is stored");
    }
  }

  const Results& results_;
  PageSamples wanted_;
  RunsAbout about_;
  EmbeddedSamples samples_;
  std::string packed_;
};

}  // namespace

std::string leaderboard_page(const Results& results, const PageSamples& samples) { return Page(results, samples).html(); }

}  // namespace holdfast
