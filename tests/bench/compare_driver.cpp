// Our side of tools/compare: a process that keeps a model and does what the lines of stdin ask for, one JSON object each, with
// one line of JSON on stdout for each. Every request names what is to be done in "do"; the members that it reads stand in the
// comment of its function. An Error is answered as {"error": sentence}. tests/bench/compare/transformers_side.py answers the
// same requests, so that both sides get the same work.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>

#include "base/file.h"
#include "base/parallel.h"
#include "data/formats.h"
#include "learn/checkpoint.h"
#include "learn/export.h"
#include "learn/training.h"
#include "learn/training_options.h"
#include "model/product.h"
#include "work/versions.h"

namespace holdfast {
namespace {

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> repeated(int times, const std::function<void()>& work) {
  work();  // memory and threads are there from here on
  std::vector<double> seconds;
  for (int n = 0; n < times; ++n) seconds.push_back(seconds_of(work));
  return seconds;
}

std::vector<Conversation> conversations_of(const std::string& path) {
  std::vector<Conversation> conversations;
  for (const auto& row : read_dataset(path)) conversations.push_back(row.messages);
  return conversations;
}

// What the request leaves out stays at its default.
template <typename Options>
Options options_of(const Json& request, const OptionTable<Options>& table) {
  Json options = to_json(table, Options());
  options.update(request.at("options"));
  return from_json(table, options);
}

#if defined(__x86_64__)
#define HOLDFAST_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOLDFAST_WIDEST
#endif

// In the widest vectors that the processor has: narrower ones read slower than the memory delivers.
HOLDFAST_WIDEST std::uint64_t sum_of(const std::uint64_t* words, std::int64_t count) {
  constexpr std::int64_t kLanes = 32;
  std::uint64_t lanes[kLanes] = {};
  for (std::int64_t i = 0; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += words[i + lane];
  }
  std::uint64_t sum = 0;
  for (const auto lane : lanes) sum += lane;
  for (std::int64_t i = count / kLanes * kLanes; i < count; ++i) sum += words[i];
  return sum;
}

class Driver {
 public:
  Json answer(const Json& request) {
    const std::string what = request.at("do");
    if (what == "hello") return hello();
    if (what == "product") return product();
    if (what == "read") return read(request);
    if (what == "export") return write_folder(request);
    if (what == "open") return open(request);
    if (what == "tokens") return tokens(request);
    if (what == "generate") return generate(request);
    if (what == "adapter") return adapter(request);
    if (what == "train") return train_rows(request);
    throw Error("there is no request \"" + what + "\"");
  }

 private:
  LanguageModel& model() {
    if (!model_) throw Error("no model is open: ask for \"open\" first, and once more after each \"train\"");
    return *model_;
  }

  static Json hello() {
    return {{"program", std::string("Holdfast ") + kHoldfastVersion},
            {"torch", TORCH_VERSION},
            {"threads", at::get_num_threads()},
            {"capability", at::get_cpu_capability()}};
  }

  // The rate of 1024-cubed products in float32, libtorch's or the program's own, whichever is faster on this processor.
  static Json product() {
    const c10::NoGradGuard no_graph;
    const at::Tensor a = at::randn({1024, 1024}), b = at::randn({1024, 1024});
    at::Tensor c = at::empty({1024, 1024}), d = at::zeros({1024, 1024});
    const double theirs = median(repeated(31, [&] { at::mm_out(c, a, b); }));
    const double own = median(repeated(31, [&] { add_row_product(d, a, b); }));
    return {{"flops", 2.0 * 1024 * 1024 * 1024 / std::min(theirs, own)}};
  }

