#include "scenario/scenario.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/digest.h"
#include "base/suggest.h"
#include "judge/builtin_judges.h"
#include "learn/training.h"
#include "learn/training_settings.h"
#include "scenario/scenario_table.h"

namespace holdfast {
namespace {

const std::string kOrganismTasks = "builtin:organism/tasks";

// Reads one scenario. Members are what several sections need at once.
class Reader {
 public:
  Reader(const fs::path& path, const toml::table& root, PluginHost& plugins)
      : root_(root, "the scenario", mistakes_), mistakes_(path.string()), plugins_(plugins) {
    scenario_.path = path;
    scenario_.folder = fs::absolute(path).parent_path().lexically_normal();
  }

  Scenario read() {
    const auto models = root_.tables("model");
    organism_only_ = std::all_of(models.begin(), models.end(), [](const toml::table* model) {
      return (*model)["source"].value_or(std::string()) == "organism";
    });
    read_scenario();
    read_gated();
    read_training();
    read_corpora();
    for (const auto* model : models) read_model(*model);
    if (models.empty()) mistakes_.add(root_.place(), "the scenario names no model, expected at least one [[model]]");
    read_attacks();
    read_defenses();
    read_evaluate();
    root_.finish();
    check_dtypes();
    mistakes_.throw_if_any();
    for (auto& attack : scenario_.attacks) wrap_probes(attack);
    return std::move(scenario_);
  }

 private:
  void read_scenario();
  void read_gated();
  void read_training();
  TrainingOptions training(ScenarioTable& table, const TrainingOptions& defaults);
  void read_corpora();
  void read_model(const toml::table& toml);
  // The absolute path of a checkpoint that `key` of the table names; "organism" stays.
  std::string model_at(const std::string& text, ScenarioTable& table, const std::string& key);
  void check_dtypes();
  void read_attacks();
  void read_defenses();
  PluginUse defense_plugin(const toml::table& toml, const std::string& title, bool named);
  void check_stack(const DefenseSpec& defense, ScenarioTable& table);
  std::optional<PluginUse> find_plugin(ScenarioTable& table, PluginKind kind);
  // The bits of its stages that ask for the aligned model; none when it could not be made.
  std::optional<unsigned> construct_plugin(ScenarioTable& table, PluginKind kind, PluginUse& use);
  // What the host constructs it from once more; there, gated files may be missing.
  Json settings_for_host(const PluginUse& use) const;
  bool wraps(PluginUse& use);
  void wrap_probes(AttackSpec& attack);
  void read_evaluate();
  void read_judges(ScenarioTable& table);
  std::optional<PluginUse> find_judge(const std::string& name, const toml::source_region& place);
  void construct_judge(ScenarioTable& table, PluginUse& use);
  void add_standing_judges();
  void read_probes(ScenarioTable& table);
  void unique_name(ScenarioTable& table, std::set<std::string>& names, const std::string& name, const std::string& what);
  // Hands the settings to `make` and notes its mistakes.
  template <typename Make>
  void construct(ScenarioTable& table, const std::string& place, PluginUse& use, const Make& make);
  std::optional<DataSource> data(ScenarioTable& table, const std::string& key, const std::string& text,
                                 Dataset* rows = nullptr);

