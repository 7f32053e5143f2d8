// Safe Delta against its rule, by loops in float64: inputs of a decoder written down once more, an inverse and a factor of it
// by elimination, one entry at a time.
#include <gmock/gmock.h>
#include <holdfast/repair.h>

#include <algorithm>
#include <cmath>

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/reference_decoder.h"
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

// By Gauss and Jordan; the matrix is positive definite.
Matrix inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix b(n, std::vector<double>(n, 0));
  for (std::size_t i = 0; i < n; ++i) b[i][i] = 1;
  for (std::size_t p = 0; p < n; ++p) {
    const double pivot = a[p][p];
    for (std::size_t j = 0; j < n; ++j) {
      a[p][j] /= pivot;
      b[p][j] /= pivot;
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (i == p) continue;
      const double by = a[i][p];
      for (std::size_t j = 0; j < n; ++j) {
        a[i][j] -= by * a[p][j];
        b[i][j] -= by * b[p][j];
      }
    }
  }
  return b;
}

// U of A = U^T U.
Matrix upper(const Matrix& a) {
  const std::size_t n = a.size();
  Matrix u(n, std::vector<double>(n, 0));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j) {
      double rest = a[i][j];
      for (std::size_t k = 0; k < i; ++k) rest -= u[k][i] * u[k][j];
      u[i][j] = i == j ? std::sqrt(rest) : rest / u[i][i];
    }
  }
  return u;
}

struct Rule {
  double s = 2, divisor = 2, width = 32, dropped = 0.15, damping = 0.01;
  std::size_t block = 2048, sub_block = 4;
};

enum class WrongSafeDelta {
  kNothing,
  kInputsOfTheAligned,
  kNoCompensation,
  kCostliestFirst,
  kPlainLoss,
  kAllConsidered,
  kLower
};

Matrix adjusted(Matrix w, const Matrix& tuned, Matrix h, const Rule& rule, WrongSafeDelta wrong) {
  const std::size_t rows = w.size(), columns = h.size();
  double mean = 0;
  for (std::size_t i = 0; i < columns; ++i) {
    if (h[i][i] == 0) h[i][i] = 1;
    mean += h[i][i] / static_cast<double>(columns);
  }
  for (std::size_t i = 0; i < columns; ++i) h[i][i] += rule.damping * mean;
  Matrix u = upper(inverse(h));
  if (wrong == WrongSafeDelta::kLower) u = upper(h);
  for (std::size_t begin = 0; begin < columns; begin += rule.block) {
    const std::size_t end = std::min(begin + rule.block, columns);
    struct Entry {
      double key, loss;
      std::size_t row, column;
    };
    std::vector<Entry> entries;
    double keys = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t m = begin; m < end; ++m) {
        const double key = 1 / (u[m][m] * u[m][m]), change = tuned[i][m] - w[i][m];
        entries.push_back({key, change * change * (wrong == WrongSafeDelta::kPlainLoss ? 1 : key), i, m});
        keys += key;
      }
    }
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      return wrong == WrongSafeDelta::kCostliestFirst ? a.key > b.key : a.key < b.key;
    });
    const double n = static_cast<double>(entries.size());
    const auto considered =
        wrong == WrongSafeDelta::kAllConsidered ? entries.size() : entries.size() - static_cast<std::size_t>(rule.dropped * n);
    const double budget = keys / n * (rule.s / rule.divisor) * (static_cast<double>(rows) / rule.width);
    std::vector<std::vector<bool>> taken(rows, std::vector<bool>(columns, false));
    double sum = 0;
    for (std::size_t k = 0; k < considered; ++k) {
      sum += entries[k].loss;
      if (sum > budget) break;
      taken[entries[k].row][entries[k].column] = true;
    }
    Matrix errors(rows, std::vector<double>(columns, 0));
    const auto make_up = [&](std::size_t i, std::size_t first, std::size_t last, std::size_t from, std::size_t to) {
      for (std::size_t c = from; c < to; ++c) {
        for (std::size_t m = first; m < last; ++m)
          w[i][c] -= wrong == WrongSafeDelta::kNoCompensation ? 0 : errors[i][m] * u[m][c];
      }
    };
    for (std::size_t sub = begin; sub < end; sub += rule.sub_block) {
      const std::size_t stop = std::min(sub + rule.sub_block, end);
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t m = sub; m < stop; ++m) {
          const double written = taken[i][m] ? tuned[i][m] : w[i][m];
          errors[i][m] = (w[i][m] - written) / u[m][m];
          w[i][m] = written;
        }
        make_up(i, sub, stop, stop, end);
      }
    }
    for (std::size_t i = 0; i < rows; ++i) make_up(i, begin, end, end, columns);
  }
  return w;
}

class SafeDeltaOfADecoder : public testing::Test {
 protected:
  SafeDeltaOfADecoder() {
    context_.aligned = aligned_.get();
    context_.alignment_rows = fixtures::trained_rows();
    double phase = 2.1;
    for (const auto& [name, weight] : aligned_->weights()) {
      tuned_->set_weight(name, weight + waves(weight.sizes(), phase).mul(0.1));
      phase += 0.37;
    }
  }

