// The command line, with the verbs that a program has.
#pragma once

#include <memory>
#include <span>

#include "cli/verbs.h"

namespace holdfast::cli {

/// Options and help of a program with these verbs, in their order.
std::unique_ptr<CLI::App> command_line(std::span<const AddVerb> verbs);

/// Does what the command line says, and gives the exit status: what is wrong is one sentence on standard error.
int run_program(int argc, char** argv, std::span<const AddVerb> verbs);

}  // namespace holdfast::cli
