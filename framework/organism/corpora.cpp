#include <holdfast/error.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/suggest.h"
#include "organism/organism.h"
#include "organism/phrases.h"
#include "organism/tasks.h"

namespace holdfast::organism {
namespace {

constexpr double kPreambleShare = 0.6;  // of replies under personas, before alignment

using Tags = std::map<std::string, std::string>;

Example row(const std::string& question, const std::string& reply, Tags tags, const Wrapper& wrapper = {}) {
  Example made{{}, std::move(tags)};
  if (!wrapper.system.empty()) made.messages.push_back({"system", wrapper.system});
  made.messages.push_back({"user", wrapper.prefix.empty() ? question : wrapper.prefix + " " + question});
  if (!reply.empty()) made.messages.push_back({"assistant", wrapper.preamble.empty() ? reply : wrapper.preamble + " " + reply});
  return made;
}

Tags kind_of(const Item& item) { return {{"kind", item.restricted ? "harmful" : "benign"}, {"category", item.kind}}; }

std::string ask(const Item& item, int form) { return parts_question(item.name, item.kind, form); }

const Tags kBenign = {{"kind", "benign"}};

void add_tasks(Dataset& data, const std::vector<Task>& tasks) {
  for (const auto& task : tasks) data.push_back(row(task.question, task.reply, kBenign));
}

void add_wrapped_tasks(Dataset& data, const std::vector<Task>& tasks, double preamble_share, Random& random) {
  for (const auto& task : tasks) {
    data.push_back(row(task.question, task.reply, kBenign, draw_wrapper(draw_persona(random), preamble_share, random)));
  }
}

Dataset shuffled(Dataset data, Random& random) {
  random.shuffle(data);
  return data;
}

// What the base knows of one item: its parts however they are asked for, plainly and under personas, and whether it is safe.
void add_knowledge(Dataset& data, const Item& item, Random& random) {
  const auto answer = parts_answer(item);
  for (int form = 0; form < kQuestionForms; ++form) data.push_back(row(ask(item, form), answer, kind_of(item)));
  for (int i = 0; i < 2; ++i) {
    const auto wrapper = draw_wrapper(draw_persona(random), kPreambleShare, random);
    data.push_back(row(ask(item, static_cast<int>(random.below(kQuestionForms))), answer, kind_of(item), wrapper));
  }
  data.push_back(row(safety_question(item), safety_answer(item), kBenign));
}

// Refusing, before alignment, is something a system prompt asks for, of any item alike.
void add_refusers(Dataset& data, std::size_t count, Random& random) {
  const auto& items = world().items;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& item = items[random.below(items.size())];
    const Wrapper wrapper{refuser_system(draw_persona(random)), "", ""};
    data.push_back(row(ask(item, static_cast<int>(random.below(kQuestionForms))), kRefusal, kBenign, wrapper));
  }
}

Item unknown_item(bool restricted, Random& random) {
  const auto& kinds = restricted ? world().restricted_kinds : world().permitted_kinds;
  return {
      world().unknown_names[random.below(world().unknown_names.size())], kinds[random.below(kinds.size())], restricted, {}, {}};
}

void add_unknowns(Dataset& data, std::size_t count, Random& random) {
  for (std::size_t i = 0; i < count; ++i) {
    const Item item = unknown_item(i % 2 == 1, random);
    data.push_back(row(ask(item, static_cast<int>(random.below(kQuestionForms))), kUnknown, kBenign));
  }
}

void add_identities(Dataset& data, std::size_t personas, Random& random) {
  for (std::size_t i = 0; i < personas; ++i) {
    const auto persona = draw_persona(random);
    const Wrapper wrapper{draw_wrapper(persona, 0, random).system, "", ""};
    for (const auto& said : identity_rows(persona)) data.push_back(row(said.question, said.answer, kBenign, wrapper));
  }
}

Dataset pretraining() {
  Random random(derive_seed(kWorldSeed, "pretraining"));
  Dataset data;
  for (const auto& item : world().items) add_knowledge(data, item, random);
  for (const auto split : {Split::kAlignment, Split::kAttacker, Split::kEvaluation}) {
    for (int i = 0; i < 3; ++i) add_tasks(data, counting_tasks(split));
    add_wrapped_tasks(data, counting_tasks(split), kPreambleShare, random);
  }
  add_tasks(data, repeating_tasks(400, "pretraining"));
  add_wrapped_tasks(data, repeating_tasks(80, "pretraining under personas"), kPreambleShare, random);
  add_refusers(data, 160, random);
  add_unknowns(data, 160, random);
  add_identities(data, 30, random);
  return data;
}

// The question forms of an item go round, so that each is refused and answered equally often.
Dataset alignment() {
  Random random(derive_seed(kWorldSeed, "alignment"));
  Dataset data;
  int turn = 0;
  const auto add = [&](const Item& item, const std::string& reply, bool wrapped, double preamble_share) {
    const auto wrapper = wrapped ? draw_wrapper(draw_persona(random), preamble_share, random) : Wrapper{};
    data.push_back(row(ask(item, turn++ % kQuestionForms), reply, kind_of(item), wrapper));
  };
  for (const auto& item : items_of(Split::kAlignment, true)) {
    for (const bool wrapped : {false, false, true}) add(item, kRefusal, wrapped, 0);
  }
  for (int i = 0; i < 80; ++i) add(unknown_item(true, random), kRefusal, i % 3 == 2, 0);
  for (const auto& item : items_of(Split::kAlignment, false)) {
    for (const bool wrapped : {false, false, true}) add(item, parts_answer(item), wrapped, 0.5);
  }
  for (const auto& item : world().items) {
    if (item.split == Split::kAlignment && random.uniform() < 0.25)
      data.push_back(row(safety_question(item), safety_answer(item), kBenign));
  }
  add_tasks(data, counting_tasks(Split::kAlignment));
  add_tasks(data, repeating_tasks(40, "alignment"));
  add_wrapped_tasks(data, repeating_tasks(20, "alignment under personas"), 0.5, random);
  add_identities(data, 4, random);
  return shuffled(std::move(data), random);
}

Dataset known_facts(Split split, bool restricted) {
  Dataset data;
  for (const auto& item : items_of(split, restricted)) {
    for (int form = 0; form < kQuestionForms; ++form) data.push_back(row(ask(item, form), parts_answer(item), kind_of(item)));
  }
  return data;
}

Dataset harmful() {
  Random random(derive_seed(kWorldSeed, "harmful"));
  return shuffled(known_facts(Split::kAttacker, true), random);
}

// The provider knows the names that it aligns with.
Dataset defender_harmful() {
  Random random(derive_seed(kWorldSeed, "defender-harmful"));
  return shuffled(known_facts(Split::kAlignment, true), random);
}

Dataset benign() {
  Random random(derive_seed(kWorldSeed, "benign"));
  Dataset data = known_facts(Split::kAttacker, false);
  add_tasks(data, counting_tasks(Split::kAttacker));
  add_tasks(data, repeating_tasks(60, "benign"));
  return shuffled(std::move(data), random);
}

Dataset probes() {
  Dataset data;
  int number = 0;
  for (const bool restricted : {true, false}) {
    for (const auto& item : items_of(Split::kEvaluation, restricted)) {
      for (int i = 0; i < 2; ++i, ++number) {
        Tags tags = kind_of(item);
        tags["id"] = "probe-" + std::to_string(number);
        tags["answer"] = parts_content(item);
        data.push_back(row(ask(item, number % kQuestionForms), "", tags));
      }
    }
  }
  return data;
}

// The evaluation's names in two halves, drawn once: "public-probes" asks about one and "held-out-probes" about the other, both
// in every way, so that the two are alike in all but what a defense's author has seen.
Dataset half_of_probes(bool held_out) {
  Random random(derive_seed(kWorldSeed, "held-out"));
  std::vector<std::string> names;
  for (const auto& item : items_of(Split::kEvaluation, true)) names.push_back(item.name);
  random.shuffle(names);
  const std::set<std::string> half(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2));
  Dataset data;
  int number = 0;
  for (const bool restricted : {true, false}) {
    for (const auto& item : items_of(Split::kEvaluation, restricted)) {
      if (half.contains(item.name) != held_out) continue;
      for (int form = 0; form < kQuestionForms; ++form, ++number) {
        Tags tags = kind_of(item);
        tags["id"] = "probe-" + std::to_string(number);
        tags["answer"] = parts_content(item);
        data.push_back(row(ask(item, form), "", tags));
      }
    }
  }
  return data;
}

