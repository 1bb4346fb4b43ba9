// Errors: an exception that has all that the library says, and a result for calls that do not throw.
#ifndef SHMQ_ERROR_HPP
#define SHMQ_ERROR_HPP

#include "../shmq.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace shmq {

/// What went wrong: a code of `shmq.h` and, in `what()`, a text a person can act on. Copies are cheap
/// and do not throw.
///
/// The codes of a wait that ended (full, empty, would block, busy, timeout, interrupted, closed) carry no
/// text of the call, so that a loop of tries costs nothing.
class error : public std::exception {
public:
    /// The last error of this thread, whose code was just returned.
    static error last(::shmq_error code) {
        error found(code);
        if (code == SHMQ_ERROR_FULL || code == SHMQ_ERROR_TIMEOUT || code > SHMQ_ERROR_CLOSED) {
            found.pid_ = ::shmq_error_pid();
            found.lag_ = ::shmq_error_lag();
        }
        if (code > SHMQ_ERROR_CLOSED) {
            auto text = [](const char *of) { return of ? std::string(of) : std::string(); };
            found.details_ = std::make_shared<const details>(
                details{text(::shmq_error_message()), text(::shmq_error_wanted()), text(::shmq_error_found()), ::shmq_error_length(),
                        ::shmq_error_maximum(), ::shmq_error_errno()});
        }
        return found;
    }

    explicit error(::shmq_error code) noexcept : code_(code) {}

    ::shmq_error code() const noexcept { return code_; }
    const char *what() const noexcept override {
        if (details_) {
            return details_->message.c_str();
        }
        switch (code_) {
        case SHMQ_OK: return "shmq: no error";
        case SHMQ_ERROR_FULL: return "shmq: full: there is no room";
        case SHMQ_ERROR_EMPTY: return "shmq: empty: there is no message";
        case SHMQ_ERROR_WOULD_BLOCK: return "shmq: it would have to wait";
        case SHMQ_ERROR_BUSY: return "shmq: busy: a process that does not run holds a lock";
        case SHMQ_ERROR_TIMEOUT: return "shmq: the time was up";
        case SHMQ_ERROR_INTERRUPTED: return "shmq: the stop was set";
        case SHMQ_ERROR_CLOSED: return "shmq: closed: no more messages";
        default: return ::shmq_error_name(code_);
        }
    }

    bool is_full() const noexcept { return code_ == SHMQ_ERROR_FULL; }
    bool is_empty() const noexcept { return code_ == SHMQ_ERROR_EMPTY; }
    bool is_timeout() const noexcept { return code_ == SHMQ_ERROR_TIMEOUT; }
    bool is_closed() const noexcept { return code_ == SHMQ_ERROR_CLOSED; }
    bool is_lagged() const noexcept { return code_ == SHMQ_ERROR_LAGGED; }
    bool is_owner_died() const noexcept { return code_ == SHMQ_ERROR_OWNER_DIED; }
    bool is_mismatch() const noexcept { return code_ == SHMQ_ERROR_MISMATCH; }

    /// The process that is in the way; 0: none.
    std::uint32_t pid() const noexcept { return pid_; }
    /// Messages: the lag of the subscriber that is in the way, or what this one missed (`is_lagged`).
    std::uint64_t lag() const noexcept { return lag_; }
    /// What was given: of a message, of an option.
    std::uint64_t length() const noexcept { return details_ ? details_->length : 0; }
    /// What would have been possible, or is needed.
    std::uint64_t maximum() const noexcept { return details_ ? details_->maximum : 0; }
    /// Of a system call that failed.
    int error_number() const noexcept { return details_ ? details_->error_number : 0; }
    /// Of a mismatch: what this program wants, and what the segment has, in words.
    const char *wanted() const noexcept { return details_ ? details_->wanted.c_str() : ""; }
    const char *found() const noexcept { return details_ ? details_->found.c_str() : ""; }

private:
    struct details {
        std::string message, wanted, found;
        std::uint64_t length, maximum;
        int error_number;
    };

    ::shmq_error code_;
    std::uint32_t pid_ = 0;
    std::uint64_t lag_ = 0;
    std::shared_ptr<const details> details_;
};

namespace detail {

/// Without exceptions (`-fno-exceptions`) the verbs that throw end the program instead, with the text.
[[noreturn]] inline void raise(const error &why) {
#if defined(__cpp_exceptions)
    throw why;
#else
    std::fprintf(stderr, "shmq: %s: %s\n", ::shmq_error_name(why.code()), why.what());
    std::abort();
#endif
}

} // namespace detail

