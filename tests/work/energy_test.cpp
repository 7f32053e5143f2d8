#include "work/energy.h"

#include <base/scratch_folder.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "work/account.h"

namespace holdfast {
namespace {

// A machine with what powercap and /proc/stat say.
class Processors : public testing::Test {
 protected:
  void zone(const std::string& folder, const std::string& name, std::uint64_t range) {
    fs::create_directories(scratch_ / "powercap" / folder);
    write_file(scratch_ / "powercap" / folder / "name", name + "\n");
    write_file(scratch_ / "powercap" / folder / "max_energy_range_uj", std::to_string(range) + "\n");
    counter(folder, 0);
  }
  void counter(const std::string& folder, std::uint64_t microjoules) {
    write_file(scratch_ / "powercap" / folder / "energy_uj", std::to_string(microjoules) + "\n");
  }
  // Seconds in which its processors computed, and those in which they waited.
  void machine(double busy, double idle) {
    const auto ticks = [](double seconds) {
      return std::to_string(static_cast<std::int64_t>(seconds * static_cast<double>(::sysconf(_SC_CLK_TCK))));
    };
    write_file(files_.stat, "cpu  " + ticks(busy - 3) + " " + ticks(1) + " " + ticks(1) + " " + ticks(idle) + " 77 " +
                                ticks(0.5) + " " + ticks(0.5) + " 900 11 12\ncpu0 1 2 3\n");
  }

  ScratchFolder scratch_;
  ProcessorFiles files_{scratch_ / "powercap", scratch_ / "stat"};
};

TEST_F(Processors, AStageBearsItsShareOfWhatTheyUsed) {
  zone("intel-rapl:0", "package-0", 1000000000);
  zone("intel-rapl:1", "package-1", 1000000000);
  machine(100, 50);
  ProcessorEnergy energy(files_);
  counter("intel-rapl:0", 30000000);
  counter("intel-rapl:1", 10000000);
  machine(108, 60);
  EXPECT_DOUBLE_EQ(energy.joules(2).value(), 40.0 * 2 / 8);
}

// Its parts, and a second driver's name for it, are counted in a package already.
TEST_F(Processors, APackageCountsOnce) {
  zone("intel-rapl:0", "package-0", 1000000000);
  zone("intel-rapl:0:0", "core", 1000000000);
  zone("intel-rapl-mmio:0", "package-0", 1000000000);
  machine(10, 0);
  ProcessorEnergy energy(files_);
  for (const char* folder : {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl-mmio:0"}) counter(folder, 6000000);
  machine(14, 0);
  EXPECT_DOUBLE_EQ(energy.joules(4).value(), 6);
}

TEST_F(Processors, ACounterBeginsAnewBehindItsRange) {
  zone("intel-rapl:0", "package-0", 5000000);
  counter("intel-rapl:0", 4000000);
  machine(10, 0);
  ProcessorEnergy energy(files_);
  counter("intel-rapl:0", 1000000);  // 2 J on
  energy.look();
  counter("intel-rapl:0", 4500000);  // 3.5 J on
  energy.look();
  counter("intel-rapl:0", 500000);  // 1 J on
  machine(11, 0);
  EXPECT_DOUBLE_EQ(energy.joules(1).value(), 6.5);
}

// The kernel counts all processors in hundredths of a second.
TEST_F(Processors, NobodyBearsMoreThanAll) {
  zone("intel-rapl:0", "package-0", 5000000);
  machine(10, 0);
  ProcessorEnergy energy(files_);
  counter("intel-rapl:0", 1000000);
  EXPECT_DOUBLE_EQ(energy.joules(0.004).value(), 1);
}

TEST_F(Processors, WhatTheMachineDoesNotTellIsNotZero) {
  EXPECT_FALSE(ProcessorEnergy(files_).joules(1)) << "no counters, no statistics";
  machine(10, 0);
  EXPECT_FALSE(ProcessorEnergy(files_).joules(1)) << "no counters";
  zone("intel-rapl:0", "package-0", 5000000);
  EXPECT_FALSE(ProcessorEnergy(files_).joules(0)) << "a share of nothing";
  ProcessorEnergy lost(files_);
  fs::remove(scratch_ / "powercap/intel-rapl:0/energy_uj");
  EXPECT_FALSE(lost.joules(1)) << "a counter that may be read no more";
  EXPECT_FALSE(ProcessorEnergy(files_).joules(1)) << "a counter that may not be read";
  counter("intel-rapl:0", 0);
  ProcessorEnergy without(files_);
  fs::remove(files_.stat);
  EXPECT_FALSE(without.joules(1)) << "nobody says what the others did";
}

// Driver libraries that are ours.
class Device : public testing::Test {
 protected:
  Device() { tell(7000); }
  ~Device() override {
    ::unsetenv("FAKE_MILLIJOULES");
    ::unsetenv("FAKE_DIVIDED");
  }
  void tell(std::uint64_t millijoules) {
    write_file(scratch_ / "counter", std::to_string(millijoules));
    ::setenv("FAKE_MILLIJOULES", (scratch_ / "counter").c_str(), 1);
  }

  ScratchFolder scratch_;
  DriverLibraries libraries_{HOLDFAST_FAKE_ACCELERATOR, HOLDFAST_FAKE_ACCELERATOR};
};

TEST_F(Device, ItsCounterIsFoundByItsPlaceOnTheBus) {
  const DeviceEnergy second(1, libraries_), first(0, libraries_), absent(5, libraries_);
  tell(9500);
  EXPECT_DOUBLE_EQ(second.joules().value(), 2.5);
  EXPECT_FALSE(first.joules()) << "one that the management library does not know";
  EXPECT_FALSE(absent.joules());
}

TEST_F(Device, WhatTheDriverDoesNotTellIsNotZero) {
  const DeviceEnergy lost(1, libraries_);
  ::unsetenv("FAKE_MILLIJOULES");
  EXPECT_FALSE(lost.joules());
  const DeviceEnergy without(1, libraries_);
  tell(9500);
  EXPECT_FALSE(without.joules());
  EXPECT_FALSE(DeviceEnergy(1, {"libno-such-driver.so.1", HOLDFAST_FAKE_ACCELERATOR}).joules());
  EXPECT_FALSE(DeviceEnergy(1, {HOLDFAST_FAKE_ACCELERATOR, "libno-such-driver.so.1"}).joules());
  ::setenv("FAKE_DIVIDED", "1", 1);
  EXPECT_FALSE(DeviceEnergy(1, libraries_).joules()) << "the counter is that of all who share it";
}

TEST(Account, HoldsNoAcceleratorOnAProcessor) {
  Account account;
  account.holds(at::kCPU);
  Json cost;
  account.close(cost);
  EXPECT_FALSE(cost.contains("device_seconds"));
  EXPECT_FALSE(cost.contains("device_joules"));
  EXPECT_GE(cost.at("cpu_seconds").get<double>(), 0);
  EXPECT_EQ(cost.at("flops"), 0);
}

TEST(Account, HoldsAnAcceleratorFromTheFirstModelOn) {
  Account account;
  const auto start = std::chrono::steady_clock::now();
  ::usleep(20000);
  account.holds(at::Device(at::kCUDA, 0));
  account.holds(at::Device(at::kCUDA, 0));
  ::usleep(10000);
  Json cost;
  account.close(cost);
  const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(cost.at("device_seconds").get<double>(), 0.01);
  EXPECT_LE(cost.at("device_seconds").get<double>(), all - 0.019);
  EXPECT_GE(cost.at("seconds").get<double>(), 0.03);
}

}  // namespace
}  // namespace holdfast
