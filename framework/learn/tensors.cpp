// Free functions and value types of <holdfast/trainer.h>.
#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/trainer.h>

#include <bit>
#include <cmath>

namespace holdfast {

namespace {

void archive_integer(Archive& archive, const std::string& name, std::int64_t& value) {
  at::Tensor stored = at::scalar_tensor(value, at::kLong);
  archive(name, stored);
  if (!stored.defined()) throw Error("the training checkpoint lacks \"" + name + "\", which its stage keeps: remove it");
  value = stored.item<std::int64_t>();
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

void Archive::operator()(const std::string& name, std::int64_t& value) { archive_integer(*this, name, value); }

// As its bits: checkpoint files hold no float64.
void Archive::operator()(const std::string& name, double& value) {
  auto bits = std::bit_cast<std::int64_t>(value);
  archive_integer(*this, name, bits);
  value = std::bit_cast<double>(bits);
}

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
