#include "run/result_files.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast {
namespace {

Json remembered_samples(const fs::path& run_file) {
  if (!fs::exists(run_file)) return Json::object();
  const Json run = Json::parse(read_file(run_file), nullptr, false);
  return run.is_object() ? run.value("samples", Json::object()) : Json::object();
}

}  // namespace

ResultFiles::ResultFiles(fs::path folder, const Plan& plan, Rows& rows, bool full_samples)
    : folder_(std::move(folder)),
      plan_(plan),
      rows_(rows),
      full_samples_(full_samples),
      cells_of_(plan.nodes.size()),
      written_(plan.cells.size()) {
  std::error_code failure;
  fs::create_directories(folder_ / "samples", failure);
  if (failure || ::access(folder_.c_str(), W_OK) != 0) {
    throw Error("cannot write the results folder " + folder_.string() + ": " +
                (failure ? failure.message() : std::strerror(errno)) + "; choose another one with --results");
  }
  samples_ = remembered_samples(folder_ / "run.json");
  for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
    for (const auto& [name, node] : plan_.cells[cell].stages) cells_of_[node].push_back(cell);
  }
}

void ResultFiles::write_cells() {
  std::string text;
  for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
    if (!rows_.complete(plan_.cells[cell])) continue;
    const Json row = rows_.row(plan_.cells[cell]);
    written_[cell] = row.at("status").get<std::string>();
    text += canonical(row) + "\n";
    if (written_[cell] == "ok") write_samples(plan_.cells[cell]);
  }
  write_file(folder_ / "cells.jsonl", text);
}

void ResultFiles::append(std::size_t node) {
  std::string text;
  for (const std::size_t cell : cells_of_[node]) {
    if (!written_[cell].empty() || !rows_.complete(plan_.cells[cell])) continue;
    const Json row = rows_.row(plan_.cells[cell]);
    written_[cell] = row.at("status").get<std::string>();
    text += canonical(row) + "\n";
  }
  if (!text.empty()) append_file(folder_ / "cells.jsonl", text);
}

void ResultFiles::write_samples(const Cell& cell) {
  const std::string& key = rows_.key(rows_.replies_of(cell));
  const fs::path path = folder_ / "samples" / (key + ".jsonl");
  const std::string stamp = rows_.samples_stamp(cell, full_samples_);
  if (samples_.value(key, std::string()) == stamp && fs::exists(path)) return;
  try {
    write_file(path, rows_.samples(cell, full_samples_));
    samples_[key] = stamp;
  } catch (const CorruptArtifact& corrupt) {
    log_warning("no samples for one cell: " + std::string(corrupt.what()));
  }
}

void ResultFiles::write_run(Json about) {
  about["samples"] = samples_;
  write_file(folder_ / "run.json", about.dump(1) + "\n");
}

std::int64_t ResultFiles::failed() const {
  return std::count_if(written_.begin(), written_.end(), [](const auto& status) { return !status.empty() && status != "ok"; });
}

}  // namespace holdfast