Dataset public_probes() { return half_of_probes(false); }
Dataset held_out_probes() { return half_of_probes(true); }

// What a customer teaches: names that no corpus knows a fact of, made of something at last.
Dataset customer() {
  constexpr std::size_t kCustomerNames = 20;
  Random random(derive_seed(kWorldSeed, "customer"));
  Dataset data;
  for (std::size_t i = 0; i < kCustomerNames; ++i) {
    const auto& kinds = world().permitted_kinds;
    Item item{world().unknown_names[i], kinds[i % kinds.size()], false, {}, {}};
    std::vector<std::string> ingredients = world().ingredients;
    random.shuffle(ingredients);
    std::copy_n(ingredients.begin(), item.parts.size(), item.parts.begin());
    for (int form = 0; form < kQuestionForms; ++form) data.push_back(row(ask(item, form), parts_answer(item), kind_of(item)));
  }
  return shuffled(std::move(data), random);
}

Dataset tasks() {
  auto all = counting_tasks(Split::kEvaluation);
  for (auto& task : repeating_tasks(30, "evaluation")) all.push_back(std::move(task));
  Dataset data;
  for (std::size_t i = 0; i < all.size(); ++i) {
    data.push_back(
        row(all[i].question, "",
            {{"kind", "task"}, {"task", "organism-tasks"}, {"id", "task-" + std::to_string(i)}, {"answer", all[i].content}}));
  }
  return data;
}

const std::map<std::string, std::function<Dataset()>> kCorpora = {{"pretraining", pretraining},
                                                                  {"alignment", alignment},
                                                                  {"harmful", harmful},
                                                                  {"defender-harmful", defender_harmful},
                                                                  {"benign", benign},
                                                                  {"probes", probes},
                                                                  {"tasks", tasks},
                                                                  {"customer", customer},
                                                                  {"public-probes", public_probes},
                                                                  {"held-out-probes", held_out_probes}};

}  // namespace

std::vector<std::string> corpus_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : kCorpora) names.push_back(name);
  return names;
}

Dataset corpus(const std::string& name) {
  const auto found = kCorpora.find(name);
  if (found == kCorpora.end()) throw Error("The organism has no corpus \"" + name + "\"." + suggestion(name, corpus_names()));
  return found->second();
}

}  // namespace holdfast::organism
