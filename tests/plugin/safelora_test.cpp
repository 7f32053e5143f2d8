// Safe LoRA against its rule, by loops over float64 matrices, and against the same rule on the factors of an adapter.
#include <gmock/gmock.h>
#include <holdfast/repair.h>

#include <algorithm>
#include <cmath>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/checkpoint_fixtures.h"
#include "plugin/matrices.h"
#include "plugin/presets.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::Matrix;
using fixtures::matrix_of;
using fixtures::tensor_of;
using fixtures::waves;
using testing::HasSubstr;

Matrix times(const Matrix& a, const Matrix& b) {
  Matrix made(a.size(), std::vector<double>(b[0].size(), 0));
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t k = 0; k < b.size(); ++k) {
      for (std::size_t j = 0; j < b[0].size(); ++j) made[i][j] += a[i][k] * b[k][j];
    }
  }
  return made;
}

double product(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < a[i].size(); ++j) sum += a[i][j] * b[i][j];
  }
  return sum;
}

// V V^T / |V|_F.
Matrix approximate(const Matrix& v) {
  Matrix c(v.size(), std::vector<double>(v.size(), 0));
  const double length = std::sqrt(product(v, v));
  for (std::size_t i = 0; i < v.size(); ++i) {
    for (std::size_t j = 0; j < v.size(); ++j) {
      for (std::size_t k = 0; k < v[0].size(); ++k) c[i][j] += v[i][k] * v[j][k] / length;
    }
  }
  return c;
}

// The orthogonal projector onto the columns of V, by Gram and Schmidt.
Matrix exact(const Matrix& v) {
  std::vector<std::vector<double>> basis;
  for (std::size_t k = 0; k < v[0].size(); ++k) {
    std::vector<double> column(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) column[i] = v[i][k];
    const auto dot = [&](const std::vector<double>& other) {
      double sum = 0;
      for (std::size_t i = 0; i < column.size(); ++i) sum += column[i] * other[i];
      return sum;
    };
    const double before = std::sqrt(dot(column));
    for (int again = 0; again < 2; ++again) {
      for (const auto& one : basis) {
        const double along = dot(one);
        for (std::size_t i = 0; i < column.size(); ++i) column[i] -= along * one[i];
      }
    }
    const double left = std::sqrt(dot(column));
    if (left < 1e-9 * before) continue;
    for (auto& each : column) each /= left;
    basis.push_back(column);
  }
  Matrix c(v.size(), std::vector<double>(v.size(), 0));
  for (const auto& one : basis) {
    for (std::size_t i = 0; i < v.size(); ++i) {
      for (std::size_t j = 0; j < v.size(); ++j) c[i][j] += one[i] * one[j];
    }
  }
  return c;
}

// Every linear moved by a matrix of that rank, unlike any other.
std::unique_ptr<LanguageModel> moved(const LanguageModel& from, double phase, double size, std::int64_t rank) {
  auto made = from.copy();
  for (const auto& [block, linear, name] : named_linears(from)) {
    const at::Tensor weight = made->weights().at(name);
    const at::Tensor left = waves({weight.size(0), rank}, phase), right = waves({rank, weight.size(1)}, phase * 1.7 + 1);
    made->set_weight(name, weight + left.matmul(right).mul(size).to(weight.scalar_type()));
    phase += 0.37;
  }
  return made;
}

class SafeLoraOfADecoder : public testing::Test {
 protected:
  SafeLoraOfADecoder() {
    context_.aligned = aligned_.get();
    context_.base = base_.get();
  }

  std::unique_ptr<LanguageModel> repaired(const Json& settings, const LanguageModel& model) {
    auto made = model.copy();
    make_defense("safelora", settings).repair->repair(*made, context_);
    return made;
  }
  std::unique_ptr<LanguageModel> repaired(const Json& settings) { return repaired(settings, *tuned_); }

  Matrix alignment(const std::string& name) const {
    return matrix_of(aligned_->weights().at(name) - base_->weights().at(name));
  }
  Matrix change(const std::string& name) const { return matrix_of(tuned_->weights().at(name) - aligned_->weights().at(name)); }

  std::map<std::string, double> cosines(const std::function<Matrix(const Matrix&)>& projector) const {
    std::map<std::string, double> found;
    for (const auto& [block, linear, name] : named_linears(*tuned_)) {
      const Matrix d = change(name), p = times(projector(alignment(name)), d);
      found[name] = std::round(product(p, d) / std::sqrt(product(p, p) * product(d, d)) * 1e5) / 1e5;
    }
    return found;
  }

