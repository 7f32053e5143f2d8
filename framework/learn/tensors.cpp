// Free functions and value types of <holdfast/trainer.h>.
#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/trainer.h>

#include <cmath>

namespace holdfast {

namespace {

template <typename Number>
void archive_number(Archive& archive, const std::string& name, Number& value, at::ScalarType type) {
  at::Tensor stored = at::scalar_tensor(value, type);
  archive(name, stored);
  if (!stored.defined()) throw Error("the training checkpoint lacks \"" + name + "\", which its stage keeps: remove it");
  value = stored.item<Number>();
}

}  // namespace

double dot(const Tensors& a, const Tensors& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].numel() > 0) sum += (a[i].to(at::kDouble) * b[i].to(at::kDouble)).sum().item<double>();
  }
  return sum;
}

double norm(const Tensors& tensors) {
  double squares = 0;
  for (const auto& tensor : tensors) {
    const double length = at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kDouble).item<double>();
    squares += length * length;
  }
  return std::sqrt(squares);
}

void Archive::operator()(const std::string& name, double& value) { archive_number(*this, name, value, at::kDouble); }

void Archive::operator()(const std::string& name, std::int64_t& value) { archive_number(*this, name, value, at::kLong); }

void Archive::operator()(const std::string& name, bool& value) {
  std::int64_t stored = value ? 1 : 0;
  (*this)(name, stored);
  value = stored != 0;
}

void Archive::operator()(const std::string& name, Tensors& value) {
  auto size = static_cast<std::int64_t>(value.size());
  (*this)(name + ".size", size);
  value.resize(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < value.size(); ++i) (*this)(name + "." + std::to_string(i), value[i]);
}

void Archive::operator()(const std::string& name, Snapshot& value) {
  (*this)(name + ".weights", value.weights);
  (*this)(name + ".moments", value.moments);
}

}  // namespace holdfast
