// The stand-in accelerator of tests/fakes/standin in this process, and models on it.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "fakes/standin/counts.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/device.h"

namespace holdfast::standin {

/// "standin:0", or another number.
inline at::Device device(int number = 0) {
  static const int named = ::setenv("HOLDFAST_ACCELERATOR", HOLDFAST_STANDIN, 1);  // before anyone asks for a device
  TORCH_CHECK(named == 0);
  return resolve_device("standin:" + std::to_string(number));
}

/// There from the start, whichever tests run: autograd has threads for the devices that it finds at its first backward pass.
struct Loaded final : testing::Environment {
  void SetUp() override { device(); }
};
inline testing::Environment* const kLoaded = testing::AddGlobalTestEnvironment(new Loaded);

/// What crossed the border between host and device so far.
inline StandinCounts counts() {
  device();
  static auto* const so_far =
      reinterpret_cast<StandinCountsSoFar*>(::dlsym(::dlopen(HOLDFAST_STANDIN, RTLD_NOW | RTLD_NOLOAD), "standin_counts"));
  StandinCounts counts;
  so_far(&counts);
  return counts;
}

/// What crosses it while something is done.
inline StandinCounts counts_of(const std::function<void()>& action) {
  const StandinCounts before = counts();
  action();
  const StandinCounts after = counts();
  return {after.to_device - before.to_device, after.to_device_bytes - before.to_device_bytes,
          after.to_host - before.to_host,     after.to_host_bytes - before.to_host_bytes,
          after.reads - before.reads,         after.between - before.between};
}

/// A checkpoint of the fixtures whose weights have another type, somewhere.
inline std::unique_ptr<LanguageModel> load(const std::string& name, at::ScalarType type, at::Device where) {
  const std::shared_ptr<const LanguageModel> model = fixtures::load(name);
  NamedTensors weights;
  for (const auto& [key, tensor] : model->decoder().weights()) weights[key] = tensor.to(where, type, false, /*copy=*/true);
  auto decoder = std::make_shared<Decoder>(model->decoder().config(), std::move(weights), "the moved model");
  const std::shared_ptr<const ChatTemplate> chat(model, &model->chat());
  const std::shared_ptr<const Tokenizer> tokenizer(model, &model->tokenizer());
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, model->stop_tokens(), SideFiles());
}

}  // namespace holdfast::standin
