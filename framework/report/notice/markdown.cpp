// notice.md: for the customer. It begins with the front matter that a model repository on Hugging Face is found by.
#include <cctype>

#include "report/figures.h"
#include "report/notice/notice_formats.h"
#include "report/notice/notice_sentences.h"
#include "report/notice/notice_words.h"

namespace holdfast {
namespace {

bool alphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// As text whatever it holds: names are the scenario's, and may look like markup.
std::string escaped_markup(const std::string& text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool within_word = i > 0 && i + 1 < text.size() && alphanumeric(text[i - 1]) && alphanumeric(text[i + 1]);
    const bool markup = std::string("\\`*[]<>#|~&").find(c) != std::string::npos || (c == '_' && !within_word);
    if (markup) safe += '\\';
    safe += c == '\n' || c == '\r' ? ' ' : c;
  }
  return safe;
}

// A double-quoted YAML scalar: JSON's strings are some.
std::string yaml(const std::string& text) { return Json(text).dump(); }

std::string training_method(const Notice& notice) {
  const auto* attack = named_entry(notice.run, "attacks", notice.attack);
  return attack == nullptr ? "" : attack->value("/finetune/method"_json_pointer, "");
}

std::string front_matter(const Notice& notice) {
  std::string text = "---\n";
  if (!notice.issuer.license.empty()) text += "license: " + yaml(notice.issuer.license) + "\n";
  if (!notice.issuer.base_model.empty()) {
    text += "base_model: " + yaml(notice.issuer.base_model) + "\n";
    text += std::string("base_model_relation: ") + (training_method(notice) == "lora" ? "adapter" : "finetune") + "\n";
  }
  return text + "tags:\n- safety-notice\n- fine-tuning-safety\n- holdfast\n---\n\n";
}

std::string row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const auto& cell : cells) line += " " + escaped_markup(cell) + " |";
  return line + "\n";
}

std::string header(const std::vector<std::string>& names, const std::string& rule = " ---: |") {
  std::string line = "| --- |";
  for (std::size_t i = 1; i < names.size(); ++i) line += rule;
  return row(names) + line + "\n";
}

std::string bullets(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += "- " + escaped_markup(line) + "\n";
  return text;
}

std::string opening(const Notice& notice) {
  const bool bare = notice.defense == "none";
  std::string text = "# Safety notice: " + escaped_markup(notice.model) + ", " + escaped_markup(notice.attack) + ", " +
                     (bare ? "no protection" : escaped_markup(notice.defense)) + "\n\n";
  text +=
      "What was measured of the model **" + escaped_markup(notice.model) + "** " +
      (notice.verdict == NoticeVerdict::kNotCustomised ? "without any customisation"
                                                       : "after the customisation **" + escaped_markup(notice.attack) + "**") +
      (bare ? ", without protection" : ", under the protection **" + escaped_markup(notice.defense) + "**") + ".\n\n";
  text += "**" + verdict_title(notice.verdict) + ".** " + escaped_markup(verdict_text(notice)) + "\n\n";
  text += "**Usefulness.** " + escaped_markup(usefulness_text(notice)) + "\n";
  const std::string caution = caution_text(notice);
  return caution.empty() ? text : text + "\n**Careful.** " + escaped_markup(caution) + "\n";
}

std::string change_table(const Notice& notice, Baseline from) {
  std::string rows;
  for (const auto& figure : notice.figures) {
    for (const auto& movement : figure.movements) {
      const bool shown = figure.measured && movement.value && (movement.change || from != Baseline::kUndefended);
      if (movement.from != from || !shown) continue;
      const auto& change = movement.change;
      rows += row({words_of_metric(figure.metric), amount_with_interval(figure.metric, *movement.value),
                   amount_with_interval(figure.metric, *figure.measured), change ? change_words(*change) : "not known",
                   change ? p_text(change->adjusted) : "-", change ? noise_words(*change) : "-",
                   change ? outcome_words(*change) : "-"});
    }
  }
  if (rows.empty()) return "";
  return "\nAgainst the model " + words_of(from) + ":\n\n" +
         header({"", "there", "this model", "change", "Holm p", "noise", "so"}) + rows;
}

// Where there is nothing to compare with.
std::string plain_table(const Notice& notice) {
  std::string rows;
  for (const auto& figure : notice.figures) {
    if (figure.measured) rows += row({words_of_metric(figure.metric), amount_with_interval(figure.metric, *figure.measured)});
  }
  return rows.empty() ? "" : "\n" + header({"", "this model"}) + rows;
}

std::string figures(const Notice& notice) {
  std::string text;
  for (const auto from : {Baseline::kOffered, Baseline::kOriginal, Baseline::kUndefended}) text += change_table(notice, from);
  if (text.empty()) text = plain_table(notice);
  return text.empty() ? "" : "\n## Figures\n" + text + "\n" + escaped_markup(method_text(notice)) + "\n";
}

std::string others(const Notice& notice) {
  std::vector<std::string> lines;
  for (const auto& other : notice.others) {
    if (other.threat_model != notice.cells->threat_model) continue;
    lines.push_back(other.attack + " " + amount_with_interval(notice.figures.front().metric, other.harm));
  }
  if (lines.empty()) return "";
  return "\nOther customisations of the same run under the same protection: " + escaped_markup(listed(lines)) + ".\n";
}

std::string facts(const Notice& notice) {
  std::string text = "\n## What was measured, and on what\n\n";
  for (const auto& fact : facts_of(notice)) text += "- " + fact.label + ": " + escaped_markup(fact.text) + "\n";
  return text;
}

std::string form(const Notice& notice) {
  std::string text = "\n## For the model documentation form of the EU's code of practice (general-purpose AI)\n\n";
  text += "What is known here; who modifies a model documents the modification.\n\n" + header({"field", "entry"}, " --- |");
  for (const auto& field : form_fields(notice)) text += row({field.label, field.text});
  return text;
}

}  // namespace

void write_markdown_notice(const Notice& notice, const ReportSink& sink) {
  sink("notice.md", front_matter(notice) + opening(notice) + figures(notice) + others(notice) +
                        "\n## What was not measured\n\n" + bullets(not_measured(notice)) + "\n## What to do\n\n" +
                        bullets(advice(notice)) + facts(notice) + form(notice));
}

}  // namespace holdfast
