// The verbs of the program, one file each. A verb adds its subcommand, and its callback does the work; holdfast::Error thrown
// from it is printed by main and exits with 2.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace holdfast::cli {

void add_run(CLI::App& app);
void add_plan(CLI::App& app);
void add_leaderboard(CLI::App& app);
void add_show(CLI::App& app);
void add_notice(CLI::App& app);
void add_gate(CLI::App& app);
void add_export(CLI::App& app);
void add_submit(CLI::App& app);
void add_verify(CLI::App& app);
void add_list(CLI::App& app);
void add_describe(CLI::App& app);
void add_new(CLI::App& app);
void add_doctor(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_score(CLI::App& app);
void add_generate(CLI::App& app);
void add_finetune(CLI::App& app);
void add_worker(CLI::App& app);
void add_serve(CLI::App& app);
void add_serve_store(CLI::App& app);
void add_watch(CLI::App& app);
/// Hidden: what runs and workers start for the stages.
void add_stage_worker(CLI::App& app);
/// Hidden: what the build asks for the front, which prints the help of verbs that it does not hold.
void add_help_texts(CLI::App& app);

using AddVerb = void (*)(CLI::App&);

/// In the order of --help.
inline constexpr AddVerb kVerbs[] = {add_run,         add_watch,    add_worker,   add_serve_store,  add_serve,     add_plan,
                                     add_leaderboard, add_show,     add_notice,   add_gate,         add_export,    add_submit,
                                     add_verify,      add_list,     add_describe, add_new,          add_doctor,    add_tokenize,
                                     add_score,       add_generate, add_finetune, add_stage_worker, add_help_texts};

/// Those that need no model, and are linked without torch: reading results, and naming what there is.
inline constexpr AddVerb kFrontVerbs[] = {add_leaderboard, add_show, add_notice, add_gate,
                                          add_list,        add_new,  add_watch,  add_worker};

}  // namespace holdfast::cli
