// What the user typed is wrong: exit code 2.
#pragma once

#include "core/base/status.hpp"

#include <utility>

namespace seacliff::tools {

struct UsageError : Error {
  explicit UsageError(std::string message, std::string mend = {})
      : Error(Code::invalid_argument, std::move(message), std::move(mend)) {}
  explicit UsageError(const Error& error) : Error(error.status()) {}
};

/// Runs what only interprets options: an invalid argument in there is a usage error.
template <typename Interpret> auto as_usage(Interpret&& interpret) {
  try {
    return interpret();
  } catch (const Error& error) {
    if (error.code() == Code::invalid_argument) throw UsageError(error);
    throw;
  }
}

} // namespace seacliff::tools
