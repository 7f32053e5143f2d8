#include "run/result_files.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "results/curve.h"
#include "results/sample.h"

namespace holdfast {
namespace {

std::map<std::string, std::string> remembered_samples(const fs::path& folder) {
  try {
    return read_run_facts(folder).samples;
  } catch (const Error&) {  // then they are all written again, and the file too
    return {};
  }
}

}  // namespace

ResultFiles::ResultFiles(fs::path folder, const Plan& plan, Rows& rows, bool full_samples)
    : folder_(std::move(folder)),
      plan_(plan),
      rows_(rows),
      full_samples_(full_samples),
      cells_of_(plan.nodes.size()),
      counted_(plan.nodes.size()),
      open_(plan.cells.size()),
      lines_(plan.cells.size()) {
  std::error_code failure;
  fs::create_directories(folder_ / "samples", failure);
  if (failure || ::access(folder_.c_str(), W_OK) != 0) {
    throw Error("cannot write the results folder " + folder_.string() + ": " +
                (failure ? failure.message() : std::strerror(errno)) + "; choose another one with --results");
  }
  samples_ = remembered_samples(folder_);
  for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
    for (const auto* stages : {&plan_.cells[cell].stages, &plan_.cells[cell].moderators}) {
      for (const auto& [name, node] : *stages) cells_of_[node].push_back(cell);
    }
    open_[cell] = plan_.cells[cell].stages.size() + plan_.cells[cell].moderators.size();
  }
}

void ResultFiles::count_open() {
  for (std::size_t node = 0; node < cells_of_.size(); ++node) {
    if (counted_[node] || !rows_.done(node)) continue;
    counted_[node] = true;
    for (const std::size_t cell : cells_of_[node]) --open_[cell];
  }
}

// A row stays as it is while its stages do: another key is another row, and what failed may have been made since.
void ResultFiles::write_cells() {
  count_open();
  std::vector<std::string_view> pieces;
  for (std::size_t cell = 0; cell < plan_.cells.size(); ++cell) {
    if (!rows_.complete(plan_.cells[cell])) continue;
    const Line& line = lines_[cell];
    if (line.ok && line.keys_hash == rows_.keys_hash(plan_.cells[cell])) {
      write_samples(plan_.cells[cell]);
    } else {
      write(cell);
    }
    pieces.emplace_back(line.text);
  }
  write_file_pieces(cells_file(folder_), pieces);
}

void ResultFiles::append(std::size_t node) {
  const bool first = rows_.done(node) && !counted_[node];  // it may be made again, for files that were given up or damaged
  if (first) counted_[node] = true;
  std::string text;
  for (const std::size_t cell : cells_of_[node]) {
    if (first) --open_[cell];
    const bool may_be_complete = open_[cell] == 0 || rows_.failed(node);
    if (!may_be_complete || !lines_[cell].text.empty() || !rows_.complete(plan_.cells[cell])) continue;
    write(cell);
    text += lines_[cell].text;
  }
  if (!text.empty()) append_file(cells_file(folder_), text);
}

void ResultFiles::write(std::size_t cell) {
  const CellRow row = rows_.row(plan_.cells[cell]);
  lines_[cell] = {canonical(to_json(row)) + "\n", row.ok(), rows_.keys_hash(plan_.cells[cell])};
  if (row.ok()) write_samples(plan_.cells[cell]);
}

void ResultFiles::write_samples(const Cell& cell) {
  const std::string& key = rows_.generate_key(cell);
  const fs::path path = samples_file(folder_, key);
  const std::string stamp = rows_.samples_stamp(cell, full_samples_);
  const auto known = samples_.find(key);
  if (known != samples_.end() && known->second == stamp && fs::exists(path)) return;
  try {
    write_file_unsynced(path, rows_.samples(cell, full_samples_));
    samples_[key] = stamp;
  } catch (const CorruptArtifact& corrupt) {
    log_warning("no samples for one cell: " + std::string(corrupt.what()));
  }
}

// Two nodes may turn out to be one stage.
void ResultFiles::write_stages() {
  std::map<std::string, std::string> lines;  // by kind and key
  for (std::size_t node = 0; node < plan_.nodes.size(); ++node) {
    if (!rows_.done(node)) continue;
    try {
      const StageRow stage = rows_.stage(node);
      if (!lines.emplace(stage.kind + " " + stage.key, canonical(to_json(stage)) + "\n").second) continue;
      const fs::path curve = curve_file(folder_, stage.key);
      if (const std::string text = fs::exists(curve) ? "" : rows_.curve(node); !text.empty()) {
        fs::create_directories(curve.parent_path());
        write_file(curve, text);
      }
    } catch (const CorruptArtifact& corrupt) {
      log_warning("stages.jsonl lacks a stage: " + std::string(corrupt.what()));
    }
  }
  std::vector<std::string_view> pieces;
  for (const auto& [name, line] : lines) pieces.emplace_back(line);
  write_file_pieces(stages_file(folder_), pieces);
}

// Last, for it says which samples are there.
void ResultFiles::write_run(Json about, RunFacts facts) {
  sync_file_system(folder_);
  facts.samples = samples_;
  write_run_file(folder_, std::move(about), facts);
}

std::int64_t ResultFiles::failed() const {
  return std::count_if(lines_.begin(), lines_.end(), [](const Line& line) { return !line.text.empty() && !line.ok; });
}

}  // namespace holdfast
