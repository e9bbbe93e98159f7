#include "engine/observe/process_usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace postrider::observe {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

ProcessUsage ReadProcessUsage() {
  ProcessUsage usage;
  rusage kernel{};
  if (getrusage(RUSAGE_SELF, &kernel) == 0) {
    usage.cpu_seconds = Seconds(kernel.ru_utime) + Seconds(kernel.ru_stime);
    usage.peak_resident_bytes = static_cast<std::uint64_t>(kernel.ru_maxrss) * 1024;
  }
  // Pages: the whole size, then what is resident (proc(5)).
  std::uint64_t size = 0, resident = 0;
  if (std::ifstream("/proc/self/statm") >> size >> resident) {
    usage.resident_bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  return usage;
}

}  // namespace postrider::observe
