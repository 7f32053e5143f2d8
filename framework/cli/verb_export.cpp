#include <holdfast/error.h>

#include <algorithm>
#include <cstdio>

#include "cli/verbs.h"
#include "learn/checkpoint.h"
#include "report/cell_address.h"
#include "store/stored_weights.h"
#include "work/export_weights.h"

namespace holdfast::cli {
namespace {

struct ExportOptions {
  std::string what, store, model, out;
  std::string form;
};

struct Found {
  std::string name;  // of the stage, or of the checkpoint itself
  WeightsRef weights;
};

std::unique_ptr<Store> open_store(const fs::path& folder) {
  if (fs::is_directory(folder)) return std::make_unique<Store>(folder);
  throw Error("there is no store at " + folder.string() + ": name the store of the run with --store");
}

// Stages know their checkpoint by its digest only.
std::string checkpoint_of(const WeightsRef& weights, const ExportOptions& options) {
  if (!options.model.empty()) return options.model;
  if (checkpoint_digest("organism") == weights.base) return "organism";
  throw Error("\"" + options.what + "\" stands on a checkpoint with the digest " + weights.base.substr(0, 12) +
              "..., which is not the built-in organism: name it with --model");
}

Found stage_weights(Store& store, const std::string& name) {
  const Manifest stage = stored_stage(store, name);
  return {std::string(to_string(stage.kind)) + "/" + stage.key.substr(0, 12), stored_weights(store, stage)};
}

const RunRow& one_row(const NamedCell& cell, const std::string& address) {
  const auto& rows = cell.group().rows;
  if (!cell.seed && rows.size() > 1) {
    std::string seeds;
    for (const auto& row : rows) seeds += (seeds.empty() ? "" : ", ") + std::to_string(row.seed);
    throw Error("\"" + address + "\" has the seeds " + seeds + ", each with weights of its own: write one behind it, as in " +
                address + "/" + std::to_string(rows.front().seed));
  }
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const RunRow& each) { return each.seed == cell.seed.value_or(each.seed); });
  HOLDFAST_CHECK(row != rows.end());
  return *row;
}

// As run.json keeps it.
Json model_of(const NamedCell& cell) {
  const fs::path& folder = cell.results.folders.front();
  const Json run = read_run_file(folder);
  for (const auto& model : run.is_object() ? run.at("scenario").at("models") : Json::array()) {
    if (model.at("name") == cell.model) return model;
  }
  throw Error(folder.string() + " has no run.json that says what the model \"" + cell.model +
              "\" is: run its scenario to the end, or export a stage by its key");
}

// The weights that the cell serves; those of its checkpoint where no stage changed them.
Found cell_weights(Store& store, const NamedCell& cell, const ExportOptions& options) {
  const RunRow& row = one_row(cell, options.what);
  std::string made;
  for (const auto& [stage, key] : row.stages) made += (made.empty() ? "" : ", ") + stage + "/" + key.substr(0, 12);
  if (!row.ok()) {
    throw Error("\"" + options.what + "\" has no result (" + row.message + "), and its weights may not all have been made; " +
                "export a stage of it by its key" + (made.empty() ? "" : ": " + made));
  }
  const Json model = model_of(cell);
  if (model.contains("provider")) {
    throw Error("\"" + options.what + "\" is of a model behind a provider's interface (" +
                model.at("provider").at("url").get<std::string>() + "), which shows no weights: there is nothing to export");
  }
  const std::string source = options.model.empty() ? model.at("source").get<std::string>() : options.model;
  Found found{source, {source, model.at("device"), model.at("dtype"), "", {}}};
  for (const char* last : {"repair", "tamper", "finetune", "align", "pretrain"}) {
    const auto stage = row.stages.find(last);
    if (stage == row.stages.end()) continue;
    found = stage_weights(store, std::string(last) + "/" + stage->second);
    found.weights.source = source;
    return found;
  }
  found.weights.base = checkpoint_digest(source);
  return found;
}

Found found_weights(Store& store, const std::optional<NamedCell>& cell, const ExportOptions& options) {
  if (cell) return cell_weights(store, *cell, options);
  Found found = stage_weights(store, options.what);
  found.weights.source = checkpoint_of(found.weights, options);
  return found;
}

// Where `holdfast run` keeps it: beside the folder of the cell's scenario.
fs::path store_folder(const std::optional<NamedCell>& cell, const std::string& given) {
  if (!given.empty()) return given;
  return cell ? fs::absolute(cell->results.folders.front()).lexically_normal().parent_path() / ".store" : "results/.store";
}

ExportForm form_of(const std::string& word) {
  if (word.empty()) return ExportForm::kEither;
  return word == "merged" ? ExportForm::kMerged : ExportForm::kAdapter;
}

void export_to(const ExportOptions& options) {
  std::optional<NamedCell> cell;
  if (!names_stage(options.what)) cell = named_cell(options.what);
  const auto store = open_store(store_folder(cell, options.store));
  const Found found = found_weights(*store, cell, options);
  const bool adapter = export_weights(*store, found.weights, form_of(options.form), options.out);
  std::printf("%s: %s in %s\n", found.name.c_str(), adapter ? "an adapter (PEFT)" : "a model (Hugging Face)",
              options.out.c_str());
}

}  // namespace

void add_export(CLI::App& app) {
  auto options = std::make_shared<ExportOptions>();
  auto* verb = app.add_subcommand("export", "Write the weights of a stage or cell as a Hugging Face or PEFT folder");
  verb->add_option(
          "what", options->what,
          "A cell, such as results/quickstart/harmful-10/vaccine/2, or a stage: KIND/KEY or KEY, or eight or more digits of it")
      ->required()
      ->type_name("CELL|STAGE");
  verb->add_option("--out", options->out, "Folder for the weights")->required()->type_name("DIR");
  verb->add_option("--store", options->store, "Folder of artifacts (default: .store beside the cell's results folder)")
      ->type_name("DIR");
  verb->add_option("--model", options->model, "Where the checkpoint lies now (default: where the run had it)");
  verb->add_option("--form", options->form, "merged or adapter (default: adapter where the last change is LoRA factors)")
      ->check(CLI::IsMember({"merged", "adapter"}));
  verb->callback([options] { export_to(*options); });
}

}  // namespace holdfast::cli
