#include "learn/training_checkpoint.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include "base/json.h"
#include "base/process_name.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

const std::string kKept = "kept by ";
constexpr char kDevices[] = "devices";  // of what was kept elsewhere than on the CPU, by name

Json to_json(const std::vector<TrainedStep>& records) {
  Json list = Json::array();
  for (const auto& record : records) {
    list.push_back({record.step, record.loss, record.lr, record.tokens, record.gradient_norm});
  }
  return list;
}

std::vector<TrainedStep> records_from_json(const Json& list) {
  std::vector<TrainedStep> records;
  for (const auto& item : list) {
    const StepRecord record{item.at(0).get<std::int64_t>(), item.at(1).get<double>(), item.at(2).get<double>(),
                            item.at(3).get<std::int64_t>()};
    records.push_back({record, item.at(4).get<double>()});
  }
  return records;
}

// "<name>.tmp<process>" is how write_file calls what it has not finished.
void remove_unfinished(const fs::path& file) {
  const std::string prefix = file.filename().string() + ".tmp";
  std::error_code ignored;  // a folder that is not there holds nothing
  for (const auto& entry : fs::directory_iterator(file.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && process_is_gone(name.substr(prefix.size()))) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

void write_training_checkpoint(const fs::path& file, const std::string& identity, const TrainingProgress& progress) {
  fs::create_directories(file.parent_path());
  std::map<std::string, at::Tensor> tensors = progress.optimizer;
  std::map<std::string, std::string> devices;
  for (const auto& [name, tensor] : progress.kept) {
    tensors[kKept + name] = tensor;
    if (!tensor.device().is_cpu()) devices[name] = tensor.device().str();
  }
  write_safetensors(file, tensors,
                    {{"identity", identity},
                     {"records", to_json(progress.records).dump()},
                     {"positions", Json(progress.positions).dump()},
                     {kDevices, Json(devices).dump()}});
}

std::optional<TrainingProgress> read_training_checkpoint(const fs::path& file, const std::string& identity) {
  remove_unfinished(file);
  if (!fs::exists(file)) return std::nullopt;
  try {
    TensorFile found = read_safetensors(file);
    if (found.metadata["identity"] == identity) {
      TrainingProgress progress{records_from_json(parse_json(found.metadata["records"], file.string())), {}, {}, {}};
      parse_json(found.metadata["positions"], file.string()).get_to(progress.positions);
      for (auto& [name, tensor] : found.tensors) {
        if (name.starts_with(kKept)) {
          progress.kept[name.substr(kKept.size())] = std::move(tensor);
        } else {
          progress.optimizer[name] = std::move(tensor);
        }
      }
      for (const auto& [name, device] :
           parse_json(found.metadata[kDevices], file.string()).get<std::map<std::string, std::string>>()) {
        progress.kept.at(name) = progress.kept.at(name).to(c10::Device(device));
      }
      return progress;
    }
    log_warning("the training checkpoint " + file.string() +
                " belongs to other weights, rows, options or seeds: training begins anew");
  } catch (const std::exception& error) {
    log_warning("the training checkpoint is damaged, training begins anew: " + std::string(error.what()));
  }
  return std::nullopt;
}

}  // namespace holdfast
