#include <holdfast/error.h>

#include <cstdio>
#include <memory>

#include "base/digest.h"
#include "cli/verbs.h"
#include "data/conversation.h"
#include "report/story.h"
#include "results/generations.h"
#include "store/store.h"

namespace holdfast::cli {
namespace {

struct ShowOptions {
  std::string cell, store;
  std::string samples = "redacted";
  std::int64_t count = 5;
};

// Replies as their generate stage stored them, for runs whose samples/ holds digests.
class StoredReplies {
 public:
  StoredReplies(fs::path store, std::string key) : store_(std::move(store)), key_(std::move(key)) {}

  SampleText text(const std::string& id, const SampleReply& reply) {
    if (reply.text) return *reply.text;
    if (replies_.empty()) read();
    const auto found = replies_.find(id);
    if (found == replies_.end() || sha256(found->second.reply) != reply.sha256) {
      throw Error("the replies in " + store_.string() + " (generate/" + key_.substr(0, 12) +
                  ") are not those of samples/: run the scenario again with --samples full");
    }
    return found->second;
  }

 private:
  void read() {
    const std::string wanted = "samples/ holds digests of the replies and not their text, and ";
    const std::string advice = ": name the run's store with --store, or run the scenario again with --samples full";
    if (!fs::is_directory(store_)) throw Error(wanted + "there is no store at " + store_.string() + advice);
    Store store(store_);
    try {
      for (auto& each : read_generations(store.file(StageKind::kGenerate, key_, kGenerationsFile))) {
        replies_[each.id] = {to_json(each.prompt), std::move(each.reply)};
      }
    } catch (const CorruptArtifact& corrupt) {
      throw Error(wanted + "the store lacks them (" + corrupt.what() + ")" + advice);
    }
  }

  fs::path store_;
  std::string key_;
  std::map<std::string, SampleText> replies_;  // by probe
};

void show(const ShowOptions& options) {
  const NamedCell cell = named_cell(options.cell);
  const RunRow& row = told_row(cell);
  StoryView view;
  view.replies = options.count;
  const auto key = row.stages.find("generate");
  if (options.samples == "full" && key != row.stages.end()) {
    const fs::path usual = fs::absolute(row.folder).lexically_normal().parent_path() / ".store";
    const auto replies = std::make_shared<StoredReplies>(options.store.empty() ? usual : fs::path(options.store), key->second);
    view.text = [replies](const std::string& id, const SampleReply& reply) { return replies->text(id, reply); };
  }
  std::fputs(story(cell, options.cell, view).c_str(), stdout);
}

}  // namespace

void add_show(CLI::App& app) {
  auto options = std::make_shared<ShowOptions>();
  auto* verb = app.add_subcommand("show", "Print one cell's story: stages, figures, training curves, replies");
  verb->add_option("cell", options->cell,
                   "RESULTS/[MODEL/]ATTACK/DEFENSE[/SEED], such as results/quickstart/harmful-10/vaccine/2")
      ->required()
      ->type_name("CELL");
  verb->add_option("--count", options->count, "How many replies, those that judges call harmful first (default: 5)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--samples", options->samples, "redacted (default) or full: whether prompts and replies are printed")
      ->check(CLI::IsMember({"redacted", "full"}));
  verb->add_option("--store", options->store,
                   "Where full replies are when samples/ lacks them (default: .store beside the run)")
      ->type_name("DIR");
  verb->callback([options] { show(*options); });
}

}  // namespace holdfast::cli
