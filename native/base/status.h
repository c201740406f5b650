// What went wrong, as a value: one small table of codes chosen by what the caller does next.
// The same dozen stands in src/base/errors.ts; a test compares the two lists.
#ifndef GRANARY_BASE_STATUS_H_
#define GRANARY_BASE_STATUS_H_

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace granary {

enum class Code : int {
  kOk = 0,
  kInvalid,      // correct the call
  kDenied,       // log in, unlock, or ask
  kNotFound,     // decide
  kExists,       // decide
  kLocked,       // wait for the retention to end
  kBusy,         // come again soon: a bound is reached
  kNoSpace,      // clean, then come again
  kCorrupt,      // quarantine and repair
  kIo,           // stop using that device
  kUnavailable,  // peer or bucket out of reach
  kUnsupported,  // a newer format than we know
  kCancelled,    // nothing
};

// The code's name as it crosses to TypeScript ("NO_SPACE"). Static storage.
const char* CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status Ok() { return {}; }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // The same failure seen from one storey up: "closing data store ab12: disk full".
  Status Within(const std::string& what) const {
    return ok() ? *this : Status(code_, what + ": " + message_);
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}                // NOLINT: implicit by intent
  Result(Status status) : state_(std::move(status)) {          // NOLINT: implicit by intent
    CHECK(!std::get<Status>(state_).ok());
  }
  bool ok() const { return std::holds_alternative<T>(state_); }
  Status status() const { return ok() ? Status::Ok() : std::get<Status>(state_); }
  T& value() {
    CHECK(ok());
    return std::get<T>(state_);
  }
  const T& value() const {
    CHECK(ok());
    return std::get<T>(state_);
  }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Status> state_;
};

#define GRANARY_CONCAT_INNER(a, b) a##b
#define GRANARY_CONCAT(a, b) GRANARY_CONCAT_INNER(a, b)
// Leaves the calling function with the failure, if there is one.
#define RETURN_IF_ERROR(expression)                                   \
  do {                                                                \
    if (::granary::Status status_ = (expression); !status_.ok()) return status_; \
  } while (0)
// ASSIGN_OR_RETURN(auto x, F()): x is F's value, or the calling function returns its failure.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(GRANARY_CONCAT(result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(name, declaration, expression) \
  auto name = (expression);                                   \
  if (!name.ok()) return name.status();                       \
  declaration = std::move(name.value())

}  // namespace granary

#endif  // GRANARY_BASE_STATUS_H_