  // W_aligned + C (W - W_aligned) where the cosine is up to `limit`, W elsewhere; how many were projected.
  int expect_rule(const LanguageModel& made, const std::function<Matrix(const Matrix&)>& projector, double limit) const {
    int count = 0;
    for (const auto& [name, cosine] : cosines(projector)) {
      const at::Tensor got = made.weights().at(name);
      if (cosine > limit) {
        EXPECT_TRUE(got.equal(tuned_->weights().at(name))) << name;
        continue;
      }
      ++count;
      const at::Tensor wanted = aligned_->weights().at(name) + tensor_of(times(projector(alignment(name)), change(name)));
      EXPECT_LT(distance(got, wanted), 1e-12) << name;
      EXPECT_GT(distance(got, tuned_->weights().at(name)), 1e-4) << name;
    }
    return count;
  }

  std::unique_ptr<LanguageModel> base_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> aligned_ = moved(*base_, 0.4, 0.02, 5);
  std::unique_ptr<LanguageModel> tuned_ = moved(*aligned_, 2.1, 0.03, 4);
  fakes::FakeContext context_;
};

TEST_F(SafeLoraOfADecoder, ProjectsTheSmallestCosines) {
  auto sorted = [&] {
    std::vector<double> all;
    for (const auto& [name, cosine] : cosines(approximate)) all.push_back(cosine);
    std::sort(all.begin(), all.end());
    return all;
  }();
  ASSERT_EQ(sorted.size(), 14U);
  for (const int number : {1, 6, 10, 14}) {
    const auto made = repaired({{"number", number}});
    EXPECT_EQ(expect_rule(*made, approximate, sorted[static_cast<std::size_t>(number) - 1]), number);
    EXPECT_EQ(context_.reports.at("linears-projected").value, number);
    EXPECT_EQ(context_.reports.at("linears-projected").n, 14);
  }
  EXPECT_EQ(expect_rule(*repaired({{"number", 100}}), approximate, 1), 14);
}

TEST_F(SafeLoraOfADecoder, ProjectsUpToAThreshold) {
  std::vector<double> all;
  for (const auto& [name, cosine] : cosines(approximate)) all.push_back(cosine);
  std::sort(all.begin(), all.end());
  const double middle = all[7];
  EXPECT_EQ(expect_rule(*repaired({{"select", "threshold"}, {"threshold", middle}}), approximate, middle), 8);
  EXPECT_EQ(expect_rule(*repaired({{"select", "threshold"}, {"threshold", -1}}), approximate, -1), 0);
  EXPECT_EQ(expect_rule(*repaired({{"select", "threshold"}, {"threshold", 1}}), approximate, 1), 14);
}

TEST_F(SafeLoraOfADecoder, TheExactProjectorIsOne) {
  const Json settings = {{"projection", "exact"}, {"select", "threshold"}, {"threshold", 1}};
  const auto once = repaired(settings);
  EXPECT_EQ(expect_rule(*once, exact, 1), 14);
  const auto twice = repaired(settings, *once);
  for (const auto& [block, linear, name] : named_linears(*once))
    EXPECT_LT(distance(twice->weights().at(name), once->weights().at(name)), 1e-12) << name;
}

TEST_F(SafeLoraOfADecoder, TheRulesDiffer) {
  const Json all = {{"select", "threshold"}, {"threshold", 1}};
  const auto made = repaired(all), again = repaired(all, *made);
  for (const auto& [block, linear, name] : named_linears(*made)) {
    const at::Tensor got = made->weights().at(name), aligned = aligned_->weights().at(name);
    const Matrix v = alignment(name), d = change(name);
    EXPECT_GT(distance(got, aligned + tensor_of(times(exact(v), d))), 1e-3) << name << ": exact is another projection";
    EXPECT_GT(distance(got, again->weights().at(name)), 1e-3) << name << ": the approximate one is none";
    const double length = std::sqrt(product(v, v));
    EXPECT_GT(distance(got, aligned + tensor_of(times(approximate(v), d)) * length), 1e-4) << name << ": without |V|";
    const Matrix from_base = matrix_of(tuned_->weights().at(name) - base_->weights().at(name));
    EXPECT_GT(distance(got, aligned + tensor_of(times(approximate(from_base), d))), 1e-4) << name << ": V of the tuned model";
  }
}

// The published code has W_aligned + scale B A and puts B := C B.
TEST_F(SafeLoraOfADecoder, IsTheSameAsProjectingTheFactorB) {
  auto adapted = aligned_->copy();
  adapted->decoder().add_adapters({4, 8, {}}, 3);
  for (const auto& [module, lora] : adapted->decoder().adapters())
    at::Tensor(lora.b).copy_(waves(lora.b.sizes(), 1.0).mul(0.1));
  NamedTensors wanted;
  for (const auto& [module, lora] : adapted->decoder().adapters()) {
    const Matrix b = times(approximate(alignment(module + ".weight")), matrix_of(lora.b.detach()));
    wanted[module + ".weight"] = aligned_->weights().at(module + ".weight") + lora.scale * tensor_of(b).matmul(lora.a.detach());
  }
  adapted->decoder().merge_adapters();
  const auto made = repaired({{"select", "threshold"}, {"threshold", 1}}, *adapted);
  ASSERT_EQ(wanted.size(), 14U);
  for (const auto& [name, weight] : wanted) EXPECT_LT(distance(made->weights().at(name), weight), 1e-12) << name;
}

