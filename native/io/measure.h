// What a volume can do: the admission test of performance tiers. Blocks for a few seconds, writes and removes
// one file.
#ifndef GRANARY_IO_MEASURE_H_
#define GRANARY_IO_MEASURE_H_

#include <optional>
#include <string>

#include "base/status.h"

namespace granary {

struct VolumeMeasure {
  double sequential_iops = 0;  // 64 KiB direct writes, then reads, one after another: the slower of the two
  double random_iops = 0;      // 4 KiB direct reads and writes at random places, half each
  std::optional<bool> is_rotational;  // of the block device below, where the kernel says so
};

// kNoSpace: the 64 MiB of the test file do not fit. kIo.
Result<VolumeMeasure> MeasureVolume(const std::string& directory);

}  // namespace granary

#endif  // GRANARY_IO_MEASURE_H_
