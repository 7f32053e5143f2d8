// holdfast-engine: all verbs of holdfast, with torch. front/main.cpp is what a user starts.
#include "cli/program.h"

int main(int argc, char** argv) { return holdfast::cli::run_program(argc, argv, holdfast::cli::kVerbs); }
