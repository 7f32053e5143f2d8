// Stands in for both libraries of an accelerator's driver. Environment variables say what it tells:
//   FAKE_MILLIJOULES    the file in which the device's counter stands; none: the driver has no counter
//   FAKE_DIVIDED        any value: the device is divided among several
#include <cstdlib>
#include <cstring>
#include <fstream>

extern "C" {

int cuInit(unsigned) { return 0; }

int cuDeviceGet(int* device, int index) {
  *device = index + 40;
  return index < 2 ? 0 : 101;
}

int cuDeviceGetPCIBusId(char* address, int, int device) {
  std::strcpy(address, device == 41 ? "0000:3B:00.0" : "0000:3A:00.0");
  return 0;
}

int nvmlInit_v2() { return 0; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* address, void** device) {
  static int second;
  if (std::strcmp(address, "0000:3B:00.0") != 0) return 6;
  *device = &second;
  return 0;
}

int nvmlDeviceGetMigMode(void*, unsigned* now, unsigned* later) {
  *now = *later = std::getenv("FAKE_DIVIDED") != nullptr ? 1 : 0;
  return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void*, unsigned long long* millijoules) {
  const char* const file = std::getenv("FAKE_MILLIJOULES");
  if (file == nullptr) return 3;
  std::ifstream(file) >> *millijoules;
  return 0;
}
}
