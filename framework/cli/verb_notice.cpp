#include <holdfast/error.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/suggest.h"
#include "cli/verbs.h"
#include "report/cell_address.h"
#include "report/notice/notice_formats.h"
#include "report/notice/one_seed.h"

namespace holdfast::cli {
namespace {

struct NoticeOptions {
  std::string cell, format, out;
  NoticeIssuer issuer;
};

std::string formats_help() {
  std::string text = "One format:";
  for (const auto& format : notice_formats()) text += "\n" + format.name + ": " + format.about + " (" + format.files + ")";
  return text + "\n(default: with --out all of them, else markdown)";
}

const NoticeFormat& format_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& format : notice_formats()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  throw Error("there is no notice format " + in_quotes(name) + "." + suggestion(name, names));
}

void check(const NoticeIssuer& issuer) {
  const std::vector<std::string> known(kRelationships.begin(), kRelationships.end());
  if (std::find(known.begin(), known.end(), issuer.relationship) == known.end()) {
    throw Error("--relationship is " + in_quotes(issuer.relationship) +
                ", expected how who measured stands to who made the model." + suggestion(issuer.relationship, known));
  }
  const std::string& base = issuer.base_model;
  const bool is_id = std::all_of(base.begin(), base.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  });
  if (!is_id || std::count(base.begin(), base.end(), '/') > 1) {
    throw Error("--base-model is " + in_quotes(base) +
                ", expected the id of a model on the Hugging Face Hub, such as org/name");
  }
}

void write_below(const fs::path& folder, const fs::path& name, const std::string& text) {
  const fs::path path = folder / name;
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  if (failure) throw Error("cannot make the folder " + path.parent_path().string() + ": " + failure.message());
  write_file(path, text);
  std::printf("%s\n", path.c_str());
}

void print(const NoticeFormat& format, const Notice& notice) {
  std::vector<std::string> texts;
  format.write(notice, [&](const fs::path&, const std::string& text) { texts.push_back(text); });
  if (texts.size() > 1) throw Error("the format " + format.name + " is several files: give --out DIR");
  if (texts.empty())
    throw Error("the cell has no figures that the format " + format.name + " could hold; --format markdown says why");
  std::fputs(texts.front().c_str(), stdout);
}

void write_notice(const NoticeOptions& options) {
  check(options.issuer);
  const std::string name = options.format.empty() && options.out.empty() ? "markdown" : options.format;
  const NoticeFormat* one = name.empty() ? nullptr : &format_of(name);
  NamedCell cell = named_cell(options.cell);
  if (cell.seed) cell.results = of_one_seed(cell.results, cell.model, *cell.seed);
  const Notice notice = notice_of(cell.results, cell.model, cell.attack, cell.defense, options.issuer);
  if (options.out.empty()) return print(*one, notice);
  for (const auto& format : notice_formats()) {
    if (one != nullptr && one != &format) continue;
    format.write(notice, [&](const fs::path& file, const std::string& text) { write_below(options.out, file, text); });
  }
}

}  // namespace

void add_notice(CLI::App& app) {
  auto* verb = app.add_subcommand("notice", "Tell a customer what a customisation left of a model's safety");
  const auto options = std::make_shared<NoticeOptions>();
  verb->add_option("cell", options->cell,
                   "A cell, such as results/quickstart/harmful-10/vaccine; with /SEED behind it one seed's")
      ->required()
      ->type_name("CELL");
  verb->add_option("--format", options->format, formats_help())->type_name("FORMAT");
  verb->add_option("--out", options->out, "Write the files below this folder")->type_name("DIR");
  verb->add_option("--organization", options->issuer.organization, "Who hands the notice out (default: not stated)");
  verb->add_option("--relationship", options->issuer.relationship,
                   "Of who measured to who made the model: first_party, third_party, collaborative or other (default: other)");
  verb->add_option("--base-model", options->issuer.base_model, "Id of the base on the Hugging Face Hub, such as org/name");
  verb->add_option("--license", options->issuer.license, "Licence of the customised model, as the Hub names licences");
  verb->callback([options] { write_notice(*options); });
}

}  // namespace holdfast::cli
