// Prints any file this folder writes, field by field, as one JSON document, from the same decoders that the
// engine uses. Never writes. Without keys only what is stored in the clear; with them whether each record
// opens, too.
#ifndef GRANARY_DATASTORE_INSPECT_H_
#define GRANARY_DATASTORE_INSPECT_H_

#include <string>

#include "datastore/data_store.h"

namespace granary {

inline constexpr size_t kInspectRecordCountMax = 64;    // of a file's first records, and of its last ones
inline constexpr size_t kInspectPayloadSizeMax = 1024;  // bytes of a log record's payload, in hex

// kUnsupported when the first bytes are of none of our formats.
// `data_keys` may be empty, `log_key` null: none at hand.
Result<std::string> InspectFile(FileSystem* files, const std::string& path,
                                const DataStore::KeyOfEpoch& data_keys, const Key* log_key);

}  // namespace granary

#endif  // GRANARY_DATASTORE_INSPECT_H_