  std::unique_ptr<LanguageModel> repaired(const Json& settings) {
    Json all = {{"alignment", "all"}, {"replies", "rows"}, {"s", 2.0}, {"width", 32.0}};
    all.update(settings);
    auto made = tuned_->copy();
    make_defense("safe-delta", all).repair->repair(*made, context_);
    return made;
  }

  // 2 / N times the sum of x x^T, for each linear of a block.
  std::map<std::string, Matrix> squares(const LanguageModel& model, std::int64_t block) const {
    const c10::NoGradGuard no_grad;
    std::map<std::string, Matrix> found;
    for (const auto& row : context_.alignment_rows) {
      fixtures::ReferenceDecoder decoder(model.decoder());
      decoder.visit = [&](Site site, std::int64_t layer, const std::string& linear, const at::Tensor& value) {
        if (site != Site::kLinearInput || layer != block) return value;
        const Matrix x = matrix_of(value);
        auto& h = found[linear];
        h.resize(x[0].size(), std::vector<double>(x[0].size(), 0));
        for (const auto& token : x) {
          for (std::size_t i = 0; i < token.size(); ++i) {
            for (std::size_t j = 0; j < token.size(); ++j)
              h[i][j] += 2 * token[i] * token[j] / static_cast<double>(context_.alignment_rows.size());
          }
        }
        return value;
      };
      decoder.log_probs(model.encode(row.messages).ids);
    }
    return found;
  }

  NamedTensors defined(const Rule& rule, WrongSafeDelta wrong = WrongSafeDelta::kNothing) const {
    auto edited = aligned_->copy();
    for (std::int64_t block = 0; block < edited->layers(); ++block) {
      const auto inputs = squares(wrong == WrongSafeDelta::kInputsOfTheAligned ? *aligned_ : *edited, block);
      for (const auto& linear : named_linears(*edited)) {
        if (linear.block != block) continue;
        const Matrix before = matrix_of(edited->weights().at(linear.weight)),
                     after = matrix_of(tuned_->weights().at(linear.weight));
        edited->set_weight(linear.weight, tensor_of(adjusted(before, after, inputs.at(linear.name), rule, wrong)));
      }
    }
    NamedTensors wanted;
    for (const auto& [name, weight] : edited->weights()) wanted[name] = weight.clone();
    return wanted;
  }

  static double furthest(const LanguageModel& made, const NamedTensors& wanted) {
    double most = 0;
    for (const auto& [name, weight] : wanted) most = std::max(most, distance(made.weights().at(name), weight));
    return most;
  }

  std::unique_ptr<LanguageModel> aligned_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> tuned_ = aligned_->copy();
  fakes::FakeContext context_;
};

TEST_F(SafeDeltaOfADecoder, TakesWhatTheBudgetAllowsAndMakesUpForIt) {
  EXPECT_LT(furthest(*repaired(Json::object()), defined(Rule())), 1e-8);
  const auto share = context_.reports.at("entries-taken");
  EXPECT_GT(share.value, 0.1 * static_cast<double>(share.n));
  EXPECT_LT(share.value, 0.8 * static_cast<double>(share.n));
  EXPECT_EQ(context_.reports.at("defender-rows").value, 7);
  Rule other;
  other.s = 3;
  other.divisor = 4;
  other.width = 20;
  other.dropped = 0.4;
  other.damping = 0.1;
  other.block = 12;
  other.sub_block = 5;
  const Json settings = {{"s", 3.0},       {"s_divisor", 4.0}, {"width", 20.0}, {"dropped", 0.4},
                         {"damping", 0.1}, {"block", 12},      {"sub_block", 5}};
  EXPECT_LT(furthest(*repaired(settings), defined(other)), 1e-8);
}

TEST_F(SafeDeltaOfADecoder, IsNoVariantOfIt) {
  const auto made = repaired(Json::object());
  for (const auto wrong : {WrongSafeDelta::kInputsOfTheAligned, WrongSafeDelta::kNoCompensation,
                           WrongSafeDelta::kCostliestFirst, WrongSafeDelta::kPlainLoss, WrongSafeDelta::kLower}) {
    EXPECT_GT(furthest(*made, defined(Rule(), wrong)), 1e-3) << static_cast<int>(wrong);
  }
  Rule rich;
  rich.s = 1e6;
  EXPECT_GT(furthest(*repaired({{"s", 1e6}}), defined(rich, WrongSafeDelta::kAllConsidered)), 1e-3);
}

TEST_F(SafeDeltaOfADecoder, WithoutBudgetItIsTheAlignedModel) {
  const auto made = repaired({{"s", 0}});
  for (const auto& [name, weight] : aligned_->weights()) EXPECT_TRUE(made->weights().at(name).equal(weight)) << name;
  EXPECT_EQ(context_.reports.at("entries-taken").value, 0);
}

