// Slurm, through its own programs: sbatch, squeue, scancel, scontrol.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.h"

namespace holdfast {

/// By which all runs of a scenario in a store find their workers again.
std::string slurm_job_name(const std::string& scenario, const fs::path& store);

/// The most tasks that one array may have.
std::int64_t slurm_max_array_size();

/// Submits the script; returns the job's number. Throws Error with what sbatch said.
std::string slurm_submit(const std::string& script);

/// A sentence where no controller of it answers, within seconds where its other programs try for longer; else empty.
std::string slurm_silence();

/// How many tasks of this user's jobs of that name wait or run; nothing, with a warning, where Slurm does not answer.
std::optional<std::int64_t> slurm_tasks(const std::string& job_name);

/// Cancels those that wait.
void slurm_cancel_pending(const std::string& job_name);

}  // namespace holdfast
