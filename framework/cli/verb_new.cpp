// Writes the folder of a new plugin: a template of share/holdfast/template under the new plugin's name.
#include <algorithm>
#include <cctype>
#include <iostream>
#include <memory>
#include <regex>

#include "base/suggest.h"
#include "cli/plugin_path.h"
#include "cli/verbs.h"
#include "judge/builtin_judges.h"
#include "plugin/plugin_kind.h"

namespace holdfast::cli {
namespace {

using Words = std::vector<std::pair<std::string, std::string>>;  // what stands in a template, and what is written in its place

struct Template {
  const char* kind;
  const char* stage;  // empty where the kind has none
  const char* folder;
  Words words = {};
};

const std::vector<Template>& templates() {
  static const std::vector<Template> all = {{"defense", "screen", "screen"},
                                            {"defense", "tune", "training"},
                                            {"defense", "align", "training", {{"TuneStage", "AlignStage"}}},
                                            {"defense", "repair", "repair"},
                                            {"defense", "serve", "serve"},
                                            {"attack", "", "attack"},
                                            {"judge", "", "judge"}};
  return all;
}

struct Wanted {
  std::string kind, name, stage;
};

const Template& template_for(const Wanted& wanted) {
  std::vector<std::string> kinds, stages;
  for (const auto& each : templates()) {
    if (std::count(kinds.begin(), kinds.end(), each.kind) == 0) kinds.push_back(each.kind);
    if (each.kind == wanted.kind && *each.stage != '\0') stages.push_back(each.stage);
  }
  if (std::count(kinds.begin(), kinds.end(), wanted.kind) == 0) {
    throw Error("there is no kind of plugin \"" + wanted.kind + "\"." + suggestion(wanted.kind, kinds));
  }
  if (stages.empty() && !wanted.stage.empty()) {
    throw Error("--stage " + wanted.stage + " is given, and a new " + wanted.kind + " has no stages: leave it out");
  }
  const std::string stage = stages.empty() || !wanted.stage.empty() ? wanted.stage : stages.front();
  for (const auto& each : templates()) {
    if (each.kind == wanted.kind && each.stage == stage) return each;
  }
  throw Error("there is no template for the stage \"" + stage + "\"." + suggestion(stage, stages));
}

// What CMake, a scenario or the build would take for something else.
const std::vector<std::string> kReserved = {"all", "clean", "help", "holdfast", "install", "none", "package", "test", "tests"};

void check_name(const std::string& name, const PluginHost& host) {
  static const std::regex kebab_case("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  if (!std::regex_match(name, kebab_case)) {
    throw Error("\"" + name + "\" is no name of a plugin: expected lower-case words joined by hyphens, such as phrase-filter");
  }
  if (std::count(kReserved.begin(), kReserved.end(), name) > 0) {
    throw Error("the name \"" + name + "\" means something else to CMake or to scenarios: choose another");
  }
  for (const auto& plugin : host.loaded()) {
    if (plugin.name != name) continue;
    throw Error("the name \"" + name + "\" is taken by the " + to_string(plugin.kind) + " in " + plugin.path.string() +
                ": choose another");
  }
  for (const auto& judge : builtin_judges()) {
    if (judge.name == name) throw Error("the name \"" + name + "\" is taken by a built-in judge: choose another");
  }
  if (fs::exists(name)) throw Error("there is a file or folder " + name + " already: choose another name, or another folder");
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string as_class(const std::string& name) {
  std::string text;
  bool begins = true;
  for (const char c : name) {
    if (c != '-') text += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = c == '-';
  }
  return text;
}

// One pass: what was put in is not looked at again.
std::string replaced(const std::string& text, const Words& words) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = std::find_if(words.begin(), words.end(),
                                    [&](const auto& pair) { return text.compare(at, pair.first.size(), pair.first) == 0; });
    result += found == words.end() ? std::string(1, text[at]) : found->second;
    at += found == words.end() ? 1 : found->first.size();
  }
  return result;
}

// The template's own name is that of its test: phrase_filter_test.cpp.
std::string name_of_template(const fs::path& folder) {
  static const std::string ending = "_test.cpp";
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(ending)) continue;
    std::string name = file.substr(0, file.size() - ending.size());
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
  }
  throw Error("there is no template in " + folder.string() + ": install holdfast again, or build its target holdfast");
}

std::vector<std::string> write_folder(const Template& chosen, const std::string& name) {
  const fs::path from = share_folder() / "template" / chosen.folder;
  const std::string old = name_of_template(from);
  Words words = chosen.words;
  words.emplace_back(old, name);
  words.emplace_back(with_underscores(old), with_underscores(name));
  words.emplace_back(as_class(old), as_class(name));
  std::error_code failed;
  if (!fs::create_directory(name, failed)) throw Error("the folder " + name + " cannot be made: " + failed.message());
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(from)) {
    files.push_back(replaced(entry.path().filename().string(), words));
    write_file(fs::path(name) / files.back(), replaced(read_file(entry.path()), words));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void print_next_steps(const Wanted& wanted) {
  const fs::path root = program_folder().parent_path();
  const std::string& name = wanted.name;
  const bool is_installed = fs::exists(root / "lib" / "cmake" / "holdfast" / "holdfastConfig.cmake");
  if (!is_installed) {
    std::cout << "\nInside the checkout: move it to plugins/" << wanted.kind << "s/, and tools/build builds it with the rest.\n"
              << "As a project of its own, first:\n  cmake --install " << root.string() << " --prefix PREFIX\n";
  }
  const std::string prefix = is_installed ? root.string() : "PREFIX";
  std::cout << "\nBuild, test, run:\n"
            << "  cmake -S " << name << " -B " << name << "/build -DCMAKE_PREFIX_PATH=" << prefix
            << " -DCMAKE_BUILD_TYPE=Release\n"
            << "  cmake --build " << name << "/build\n"
            << "  ctest --test-dir " << name << "/build\n"
            << "  " << prefix << "/bin/holdfast run " << name << "/scenario.toml --plugin-path " << name << "/build/plugins\n";
}

void make(const Wanted& wanted, const PluginHost& host) {
  const Template& chosen = template_for(wanted);
  check_name(wanted.name, host);
  std::cout << wanted.name << "/ is a new " << wanted.kind << ":";
  for (const auto& file : write_folder(chosen, wanted.name)) std::cout << " " << file;
  std::cout << "\n";
  print_next_steps(wanted);
}

}  // namespace

void add_new(CLI::App& app) {
  auto* verb = app.add_subcommand("new", "Write the folder of a new attack, defense or judge");
  const auto wanted = std::make_shared<Wanted>();
  verb->add_option("kind", wanted->kind, "attack, defense or judge")->required();
  verb->add_option("name", wanted->name, "Lower-case words joined by hyphens; the folder's name too")->required();
  verb->add_option("--stage", wanted->stage, "Of a defense: screen (default), tune, align, repair or serve");
  verb->callback([wanted, &app] { make(*wanted, load_plugins(app)); });
}

}  // namespace holdfast::cli