  // bytes: the rate at which all threads together read so many, as often as they come by.
  static Json read(const Json& request) {
    const std::int64_t count = request.at("bytes").get<std::int64_t>() / 8;
    const at::Tensor memory = at::ones({count}, at::kLong);
    const auto* words = reinterpret_cast<const std::uint64_t*>(memory.data_ptr<std::int64_t>());
    std::atomic<std::uint64_t> sum = 0;
    const int threads = at::get_num_threads();
    const auto seconds = repeated(7, [&] {
      for_each_number(
          static_cast<std::size_t>(threads),
          [&](std::size_t part) {
            const std::int64_t begin = count * static_cast<std::int64_t>(part) / threads;
            sum += sum_of(words + begin, count * static_cast<std::int64_t>(part + 1) / threads - begin);
          },
          threads);
    });
    HOLDFAST_CHECK(sum == static_cast<std::uint64_t>(count) * 8);
    return {{"bytes_a_second", 8.0 * static_cast<double>(count) / median(seconds)}};
  }

  // model, dtype, under: writes the model as a Hugging Face folder below `under`, by the digest of its files and the dtype;
  // does nothing where it is.
  static Json write_folder(const Json& request) {
    const std::string source = request.at("model"), dtype = request.at("dtype");
    const fs::path under = request.at("under").get<std::string>();
    const fs::path folder = under / (checkpoint_digest(source).substr(0, 16) + "-" + dtype);
    if (!fs::exists(folder)) {
      const fs::path unfinished = folder.string() + ".unfinished";
      fs::remove_all(unfinished);
      fs::create_directories(unfinished);
      save_checkpoint(*load_model(source, {"cpu", dtype}), unfinished);
      fs::rename(unfinished, folder);
    }
    return {{"folder", folder.string()}};
  }

  // model, dtype: in the place of the one before.
  Json open(const Json& request) {
    model_.reset();
    return {{"seconds", seconds_of([&] { model_ = load_model(request.at("model"), {"cpu", request.at("dtype")}); })}};
  }

  // rows; asked: what a prompt of each is, else the whole row and which of its tokens are learned.
  Json tokens(const Json& request) {
    Json rows = Json::array();
    for (const auto& conversation : conversations_of(request.at("rows"))) {
      if (request.at("asked")) {
        rows.push_back({{"ids", model().encode_prompt(conversation)}});
      } else {
        const Encoded encoded = model().encode(conversation);
        rows.push_back({{"ids", encoded.ids}, {"learned", encoded.label}});
      }
    }
    return {{"rows", rows}};
  }

  // rows, options: of generation.
  Json generate(const Json& request) {
    const auto prompts = conversations_of(request.at("rows"));
    const GenerateOptions options = options_of(request, generate_options());
    std::vector<Generated> generated;
    const double seconds = seconds_of([&] { generated = model().generate(prompts, options); });
    Json replies = Json::array();
    for (const auto& reply : generated) replies.push_back(reply.ids);
    return {{"seconds", seconds}, {"replies", replies}};
  }

  // options: of training; folder: writes the LoRA factors with which such a training begins, as a PEFT folder.
  Json adapter(const Json& request) {
    const TrainingOptions options = options_of(request, training_options());
    const auto untrained = model().share();
    untrained->decoder().add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, kSeed);
    const fs::path folder = request.at("folder").get<std::string>();
    fs::create_directories(folder);
    save_adapter(*untrained, request.at("model"), folder);
    return Json::object();
  }

  // rows, options: of training. Ends the model that is open.
  Json train_rows(const Json& request) {
    const Dataset rows = read_dataset(request.at("rows").get<std::string>());
    const TrainingOptions options = options_of(request, training_options());
    TrainingRun run;
    run.init_seed = kSeed;
    std::vector<TrainedStep> steps;
    const double seconds = seconds_of([&] { steps = train(model(), rows, options, run); });
    model_.reset();
    Json losses = Json::array();
    std::int64_t tokens = 0;
    for (const auto& step : steps) {
      losses.push_back(step.loss);
      tokens += step.tokens;
    }
    return {{"seconds", seconds}, {"losses", losses}, {"tokens", tokens}};
  }

  static constexpr std::uint64_t kSeed = 1;

  std::unique_ptr<LanguageModel> model_;
};

Json answer_or_error(Driver& driver, const std::string& line) {
  try {
    return driver.answer(parse_json(line, "stdin"));
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace
}  // namespace holdfast

int main() {
  holdfast::Driver driver;
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << holdfast::answer_or_error(driver, line).dump() << std::endl;
  }
  return 0;
}