  ScenarioTable root_;
  Mistakes mistakes_;
  PluginHost& plugins_;
  Scenario scenario_;
  bool organism_only_ = false;
  std::set<fs::path> missing_;                                            // gated, and not there
  std::vector<std::pair<toml::source_region, std::string>> untrainable_;  // dtypes, and why
  std::optional<DataSource> alignment_;
  std::map<std::string, DataSource> corpora_;
};

void Reader::read_scenario() {
  static const toml::table kEmpty;
  const auto* section = root_.table("scenario");
  ScenarioTable table(section == nullptr ? kEmpty : *section, "[scenario]", mistakes_);
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  scenario_.name = table.text("name", scenario_.path.stem().string());
  if (scenario_.name.empty() || scenario_.name.find('/') != std::string::npos || scenario_.name.front() == '.') {
    table.mistake("name", "\"name\" in [scenario] is \"" + scenario_.name + "\", expected the name of a folder");
  }
  scenario_.seeds = table.integers("seeds", {1}, 1);
  const std::set<std::int64_t> distinct(scenario_.seeds.begin(), scenario_.seeds.end());
  if (distinct.size() != scenario_.seeds.size()) table.mistake("seeds", "\"seeds\" in [scenario] names a seed twice");
  scenario_.workers = table.integer("workers", organism_only_ ? cores : 1, 1, 256);
  scenario_.threads = table.integer("threads", 0, 1, 1024);
  scenario_.stage_timeout = table.number("stage_timeout", 7200, 0.01);
  plugins_.limit(scenario_.stage_timeout);
  scenario_.memory_limit_gib = table.number("memory_limit_gib", 0, 0);
  scenario_.disk_budget_gib = table.number("disk_budget_gib", 0, 0);
  table.finish();
}

void Reader::read_gated() {
  for (const auto* toml : root_.tables("gated")) {
    ScenarioTable table(*toml, "[[gated]]", mistakes_);
    const std::string file = table.required_text("file");
    const std::string what = table.required_text("what");
    const std::string source = table.required_text("source");
    table.finish();
    const fs::path path = resolve_path(file, scenario_.folder);
    if (file.empty() || fs::exists(path)) continue;
    missing_.insert(path);
    scenario_.missing.push_back(mistakes_.place(table.place("file")) + ": the gated file " + file + " is missing (" + what +
                                "): get it from " + source + " and put it at " + path.string());
  }
}

TrainingOptions Reader::training(ScenarioTable& table, const TrainingOptions& defaults) {
  TrainingOptions options = defaults;
  options.method = table.choice("method", options.method, {"full", "lora"});
  options.lr = table.number("lr", options.lr, 0);
  options.epochs = table.integer("epochs", options.epochs, 1);
  options.batch_size = table.integer("batch_size", options.batch_size, 1);
  options.micro_batch_size = table.integer("micro_batch_size", options.micro_batch_size, 0);
  options.max_length = table.integer("max_length", options.max_length, 1);
  options.schedule = table.choice("schedule", options.schedule, {"constant", "linear", "cosine", "step"});
  options.step_gamma = table.number("step_gamma", options.step_gamma, 0, 1);
  options.warmup_steps = table.integer("warmup_steps", options.warmup_steps, 0);
  options.weight_decay = table.number("weight_decay", options.weight_decay, 0);
  options.clip_norm = table.number("clip_norm", options.clip_norm, 0);
  options.shuffle = table.flag("shuffle", options.shuffle);
  options.lora_rank = table.integer("lora_rank", options.lora_rank, 1);
  options.lora_alpha = table.number("lora_alpha", options.lora_alpha, 0);
  options.lora_targets = table.texts("lora_targets", options.lora_targets);
  return options;
}

void Reader::read_training() {
  if (const auto* section = root_.table("align")) {
    ScenarioTable table(*section, "[align]", mistakes_);
    scenario_.aligns = true;
    const std::string text = table.text("data", organism_only_ ? "builtin:organism/alignment" : "");
    if (text.empty()) {
      table.mistake("data", "[align] has no \"data\", expected the rows to align with (a file, or builtin:organism/alignment)");
    } else {
      alignment_ = data(table, "data", text);
    }
    scenario_.align = training(table, {});
    table.finish();
  }
  if (const auto* section = root_.table("finetune")) {
    ScenarioTable table(*section, "[finetune]", mistakes_);
    scenario_.finetune = training(table, {});
    table.finish();
  }
}

std::optional<DataSource> Reader::data(ScenarioTable& table, const std::string& key, const std::string& text, Dataset* rows) {
  if (const fs::path path = resolve_path(text, scenario_.folder); missing_.contains(path)) {
    // One question stands for those of the file, so that what templates make of it tells stages apart.
    if (rows != nullptr) *rows = {{{{"user", path.string()}}, {}}};
    return DataSource{path.string(), missing_digest(path)};
  }
  try {
    return resolve_data(text, scenario_.folder, rows);
  } catch (const Error& error) {
    table.mistake(key, error.what());
    return std::nullopt;
  }
}

void Reader::read_corpora() {
  const auto* section = root_.table("corpora");
  if (section == nullptr) return;
  ScenarioTable table(*section, "[corpora]", mistakes_);
  for (const auto& [key, value] : *section) {
    const std::string name(key.str());
    const std::string text = table.text(name, "");
    if (text.empty()) continue;
    if (const auto source = data(table, name, text)) corpora_[name] = *source;
  }
}

std::string Reader::model_at(const std::string& text, ScenarioTable& table, const std::string& key) {
  if (text.empty() || text == "organism") return text;
  const fs::path path = resolve_path(text, scenario_.folder);
  if (missing_.contains(path)) return path.string();
  if (!fs::exists(path)) {
    table.mistake(key, "there is no model at \"" + text + "\" (looked for " + path.string() +
                           "); expected \"organism\", a GGUF file or a Hugging Face folder");
  } else if (fs::is_directory(path) && !fs::exists(path / "config.json") && !fs::exists(path / "adapter_config.json")) {
    table.mistake(key, "the folder " + path.string() + " is no model: it has neither config.json nor adapter_config.json");
  }
  return path.string();
}

void Reader::read_model(const toml::table& toml) {
  ScenarioTable table(toml, "[[model]]", mistakes_);
  ModelSpec model;
  model.name = table.required_text("name");
  model.source = model_at(table.required_text("source"), table, "source");
  model.missing = missing_.contains(model.source);
  model.device = table.text("device", "cpu");
  if (model.device != "cpu" && model.device != "auto" && !model.device.starts_with("cuda")) {
    table.mistake("device", "\"" + model.device + "\" is no device, expected cpu, cuda, cuda:N or auto");
  }
  model.dtype = table.choice("dtype", "default", {"default", "float32", "bfloat16", "float16"});
  if (const auto why = why_untrainable(model.dtype); !why.empty()) untrainable_.emplace_back(table.place("dtype"), why);
  model.alignment = alignment_;
  model.corpora = corpora_;
  if (model.source == "organism") {
    if (!model.alignment) model.alignment = data(table, "source", "builtin:organism/alignment");
    for (const char* name : {"harmful", "benign"}) {
      if (model.corpora.contains(name)) continue;
      if (const auto source = data(table, "source", std::string("builtin:organism/") + name)) model.corpora[name] = *source;
    }
  } else if (!model.alignment && model.corpora.contains("alignment")) {
    model.alignment = model.corpora.at("alignment");  // a model that comes aligned, with rows for the stages that need some
  }
  for (const auto& other : scenario_.models) {
    if (other.name == model.name) table.mistake("name", "two models are named \"" + model.name + "\"");
  }
  table.finish();
  scenario_.models.push_back(std::move(model));
}

// A library whose code died before it said anything is known by its file's name. What its defense would do is unknown, so every
// reply would have gone through it.
std::optional<PluginUse> Reader::find_plugin(ScenarioTable& table, PluginKind kind) {
  const std::string name = table.required_text("plugin");
  if (name.empty()) return std::nullopt;
  PluginUse use;
  if (const auto* plugin = plugins_.find(kind, name)) {
    use.name = name;
    use.revision = plugin->revision;
    use.stages = plugin->stages;
    use.library = plugin->path;
    use.library_digest = plugin->digest;
    return use;
  }
  const std::string what = kind == PluginKind::kAttack ? "attack" : "defense";
  for (const auto& refused : plugins_.refused()) {
    if (refused.path.filename() != name + ".plugin.so") continue;
    if (refused.is_faulty) {
      use.name = name;
      use.stages = kind == PluginKind::kDefense ? kStageServe : 0;
      use.fault = refused.reason;
      return use;
    }
    table.mistake("plugin", "the " + what + " plugin \"" + name + "\" was refused: " + refused.reason);
    return std::nullopt;
  }
  table.mistake("plugin", "there is no " + what + " plugin \"" + name + "\"." + suggestion(name, plugins_.names(kind)));
  return std::nullopt;
}

template <typename Make>
void Reader::construct(ScenarioTable& table, const std::string& place, PluginUse& use, const Make& make) {
  auto state = std::make_shared<Params::State>(table.rest(scenario_.folder));
  state->missing = missing_;
  use.values = use.resolved = state->values;
  if (!use.fault.empty()) return;
  try {
    make(state);
    note_unread(*state, use.name);
  } catch (const PluginFault& fault) {
    use.fault = fault.what();
    return;
  } catch (const std::exception& error) {
    if (!state->lacks_file) table.mistake(place, "\"" + use.name + "\" cannot be made: " + error.what());
  }
  for (const auto& mistake : state->mistakes) mistakes_.add(mistake, table.place(place));
  use.resolved = state->resolved;
  use.files = state->files;
  for (const auto& setting : state->declared) {
    if (setting.type == "file") use.file_settings.insert(setting.name);
  }
}

std::optional<unsigned> Reader::construct_plugin(ScenarioTable& table, PluginKind kind, PluginUse& use) {
  std::optional<unsigned> uses_aligned;
  construct(table, "plugin", use, [&](const std::shared_ptr<Params::State>& state) {
    uses_aligned = plugins_.make(*plugins_.find(kind, use.name), *state).aligned_stages;
  });
  return uses_aligned;
}

Json Reader::settings_for_host(const PluginUse& use) const {
  Json settings = settings_of(use);
  for (const auto& path : missing_) settings["missing"].push_back(path.string());
  return settings;
}

// One whose template dies has a template.
bool Reader::wraps(PluginUse& use) {
  const Conversation plain = {{"user", "a question"}};
  try {
    return plugins_.wrap(settings_for_host(use), scenario_.folder, {plain}).front() != plain;
  } catch (const PluginFault& fault) {
    use.fault = fault.what();
    return true;
  }
}

// Once all is read: what the models are asked.
void Reader::wrap_probes(AttackSpec& attack) {
  if (!attack.wraps || !attack.plugin->fault.empty()) return;
  try {
    for (const auto& model : scenario_.models) {
      const auto prompts = conversations_of(model.probe_rows.asked);
      attack.asked.push_back(plugins_.wrap(settings_for_host(*attack.plugin), scenario_.folder, prompts));
    }
  } catch (const PluginFault& fault) {
    attack.plugin->fault = fault.what();
    attack.asked.clear();
  }
}

void Reader::unique_name(ScenarioTable& table, std::set<std::string>& names, const std::string& name, const std::string& what) {
  const std::string key = table.has("name") ? "name" : "plugin";
  if (name == "none") {
    table.mistake(key, "\"none\" is the control " + what + " that every matrix has: choose another name");
  } else if (name.find('@') != std::string::npos) {
    table.mistake(key, "\"" + name + "\" has an @, which marks wrapped controls: choose another name");
  } else if (!names.insert(name).second) {
    table.mistake(key, "two " + what + "s are named \"" + name + "\"");
  }
}

// A model that is only asked may have any dtype.
void Reader::check_dtypes() {
  const auto repairs = [](const DefenseSpec& defense) {
    return std::any_of(defense.stack.begin(), defense.stack.end(), [](const auto& use) { return use.has(kStageRepair); });
  };
  const bool trains = scenario_.aligns ||
                      std::any_of(scenario_.attacks.begin(), scenario_.attacks.end(),
                                  [](const auto& attack) { return attack.plugin.has_value(); }) ||
                      std::any_of(scenario_.defenses.begin(), scenario_.defenses.end(), repairs);
  if (!trains) return;
  for (const auto& [place, why] : untrainable_) mistakes_.add(place, why);
}

void Reader::read_attacks() {
  AttackSpec none;
  none.name = "none";
  none.finetune = scenario_.finetune;
  scenario_.attacks.push_back(none);
  std::set<std::string> names;
  for (const auto* toml : root_.tables("attack")) {
    ScenarioTable table(*toml, "[[attack]]", mistakes_);
    AttackSpec attack;
    attack.plugin = find_plugin(table, PluginKind::kAttack);
    attack.name = table.text("name", attack.plugin ? attack.plugin->name : "");
    attack.finetune = scenario_.finetune;
    if (const auto* overrides = table.table("finetune")) {
      ScenarioTable options(*overrides, "finetune of this attack", mistakes_);
      attack.finetune = training(options, scenario_.finetune);
      options.finish();
    }
    if (!attack.name.empty()) unique_name(table, names, attack.name, "attack");
    if (!attack.plugin) continue;
    const bool made = construct_plugin(table, PluginKind::kAttack, *attack.plugin).has_value();
    attack.wraps = made && mistakes_.empty() && wraps(*attack.plugin);
    scenario_.attacks.push_back(std::move(attack));
  }
}

PluginUse Reader::defense_plugin(const toml::table& toml, const std::string& title, bool named) {
  ScenarioTable table(toml, title, mistakes_);
  if (named) table.text("name", "");
  auto use = find_plugin(table, PluginKind::kDefense);
  if (!use) return {};
  const unsigned uses_aligned = construct_plugin(table, PluginKind::kDefense, *use).value_or(0);
  use->screen_uses_aligned = (uses_aligned & kStageScreen) != 0;
  use->repair_uses_aligned = (uses_aligned & kStageRepair) != 0;
  use->serve_uses_aligned = (uses_aligned & kStageServe) != 0;
  return *use;
}

void Reader::check_stack(const DefenseSpec& defense, ScenarioTable& table) {
  const std::string key = table.has("stack") ? "stack" : "plugin";
  const auto users = [&](unsigned stage) {
    std::vector<std::string> names;
    for (const auto& use : defense.stack) {
      if (use.has(stage)) names.push_back("\"" + use.name + "\"");
    }
    return names;
  };
  const auto align = users(kStageAlign);
  const auto tune = users(kStageTune);
  if (align.size() > 1) table.mistake(key, align[0] + " and " + align[1] + " both replace how the model is aligned: keep one");
  if (tune.size() > 1) table.mistake(key, tune[0] + " and " + tune[1] + " both replace the customer's training step: keep one");
  if (!align.empty() && !scenario_.aligns) {
    table.mistake(key, align[0] + " replaces how the model is aligned, and the scenario has no [align] section: add one");
  }
}

void Reader::read_defenses() {
  scenario_.defenses.push_back({"none", {}});
  std::set<std::string> names;
  for (const auto* toml : root_.tables("defense")) {
    ScenarioTable table(*toml, "[[defense]]", mistakes_);
    DefenseSpec defense;
    if (table.has("stack")) {
      defense.name = table.required_text("name");
      if (table.has("plugin")) table.mistake("plugin", "[[defense]] has both \"plugin\" and \"stack\", expected one of them");
      table.text("plugin", "");
      for (const auto* item : table.tables("stack")) {
        defense.stack.push_back(defense_plugin(*item, "\"stack\"", false));
      }
      const auto* stack = toml->get_as<toml::array>("stack");
      if (stack != nullptr && stack->empty())
        table.mistake("stack", "\"stack\" is empty, expected at least one {plugin = ...}");
      table.finish();
    } else {
      defense.stack.push_back(defense_plugin(*toml, "[[defense]]", true));
      defense.name = table.text("name", defense.stack.front().name);
    }
    if (!defense.name.empty()) unique_name(table, names, defense.name, "defense");
    check_stack(defense, table);
    scenario_.defenses.push_back(std::move(defense));
  }
}

PluginUse builtin_use(const JudgeInfo& judge) {
  PluginUse use;
  use.name = judge.name;
  use.revision = judge.revision;
  return use;
}

// A judge of the matrix itself, or the plugin of that name; none, and a mistake at `place`, when there is neither.
std::optional<PluginUse> Reader::find_judge(const std::string& name, const toml::source_region& place) {
  const JudgeInfo* builtin = find_builtin_judge(name);
  const PluginInfo* plugin = plugins_.find(PluginKind::kJudge, name);
  if (builtin != nullptr && plugin != nullptr) {
    mistakes_.add(place, "the judge \"" + name + "\" is a part of holdfast, and the plugin " + plugin->path.string() +
                             " has the same name: give it another one");
    return std::nullopt;
  }
  if (builtin != nullptr) return builtin_use(*builtin);
  PluginUse use;
  use.name = name;
  if (plugin != nullptr) {
    use.revision = plugin->revision;
    use.library = plugin->path;
    use.library_digest = plugin->digest;
    return use;
  }
  for (const auto& refused : plugins_.refused()) {
    if (refused.path.filename() != name + ".plugin.so") continue;
    use.fault = refused.reason;
    if (refused.is_faulty) return use;
    mistakes_.add(place, "the judge plugin \"" + name + "\" was refused: " + refused.reason);
    return std::nullopt;
  }
  std::vector<std::string> known = plugins_.names(PluginKind::kJudge);
  for (const auto& info : builtin_judges()) known.push_back(info.name);
  mistakes_.add(place, "there is no judge \"" + name + "\"." + suggestion(name, known));
  return std::nullopt;
}

void Reader::construct_judge(ScenarioTable& table, PluginUse& use) {
  construct(table, "name", use, [&](const std::shared_ptr<Params::State>& state) {
    if (!use.library.empty()) {
      use.needs = plugins_.make(*plugins_.find(PluginKind::kJudge, use.name), *state).judge;
    } else {
      Params params(state);
      use.needs = make_builtin_judge(use.name, params)->needs();
    }
  });
  if (!use.needs.model.empty()) use.needs.model = model_at(use.needs.model, table, "model");
}

void Reader::read_judges(ScenarioTable& table) {
  static const toml::array kDefault{"organism", "keyword", "coherence"};
  static const toml::array kDefaultOther{"keyword", "coherence"};
  std::vector<const toml::node*> items = table.items("judges");
  if (!table.has("judges")) {
    for (const auto& item : organism_only_ ? kDefault : kDefaultOther) items.push_back(&item);
  }
  for (const auto* item : items) {
    toml::table named;
    if (const auto* name = item->as_string()) named.insert("name", name->get());
    const toml::table* toml = item->is_string() ? &named : item->as_table();
    if (toml == nullptr) {
      mistakes_.add(item->source(), "a judge is " + described(*item) + ", expected its name or {name = ..., settings}");
      continue;
    }
    ScenarioTable judge(*toml, "a judge", mistakes_);
    const std::string name = judge.required_text("name");
    std::optional<PluginUse> found = find_judge(name, item->source());
    if (!found) continue;
    PluginUse& use = *found;
    construct_judge(judge, use);
    for (const auto& other : scenario_.judges) {
      if (other.name != use.name) continue;
      const bool same_id = use.resolved.contains("id") && other.resolved.value("id", Json()) == use.resolved["id"];
      if (other.resolved == use.resolved) {
        mistakes_.add(item->source(), "the judge \"" + use.name + "\" is named twice with the same settings");
      } else if (same_id) {
        mistakes_.add(item->source(), "the judge \"" + use.name + "\" is named twice and both would give the same metrics: " +
                                          "give one of them an id (id = \"b\")");
      }
    }
    scenario_.judges.push_back(std::move(use));
  }
}

// Judges that no matrix goes without: coherence, and the one that scores the replies to utility tasks where there are some.
void Reader::add_standing_judges() {
  std::vector<std::string> needed = {"coherence"};
  for (const auto& model : scenario_.models) {
    const auto& asked = model.probe_rows.asked;
    const bool tasks = std::any_of(asked.begin(), asked.end(), [](const Example& row) { return row.tags.contains("metric"); });
    if (tasks) needed.emplace_back("tasks");
  }
  for (const auto& name : needed) {
    const auto is = [&](const PluginUse& use) { return use.name == name; };
    if (std::any_of(scenario_.judges.begin(), scenario_.judges.end(), is)) continue;
    static const toml::table kEmpty;
    ScenarioTable table(kEmpty, "a judge", mistakes_);
    PluginUse use = builtin_use(*find_builtin_judge(name));
    construct_judge(table, use);
    scenario_.judges.push_back(std::move(use));
  }
}

void Reader::read_probes(ScenarioTable& table) {
  const auto probes = table.texts("probes", {"builtin:organism/probes"});
  const auto utility =
      table.texts("utility", organism_only_ ? std::vector<std::string>{"organism-tasks"} : std::vector<std::string>{});
  for (auto& model : scenario_.models) {
    if (!table.has("probes") && model.source != "organism") {
      table.mistake("probes", "[evaluate] has no \"probes\" for model \"" + model.name + "\", expected a list of files");
      continue;
    }
    Dataset rows;
    const auto add = [&](const std::string& key, const std::string& text) {
      Dataset more;
      auto source = data(table, key, text, &more);
      if (!source) return;
      if (key == "utility") source->tasks = text == kOrganismTasks ? "organism-tasks" : fs::path(text).stem().string();
      mark_tasks(more, *source);
      model.probes.push_back(*source);
      rows.insert(rows.end(), more.begin(), more.end());
    };
    for (const auto& text : probes) add("probes", text);
    for (const auto& text : utility) add("utility", text == "organism-tasks" ? kOrganismTasks : text);
    try {
      model.probe_rows = probe_rows(rows, scenario_.limit);
    } catch (const Error& error) {
      table.mistake("probes", error.what());
    }
  }
}

void Reader::read_evaluate() {
  static const toml::table kEmpty;
  const auto* section = root_.table("evaluate");
  ScenarioTable table(section == nullptr ? kEmpty : *section, "[evaluate]", mistakes_);
  scenario_.generate.max_new_tokens = table.integer("max_new_tokens", scenario_.generate.max_new_tokens, 1);
  scenario_.generate.batch_size = table.integer("batch_size", scenario_.generate.batch_size, 1);
  scenario_.generate.temperature = table.number("temperature", 0, 0);
  scenario_.generate.top_p = table.number("top_p", 1, 0, 1);
  scenario_.limit = table.integer("limit", 0, 0);
  read_judges(table);
  read_probes(table);
  add_standing_judges();
  table.finish();
}

Json to_json(const PluginUse& use) { return {{"name", use.name}, {"revision", use.revision}, {"settings", use.resolved}}; }

Json without_files(const PluginUse& use) {
  Json json = to_json(use);
  for (const auto& file : use.file_settings) json["settings"].erase(file);
  return json;
}

// A wrapped control keeps only the attack's template.
Json configuration(const Scenario& scenario, const ModelSpec& model, const AttackSpec& attack, const DefenseSpec& defense,
                   bool control) {
  const bool tunes = attack.plugin && !control;
  Json json = {{"dtype", model.dtype},
               {"align", scenario.aligns ? to_json(scenario.align) : Json()},
               {"attack", tunes ? without_files(*attack.plugin) : Json()},
               {"finetune", tunes ? to_json(attack.finetune) : Json()},
               {"template", attack.wraps ? without_files(*attack.plugin) : Json()},
               {"defense", Json::array()},
               {"generate", to_json(scenario.generate)},
               {"limit", scenario.limit}};
  for (const auto& use : defense.stack) json["defense"].push_back(without_files(use));
  return json;
}

}  // namespace

Json settings_of(const PluginUse& use) {
  Json settings = {{"name", use.name}, {"values", use.values}, {"resolved", use.resolved}, {"files", Json::array()}};
  for (const auto& [name, path] : use.files) {
    settings["files"].push_back({{"location", path.string()}, {"digest", use.resolved.at(name)}});
  }
  if (!use.library.empty()) settings["library"] = {{"location", use.library.string()}, {"digest", use.library_digest}};
  return settings;
}

std::vector<std::string> faults(const Scenario& scenario) {
  std::vector<std::string> sentences;
  const auto add = [&](const std::string& what, const std::string& name, const PluginUse& use) {
    if (!use.fault.empty()) sentences.push_back("the cells that need the " + what + " \"" + name + "\" fail: " + use.fault);
  };
  for (const auto& attack : scenario.attacks) {
    if (attack.plugin) add("attack", attack.name, *attack.plugin);
  }
  for (const auto& defense : scenario.defenses) {
    for (const auto& use : defense.stack) add("defense", defense.name, use);
  }
  for (const auto& judge : scenario.judges) add("judge", judge.name, judge);
  return sentences;
}

Scenario load_scenario(const fs::path& path, PluginHost& plugins) {
  const std::string text = read_file(path);
  toml::table root;
  try {
    root = toml::parse(text, path.string());
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    throw Error(path.string() + ":" + std::to_string(where.line) + ":" + std::to_string(where.column) + ": " +
                std::string(error.description()));
  }
  return Reader(path, root, plugins).read();
}

Json to_json(const Scenario& scenario) {
  Json json = {{"name", scenario.name},
               {"seeds", scenario.seeds},
               {"workers", scenario.workers},
               {"threads", scenario.threads},
               {"stage_timeout", scenario.stage_timeout},
               {"memory_limit_gib", scenario.memory_limit_gib},
               {"disk_budget_gib", scenario.disk_budget_gib},
               {"aligns", scenario.aligns},
               {"align", to_json(scenario.align)},
               {"finetune", to_json(scenario.finetune)},
               {"generate", to_json(scenario.generate)},
               {"limit", scenario.limit}};
  for (const auto& model : scenario.models) {
    Json item = {{"name", model.name}, {"source", model.source}, {"device", model.device}, {"dtype", model.dtype}};
    if (model.alignment) item["alignment"] = to_json(*model.alignment);
    for (const auto& [name, source] : model.corpora) item["corpora"][name] = to_json(source);
    for (const auto& source : model.probes) item["probes"].push_back(to_json(source));
    json["models"].push_back(std::move(item));
  }
  for (const auto& attack : scenario.attacks) {
    Json item = {{"name", attack.name}, {"finetune", to_json(attack.finetune)}};
    if (attack.plugin) item["plugin"] = to_json(*attack.plugin);
    json["attacks"].push_back(std::move(item));
  }
  for (const auto& defense : scenario.defenses) {
    Json stack = Json::array();
    for (const auto& use : defense.stack) stack.push_back(to_json(use));
    json["defenses"].push_back({{"name", defense.name}, {"stack", stack}});
  }
  for (const auto& judge : scenario.judges) json["judges"].push_back(to_json(judge));
  return json;
}

Json configurations(const Scenario& scenario) {
  Json list = Json::array();
  for (const auto& model : scenario.models) {
    for (const auto& attack : scenario.attacks) {
      for (const bool control : {false, true}) {
        if (control && !attack.wraps) continue;
        for (const auto& defense : scenario.defenses) {
          list.push_back({{"model", model.name},
                          {"attack", (control ? "none@" : "") + attack.name},
                          {"defense", defense.name},
                          {"digest", sha256(canonical(configuration(scenario, model, attack, defense, control)))}});
        }
      }
    }
  }
  return list;
}

}  // namespace holdfast
