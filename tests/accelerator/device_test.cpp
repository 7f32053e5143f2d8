// How an accelerator that is no part of torch becomes a device, and that the stand-in for one finds what it is there to find.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "accelerator/standin.h"
#include "work/account.h"
#include "work/peak_memory.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

at::Tensor numbers(at::Device device) { return at::arange(6, at::kFloat).view({2, 3}).to(device); }

TEST(Accelerator, IsADeviceByTheNameThatItsLibraryRegistered) {
  EXPECT_EQ(standin::device(1).str(), "standin:1");
  EXPECT_EQ(other_accelerator(), "standin");
  EXPECT_EQ(resolve_device("standin"), standin::device(0));
  EXPECT_EQ(resolve_device("auto"), standin::device(0));
  EXPECT_TRUE(resolve_device("cpu").is_cpu());
  EXPECT_EQ(resolve_dtype("default", standin::device()), at::kBFloat16);
  EXPECT_TRUE(has_device("standin:0"));
  EXPECT_FALSE(has_device("another"));
  EXPECT_EQ(loaded_accelerators(), std::vector{c10::kPrivateUse1});
  EXPECT_EQ(device_count(c10::kPrivateUse1), 2);
}

TEST(Accelerator, RefusesNamesThatNoDeviceHas) {
  standin::device();
  EXPECT_EQ(message_of([] { resolve_device("standin:2"); }),
            "device \"standin:2\" does not exist: this machine has 2 standin device(s)");
  EXPECT_EQ(
      message_of([] { resolve_device("standin:x"); }),
      "\"standin:x\" has no valid number, expected standin:0, standin:1, ..., or standin:0-3 for a model spread over four");
  EXPECT_EQ(message_of([] { resolve_device("tpu"); }),
            "\"tpu\" is no device, expected cpu, cuda, cuda:N, cuda:A-B, standin, standin:N or auto");
  EXPECT_EQ(message_of([] { resolve_device("cpu:0"); }),
            "\"cpu:0\" is no device, expected cpu, cuda, cuda:N, cuda:A-B, standin, standin:N or auto");
}

TEST(Accelerator, IsInTheAccountsAsWhatItIs) {
  const at::Device device = standin::device();
  Account account;
  account.holds(device);
  reset_peak_memory();
  const at::Tensor held = at::zeros({1 << 20}, at::TensorOptions(device).dtype(at::kFloat));
  EXPECT_GE(peak_memory().device, 4 << 20);
  Json cost;
  account.close(cost);
  EXPECT_TRUE(cost.contains("device_seconds"));
  EXPECT_FALSE(cost.contains("device_joules")) << "no NVIDIA driver knows it";
  EXPECT_FALSE(cost.contains("energy_joules")) << "the processors' alone would look like the whole";
}

TEST(Standin, ComputesWhatTheProcessorComputes) {
  const at::Tensor here = numbers(at::kCPU), there = numbers(standin::device());
  EXPECT_TRUE(at::equal(at::mm(there, there.t()).cpu(), at::mm(here, here.t())));
  EXPECT_TRUE(at::equal(there.narrow(1, 1, 2).mul_(2).cpu(), here.narrow(1, 1, 2).mul(2)));
  EXPECT_EQ(there[0][1].item<float>(), 2) << "a view shares the bytes";
  at::Tensor grown = at::zeros({2}, there.options());
  grown.resize_({1000}).fill_(7);
  EXPECT_EQ(grown.sum().item<float>(), 7000);
}

TEST(Standin, HasMemoryThatTheHostCannotRead) {
  const at::Tensor there = numbers(standin::device());
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(static_cast<void>(*static_cast<volatile const float*>(there.const_data_ptr<float>())),
              testing::KilledBySignal(SIGSEGV), testing::_);
}

TEST(Standin, RefusesTensorsOfSeveralDevicesInOneOperator) {
  const at::Tensor first = numbers(standin::device(0)), second = numbers(standin::device(1)), host = numbers(at::kCPU);
  EXPECT_THAT(message_of([&] { at::add(first, second); }), HasSubstr("devices, standin:0 and standin:1"));
  EXPECT_THAT(message_of([&] { at::add(first, host); }), HasSubstr("devices, standin:0 and cpu"));
  EXPECT_THAT(message_of([&] { at::cat({first, host}); }), HasSubstr("devices"));
  EXPECT_THAT(message_of([&] { first.index_select(0, at::zeros({1}, at::kLong)); }), HasSubstr("devices"));
  EXPECT_TRUE(at::equal(at::mul(first, at::scalar_tensor(2)).cpu(), host * 2)) << "a number of the host is an argument";
}

TEST(Standin, CountsWhatCrossesTheBorder) {
  const at::Device device = standin::device();
  const at::Tensor here = numbers(at::kCPU);
  at::Tensor there;
  const auto up = standin::counts_of([&] { there = here.to(device); });
  EXPECT_EQ(up.to_device, 1U);
  EXPECT_EQ(up.to_device_bytes, 24U);
  EXPECT_EQ(up.to_host + up.reads + up.between, 0U);
  const auto down = standin::counts_of([&] { there.cpu(); });
  EXPECT_EQ(down.to_host, 1U);
  EXPECT_EQ(down.to_host_bytes, 24U);
  const auto still = standin::counts_of([&] { at::softmax(there.t().matmul(there), -1).add_(1).clone(); });
  EXPECT_EQ(still.to_device + still.to_host + still.reads, 0U);
  EXPECT_EQ(standin::counts_of([&] { there.sum().item<float>(); }).reads, 1U);
  EXPECT_EQ(standin::counts_of([&] { at::equal(there, there.clone()); }).reads, 1U);
  EXPECT_EQ(standin::counts_of([&] { there.masked_select(there > 2); }).reads, 1U);
  EXPECT_EQ(standin::counts_of([&] { there.to(standin::device(1)); }).between, 1U);
}

}  // namespace
}  // namespace holdfast