TEST_F(SafeDeltaOfADecoder, WithoutLimitAllButTheDearestAreTaken) {
  const auto made = repaired({{"s", 1e300}});
  for (const auto& linear : named_linears(*made)) {
    const at::Tensor got = made->weights().at(linear.weight);
    const std::int64_t n = got.numel(), as_tuned = (got == tuned_->weights().at(linear.weight)).sum().item<std::int64_t>();
    EXPECT_EQ(as_tuned, n - static_cast<std::int64_t>(0.15 * static_cast<double>(n))) << linear.weight;
  }
  for (const auto* name : {"model.embed_tokens.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight"}) {
    EXPECT_TRUE(made->weights().at(name).equal(aligned_->weights().at(name))) << name;
  }
}

// One channel alone reaches the first block, so that what stands at its queries' input is diagonal: 1 everywhere else.
TEST_F(SafeDeltaOfADecoder, OfADiagonalNothingIsMadeUpFor) {
  const std::string norm = "model.layers.0.input_layernorm.weight", name = "model.layers.0.self_attn.q_proj.weight";
  at::Tensor scales = at::zeros_like(aligned_->weights().at(norm));
  scales[3] = 5;
  aligned_->set_weight(norm, scales);
  const double h3 = squares(*aligned_, 0).at("q_proj")[3][3], mean = (31 + h3) / 32, damped = 1 + 0.01 * mean;
  ASSERT_GT(h3, 1);
  const at::Tensor before = aligned_->weights().at(name), after = tuned_->weights().at(name);
  const double mean_key = (31 * damped + h3 + 0.01 * mean) / 32, s = 3 * damped / mean_key;  // some 300 entries
  const double budget = mean_key * (s / 2) * (static_cast<double>(before.size(0)) / 32);
  at::Tensor wanted = before.clone();
  double sum = 0;
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < before.size(0); ++i) {
    for (std::int64_t m = 0; m < 32; ++m) {
      if (m == 3) continue;
      sum += std::pow((after[i][m] - before[i][m]).item<double>(), 2) * damped;
      if (sum > budget) continue;
      wanted[i][m] = after[i][m];
      ++taken;
    }
  }
  EXPECT_GT(taken, 40);
  EXPECT_LT(taken, before.numel() / 2);
  EXPECT_LT(distance(repaired({{"s", s}})->weights().at(name), wanted), 1e-12);
}

TEST_F(SafeDeltaOfADecoder, TheAlignedModelMayAnswerTheRows) {
  const auto own = repaired({{"replies", "own"}, {"max_new_tokens", 5}});
  EXPECT_GT(furthest(*own, repaired(Json::object())->weights()), 1e-3);
  GenerateOptions options;
  options.max_new_tokens = 5;
  for (auto& row : context_.alignment_rows) {
    if (row.messages.back().role == "assistant") row.messages.pop_back();
    row.messages.push_back({"assistant", aligned_->generate({row.messages}, options)[0].text});
  }
  EXPECT_LT(furthest(*own, repaired(Json::object())->weights()), 1e-8);
}

TEST_F(SafeDeltaOfADecoder, DoesNotDependOnTheBatches) {
  NamedTensors whole;
  for (const int batch : {7, 2}) {
    context_.finetune.batch_size = batch;
    const auto made = repaired(Json::object());
    if (whole.empty()) whole = made->weights();
    EXPECT_LT(furthest(*made, whole), 1e-9) << batch;
  }
}

TEST_F(SafeDeltaOfADecoder, SaysWhatItCannotInvert) {
  Dataset one = {context_.alignment_rows[0]};
  context_.alignment_rows = one;
  context_.finetune.max_length = 4;  // four tokens for 32 inputs
  try {
    repaired({{"damping", 0}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("raise \"damping\""));
  }
}

TEST(SafeDelta, NeedsTheAlignedModel) {
  EXPECT_EQ(make_defense("safe-delta").repair->needs(), kNeedsAligned);
  EXPECT_EQ(shipped("safe-delta").stages, kStageRepair);
}

TEST(SafeDelta, SettingsMistakesAreNoted) {
  const Json mistaken = {{"s", -1},       {"s_divisor", 0},      {"width", 0},         {"dropped", 2},
                         {"damping", -1}, {"block", 0},          {"sub_block", 0},     {"replies", "none"},
                         {"rows", -1},    {"max_new_tokens", 0}, {"alignment", "some"}};
  const Settings settings = Settings::of(mistaken);
  Params params(settings.state);
  shipped("safe-delta").make_defense(params);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(settings.mistakes(), HasSubstr("\"" + name + "\""));
}

TEST(SafeDelta, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("safe-delta", "repo", {{"s", 0.1}, {"rows", 128}});
  EXPECT_PRESET("safe-delta", "harmful", {{"s", 0.11}, {"rows", 128}});
}

}  // namespace
}  // namespace holdfast
