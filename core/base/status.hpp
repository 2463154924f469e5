// Errors. Host code throws `Error`; the ABI carries the same thing as scf_status.
#pragma once

#include <seacliff/abi/scf_abi.h>

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace seacliff {

/// Same numbers as SCF_OK ... SCF_DOES_NOT_FIT.
enum class Code : std::uint32_t {
  ok = SCF_OK,
  cancelled = SCF_CANCELLED,
  unknown = SCF_UNKNOWN,
  invalid_argument = SCF_INVALID_ARGUMENT,
  deadline_exceeded = SCF_DEADLINE_EXCEEDED,
  not_found = SCF_NOT_FOUND,
  already_exists = SCF_ALREADY_EXISTS,
  permission_denied = SCF_PERMISSION_DENIED,
  resource_exhausted = SCF_RESOURCE_EXHAUSTED,
  failed_precondition = SCF_FAILED_PRECONDITION,
  aborted = SCF_ABORTED,
  out_of_range = SCF_OUT_OF_RANGE,
  unimplemented = SCF_UNIMPLEMENTED,
  internal = SCF_INTERNAL,
  unavailable = SCF_UNAVAILABLE,
  data_loss = SCF_DATA_LOSS,
  unauthenticated = SCF_UNAUTHENTICATED,
  device_lost = SCF_DEVICE_LOST,
  incompatible = SCF_INCOMPATIBLE,
  does_not_fit = SCF_DOES_NOT_FIT,
};

std::string_view code_name(Code code);

/// One clear sentence that names the thing at fault, one that names the mend, and the machine-readable details.
struct Status {
  using Value = std::variant<std::int64_t, double, std::string>;

  Code code = Code::ok;
  std::string message;
  std::string mend;                                   // may be empty
  std::vector<std::pair<std::string, Value>> details; // keys: node, heap, need, free, native_code, ...

  bool ok() const { return code == Code::ok; }
  /// "message; mend"
  std::string text() const;
};

class Error : public std::exception {
public:
  explicit Error(Status status) : status_(std::move(status)), text_(status_.text()) {}
  Error(Code code, std::string message, std::string mend = {})
      : Error(Status{code, std::move(message), std::move(mend), {}}) {}

  const Status& status() const { return status_; }
  Code code() const { return status_.code; }
  const char* what() const noexcept override { return text_.c_str(); }

private:
  Status status_;
  std::string text_;
};

} // namespace seacliff
