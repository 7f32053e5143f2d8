// What training stages keep between two steps, as named tensors.
#pragma once

#include <holdfast/trainer.h>

#include <map>

namespace holdfast {

using ArchivedTensors = std::map<std::string, at::Tensor>;

/// Copies what it is shown.
class ArchiveWriter final : public Archive {
 public:
  /// Names begin with the prefix.
  ArchiveWriter(ArchivedTensors& kept, std::string prefix) : kept_(kept), prefix_(std::move(prefix)) {}
  using Archive::operator();
  void operator()(const std::string& name, at::Tensor& value) override;

 private:
  ArchivedTensors& kept_;
  std::string prefix_;
};

/// Puts back what a writer kept; what was undefined then becomes so.
class ArchiveReader final : public Archive {
 public:
  ArchiveReader(const ArchivedTensors& kept, std::string prefix) : kept_(kept), prefix_(std::move(prefix)) {}
  using Archive::operator();
  void operator()(const std::string& name, at::Tensor& value) override;

 private:
  const ArchivedTensors& kept_;
  std::string prefix_;
};

}  // namespace holdfast