/// A value, or the error that stands in its place. `value()` throws that error.
template <typename T> class [[nodiscard]] result {
public:
    result(T value) : value_(std::move(value)), error_(SHMQ_OK) {}
    result(shmq::error why) : error_(std::move(why)) {}

    explicit operator bool() const noexcept { return value_.has_value(); }
    bool has_value() const noexcept { return value_.has_value(); }
    ::shmq_error code() const noexcept { return error_.code(); }
    const shmq::error &error() const noexcept { return error_; }

    T &value() & { return check(), *value_; }
    const T &value() const & { return check(), *value_; }
    T value() && { return check(), std::move(*value_); }
    T &operator*() & noexcept { return *value_; }
    const T &operator*() const & noexcept { return *value_; }
    T operator*() && noexcept { return std::move(*value_); }
    T *operator->() noexcept { return &*value_; }
    const T *operator->() const noexcept { return &*value_; }

private:
    void check() const {
        if (!value_) {
            detail::raise(error_);
        }
    }

    std::optional<T> value_;
    shmq::error error_;
};

/// Done, or the error.
template <> class [[nodiscard]] result<void> {
public:
    result() noexcept : error_(SHMQ_OK) {}
    result(shmq::error why) : error_(std::move(why)) {}

    explicit operator bool() const noexcept { return error_.code() == SHMQ_OK; }
    bool has_value() const noexcept { return error_.code() == SHMQ_OK; }
    ::shmq_error code() const noexcept { return error_.code(); }
    const shmq::error &error() const noexcept { return error_; }
    void value() const {
        if (!*this) {
            detail::raise(error_);
        }
    }

private:
    shmq::error error_;
};

namespace detail {

/// What the verbs return that throw: values; a miss of a `try_`, `_for` or `_until` form is `false` or
/// `nullopt`.
struct throwing {
    static void done(::shmq_error code) {
        if (code != SHMQ_OK) {
            raise(error::last(code));
        }
    }
    template <typename T> static T value(::shmq_error code, T &&value) {
        done(code);
        return std::forward<T>(value);
    }
    static bool attempt(::shmq_error code, ::shmq_error miss) {
        if (code == miss) {
            return false;
        }
        done(code);
        return true;
    }
    template <typename T> static std::optional<T> maybe(::shmq_error code, ::shmq_error miss, T &&value) {
        if (!attempt(code, miss)) {
            return std::nullopt;
        }
        return std::optional<T>(std::forward<T>(value));
    }
};

/// What the verbs of `nothrow()` return: results, of everything.
struct quiet {
    static result<void> done(::shmq_error code) { return code == SHMQ_OK ? result<void>() : result<void>(error::last(code)); }
    template <typename T> static result<T> value(::shmq_error code, T &&value) {
        return code == SHMQ_OK ? result<T>(std::forward<T>(value)) : result<T>(error::last(code));
    }
    static result<void> attempt(::shmq_error code, ::shmq_error) { return done(code); }
    template <typename T> static result<T> maybe(::shmq_error code, ::shmq_error, T &&of) { return value(code, std::forward<T>(of)); }
};

/// A handle that the verbs of an object use, and that an object that was moved from has no more.
template <typename Handle> class used {
public:
    explicit used(Handle *handle) noexcept : handle_(handle) {}
    used(const used &) noexcept = default;
    used(used &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    used &operator=(const used &) noexcept = default;
    used &operator=(used &&other) noexcept {
        if (this != &other) {
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    ~used() = default;
    operator Handle *() const noexcept { return handle_; }

private:
    Handle *handle_;
};

/// A handle of `shmq.h` that one object owns.
template <typename Handle, ::shmq_error (*Free)(Handle *)> class owned {
public:
    owned() noexcept = default;
    explicit owned(Handle *handle) noexcept : handle_(handle) {}
    owned(owned &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    owned &operator=(owned &&other) noexcept {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    ~owned() { reset(); }

    Handle *get() const noexcept { return handle_; }
    /// Gives it away.
    Handle *release() noexcept { return std::exchange(handle_, nullptr); }
    void reset() noexcept {
        if (handle_) {
            (void)Free(std::exchange(handle_, nullptr));
        }
    }

private:
    Handle *handle_ = nullptr;
};

} // namespace detail
} // namespace shmq

#endif