TEST_F(SafeLoraOfADecoder, AChangeOutsideTheAlignmentIsTakenBack) {
  const std::string name = named_linears(*aligned_)[0].weight;
  const at::Tensor v = at::zeros_like(base_->weights().at(name)), d = v.clone();
  v.select(0, 0).fill_(0.1);  // the alignment wrote the first output, tuning the second
  d.select(0, 1).fill_(0.2);
  auto aligned = base_->copy();
  aligned->set_weight(name, base_->weights().at(name) + v);
  auto tuned = aligned->copy();
  tuned->set_weight(name, aligned->weights().at(name) + d);
  context_.aligned = aligned.get();
  for (const auto* projection : {"approximate", "exact"}) {
    const auto made = repaired({{"projection", projection}, {"select", "threshold"}, {"threshold", 0}}, *tuned);
    EXPECT_LT(distance(made->weights().at(name), aligned->weights().at(name)), 1e-12) << projection;
  }
}

TEST_F(SafeLoraOfADecoder, LeavesAloneWhatOneOfTheTwoDidNotChange) {
  const auto linears = named_linears(*base_);
  aligned_->set_weight(linears[3].weight, base_->weights().at(linears[3].weight));   // never aligned, but tuned
  tuned_->set_weight(linears[5].weight, aligned_->weights().at(linears[5].weight));  // aligned, never tuned
  const auto made = repaired({{"select", "threshold"}, {"threshold", 1}});
  EXPECT_TRUE(made->weights().at(linears[3].weight).equal(tuned_->weights().at(linears[3].weight)));
  EXPECT_TRUE(made->weights().at(linears[5].weight).equal(tuned_->weights().at(linears[5].weight)));
  EXPECT_EQ(context_.reports.at("linears-projected").value, 12);
  EXPECT_EQ(context_.reports.at("linears-projected").n, 13);
  EXPECT_EQ(context_.reports.at("linears-never-aligned").value, 1);
  for (const auto* other : {"model.norm.weight", "model.embed_tokens.weight"}) {
    EXPECT_TRUE(made->weights().at(other).equal(tuned_->weights().at(other))) << other;
  }
}

TEST_F(SafeLoraOfADecoder, AnUntunedModelStaysAsItIs) {
  const auto made = repaired(Json::object(), *aligned_);
  for (const auto& [name, weight] : aligned_->weights()) EXPECT_TRUE(made->weights().at(name).equal(weight)) << name;
  EXPECT_EQ(context_.reports.at("linears-projected").n, 0);
}

TEST_F(SafeLoraOfADecoder, SaysWhatItCannotCompare) {
  const auto refused = [&] {
    try {
      repaired(Json::object());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  context_.base = aligned_.get();
  EXPECT_THAT(refused(), HasSubstr("its base is the same as the aligned model there"));
  const auto other = fixtures::load("sharded");
  context_.base = other.get();
  EXPECT_THAT(refused(), HasSubstr("the base has no weight \"model.layers."));
}

TEST_F(SafeLoraOfADecoder, InBfloat16ItStaysCloseToFloat32) {
  std::map<std::string, std::unique_ptr<LanguageModel>> made;
  for (const std::string dtype : {"float32", "bfloat16"}) {
    const auto base = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype});
    const auto aligned = moved(*base, 0.4, 0.02, 5), tuned = moved(*aligned, 2.1, 0.03, 4);
    context_.base = base.get();
    context_.aligned = aligned.get();
    made[dtype] = repaired({{"select", "threshold"}, {"threshold", 1}}, *tuned);
  }
  for (const auto& [name, weight] : made["float32"]->weights()) {
    EXPECT_LT(distance(made["bfloat16"]->weights().at(name), weight), 0.02) << name;
  }
}

TEST(SafeLora, NeedsTheBaseAndTheAlignedModel) {
  EXPECT_EQ(make_defense("safelora").repair->needs(), kNeedsBase | kNeedsAligned);
  EXPECT_EQ(shipped("safelora").stages, kStageRepair);
}

TEST(SafeLora, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("safelora", "repo", {{"projection", "approximate"}, {"select", "number"}, {"number", 10}});
  EXPECT_PRESET("safelora", "exact", {{"projection", "exact"}, {"select", "number"}, {"number", 10}});
}

TEST(SafeLora, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"number", 0}, {"threshold", 2}, {"projection", "orthogonal"}, {"select", "all"}});
  Params params(settings.state);
  shipped("safelora").make_defense(params);
  for (const auto* name : {"number", "threshold", "projection", "select"}) EXPECT_THAT(settings.mistakes(), HasSubstr(name));
}

}  // namespace
}  // namespace holdfast
