// Errors on the plugin's side: throw sdk::Failure (or anything else) inside, hand a scf_status across. No exception
// crosses the ABI: every entry of a table is wrapped in guard().
#pragma once

#include <seacliff/sdk/kernel.hpp>

#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace seacliff::sdk {

/// A machine-readable detail of an error. Documented keys: node, heap, need, free, native_code, mend.
struct Detail {
  std::string key;
  std::variant<std::int64_t, double, std::string> value;
};

/// One clear sentence that names the thing at fault.
class Failure : public std::exception {
public:
  Failure(std::uint32_t code, std::string message, std::vector<Detail> details = {})
      : code_(code), message_(std::move(message)), details_(std::move(details)) {}

  std::uint32_t code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<Detail>& details() const { return details_; }
  const char* what() const noexcept override { return message_.c_str(); }

private:
  std::uint32_t code_; // SCF_*
  std::string message_;
  std::vector<Detail> details_;
};

/// Owns a scf_status; empty means OK.
class Status {
public:
  Status() = default;
  Status(const scf_host* host, scf_status* status) : host_(host), status_(status) {}
  ~Status() { reset(); }
  Status(Status&& other) noexcept : host_(other.host_), status_(std::exchange(other.status_, nullptr)) {}
  Status& operator=(Status&& other) noexcept {
    if (this != &other) {
      reset();
      host_ = other.host_;
      status_ = std::exchange(other.status_, nullptr);
    }
    return *this;
  }

  bool ok() const { return status_ == nullptr; }
  std::uint32_t code() const { return ok() ? std::uint32_t{SCF_OK} : host_->status_code(host_->ctx, status_); }
  std::string_view message() const {
    return ok() ? std::string_view{} : view(host_->status_message(host_->ctx, status_));
  }
  scf_status* clone() const { return ok() ? nullptr : host_->status_clone(host_->ctx, status_); }
  scf_status* release() { return std::exchange(status_, nullptr); }
  const scf_status* get() const { return status_; }

private:
  void reset() {
    if (status_ != nullptr) host_->status_free(host_->ctx, status_);
    status_ = nullptr;
  }

  const scf_host* host_ = nullptr;
  scf_status* status_ = nullptr;
};

/// A status without details; allocates on the host's side only.
inline scf_status* make_status(const scf_host* host, std::uint32_t code, std::string_view message) noexcept {
  return host->status(host->ctx, code, str(message), nullptr, 0);
}

/// The status that carries a Failure across.
inline scf_status* make_status(const scf_host* host, const Failure& failure) {
  std::vector<scf_kv> pairs;
  for (const Detail& detail : failure.details()) {
    scf_kv pair{str(detail.key), SCF_KV_INT, 0, {}};
    if (const auto* integer = std::get_if<std::int64_t>(&detail.value)) {
      pair.v.i = *integer;
    } else if (const auto* real = std::get_if<double>(&detail.value)) {
      pair.type = SCF_KV_FLOAT;
      pair.v.f = *real;
    } else {
      pair.type = SCF_KV_STR;
      pair.v.s = str(std::get<std::string>(detail.value));
    }
    pairs.push_back(pair);
  }
  return host->status(host->ctx, failure.code(), str(failure.message()), pairs.data(),
                      static_cast<std::uint32_t>(pairs.size()));
}

/// Runs `body` (void, or returning a scf_status*) and turns whatever it throws into a status.
template <typename Body> scf_status* guard(const scf_host* host, Body&& body) noexcept {
  try {
    if constexpr (std::is_same_v<decltype(body()), scf_status*>) {
      return body();
    } else {
      body();
      return nullptr;
    }
  } catch (const Failure& failure) {
    try {
      return make_status(host, failure);
    } catch (...) {
      return make_status(host, failure.code(), failure.message());
    }
  } catch (const std::bad_alloc&) {
    return make_status(host, SCF_RESOURCE_EXHAUSTED, "out of host memory inside the plugin");
  } catch (const std::exception& error) {
    return make_status(host, SCF_INTERNAL, error.what());
  } catch (...) {
    return make_status(host, SCF_INTERNAL, "an exception of unknown type inside the plugin");
  }
}

/// Throws what a host service returned, so that code between the boundaries reads straight.
inline void check(const scf_host* host, scf_status* status) {
  if (status == nullptr) return;
  const Status owned(host, status);
  throw Failure(owned.code(), std::string(owned.message()));
}

} // namespace seacliff::sdk
