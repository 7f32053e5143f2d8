#include "learn/device.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

std::string device_refusal(const std::string& name) {
  try {
    resolve_devices(name);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Device, RefusesOtherNames) {
  EXPECT_THAT(device_refusal("gpu"), HasSubstr("\"gpu\" is no device, expected cpu, cuda, cuda:N, cuda:A-B or auto"));
  EXPECT_THAT(device_refusal("cudas"), HasSubstr("is no device"));
  for (const char* name :
       {"cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:1-", "cuda:3-1", "cuda:0-1-2", "cuda:0-128", "cuda:200"}) {
    EXPECT_THAT(device_refusal(name), HasSubstr("has no valid number, expected cuda:0, cuda:1, ..., or cuda:0-3")) << name;
  }
}

TEST(Device, TakesTheProcessor) {
  EXPECT_THAT(resolve_devices("cpu"), testing::ElementsAre(c10::Device(c10::kCPU)));
  EXPECT_EQ(device_for_workers("cpu"), "cpu");
}

TEST(Device, IsTheProcessorWithAWordWhereThereIsNoGpu) {
  if (load_cuda(nullptr)) GTEST_SKIP() << "this machine has a GPU";
  testing::internal::CaptureStderr();
  EXPECT_THAT(resolve_devices("cuda:0-1"), testing::ElementsAre(c10::Device(c10::kCPU)));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("device cuda:0-1 is not available, using the CPU: "));
  EXPECT_EQ(device_for_workers("auto"), "cpu");
}

}  // namespace
}  // namespace holdfast
