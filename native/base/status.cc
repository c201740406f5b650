#include "base/status.h"

namespace granary {

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk: return "OK";
    case Code::kInvalid: return "INVALID";
    case Code::kDenied: return "DENIED";
    case Code::kNotFound: return "NOT_FOUND";
    case Code::kExists: return "EXISTS";
    case Code::kLocked: return "LOCKED";
    case Code::kBusy: return "BUSY";
    case Code::kNoSpace: return "NO_SPACE";
    case Code::kCorrupt: return "CORRUPT";
    case Code::kIo: return "IO";
    case Code::kUnavailable: return "UNAVAILABLE";
    case Code::kUnsupported: return "UNSUPPORTED";
    case Code::kCancelled: return "CANCELLED";
  }
  return "IO";
}

}  // namespace granary
