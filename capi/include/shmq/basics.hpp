// What the other headers share: how long to wait, views of arrays, the schema of a type, options.
#ifndef SHMQ_BASICS_HPP
#define SHMQ_BASICS_HPP

#include "../shmq_schema.h"
#include "error.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <new>
#include <string>
#include <type_traits>
#if defined(__has_include)
#if __has_include(<span>) && __cplusplus >= 202002L
#include <span>
#endif
#endif

namespace shmq {

/// How long a verb waits: for ever, not at all, for a while, or until a time of `steady_clock` (which is
/// CLOCK_MONOTONIC, as the library has it).
class until {
public:
    template <typename Rep, typename Period>
    until(std::chrono::duration<Rep, Period> timeout)
        : until(std::chrono::steady_clock::now() + std::chrono::ceil<std::chrono::nanoseconds>(bounded(timeout))) {}
    template <typename Duration> until(std::chrono::time_point<std::chrono::steady_clock, Duration> deadline) {
        auto since = std::chrono::ceil<std::chrono::nanoseconds>(bounded(deadline.time_since_epoch())).count();
        // 0 would be a try, and the largest number no end.
        nanoseconds_ = since <= 0 ? 1 : static_cast<std::uint64_t>(since);
    }
    std::uint64_t nanoseconds() const noexcept { return nanoseconds_; }
    /// What a verb says that was not done by then: after one try, or when the time was up.
    ::shmq_error miss(::shmq_error of_a_try) const noexcept { return nanoseconds_ == SHMQ_TRY ? of_a_try : SHMQ_ERROR_TIMEOUT; }

    static constexpr until of(std::uint64_t nanoseconds) noexcept { return until(nanoseconds); }

private:
    explicit constexpr until(std::uint64_t nanoseconds) noexcept : nanoseconds_(nanoseconds) {}
    /// From nothing to a hundred years: no clock overflows. What is between stays as exact as it is.
    template <typename Rep, typename Period>
    static std::common_type_t<std::chrono::duration<Rep, Period>, std::chrono::nanoseconds> bounded(std::chrono::duration<Rep, Period> time) {
        using exact = std::common_type_t<std::chrono::duration<Rep, Period>, std::chrono::nanoseconds>;
        constexpr std::chrono::hours most(24 * 36525);
        std::chrono::duration<double> about = time;
        return about.count() <= 0 ? exact::zero() : about < most ? exact(time) : exact(most);
    }

    std::uint64_t nanoseconds_ = SHMQ_FOREVER;
};

inline constexpr until forever = until::of(SHMQ_FOREVER);
inline constexpr until no_wait = until::of(SHMQ_TRY);

#if defined(__cpp_lib_span)
template <typename T> using span = std::span<T>;
#else
/// A view of elements in a row: `std::span` where that exists.
template <typename T> class span {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;

    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N> constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <typename Container, typename = std::enable_if_t<std::is_convertible<
                                      decltype(std::declval<Container &>().data()), T *>::value &&
                                      !std::is_same<std::remove_cv_t<Container>, span>::value>>
    constexpr span(Container &container) noexcept : data_(container.data()), size_(container.size()) {}
    template <typename Container, typename = std::enable_if_t<std::is_const<T>::value && std::is_convertible<
                                      decltype(std::declval<const Container &>().data()), T *>::value>, typename = void>
    constexpr span(const Container &container) noexcept : data_(container.data()), size_(container.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    constexpr T &operator[](std::size_t at) const noexcept { return data_[at]; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr span first(std::size_t count) const noexcept { return span(data_, count); }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

namespace detail {

template <typename T, typename = void> struct has_schema : std::false_type {};
template <typename T> struct has_schema<T, std::void_t<decltype(shmq_schema_of(static_cast<const T *>(nullptr)))>> : std::true_type {};

/// The name of a number in structures.
template <typename T> constexpr const char *scalar_name() {
    if constexpr (std::is_same<T, bool>::value) {
        return "bool";
    } else if constexpr (std::is_same<T, std::byte>::value) {
        return "u8";
    } else if constexpr (std::is_same<T, float>::value) {
        return "f32";
    } else if constexpr (std::is_same<T, double>::value) {
        return "f64";
    } else if constexpr (std::is_integral<T>::value) {
        constexpr bool is_signed = std::is_signed<T>::value && !std::is_same<T, char>::value;
        return sizeof(T) == 1   ? (is_signed ? "i8" : "u8")
               : sizeof(T) == 2 ? (is_signed ? "i16" : "u16")
               : sizeof(T) == 4 ? (is_signed ? "i32" : "u32")
               : sizeof(T) == 8 ? (is_signed ? "i64" : "u64")
                                : (is_signed ? "i128" : "u128");
    } else {
        return nullptr;
    }
}

} // namespace detail

/// The structure of a type as text, which all languages compare. Of a number by itself; of a struct by
/// `SHMQ_SCHEMA` beside it; of `std::array` from its element. Specialise it for a type that has its text
/// from elsewhere.
template <typename T> struct schema {
    static const char *text() {
        static_assert(detail::has_schema<T>::value || detail::scalar_name<T>() != nullptr,
                      "shmq: this type has no schema: write SHMQ_SCHEMA(type, (u64, field), ...) beside it");
        if constexpr (detail::has_schema<T>::value) {
            return shmq_schema_of(static_cast<const T *>(nullptr));
        } else {
            return detail::scalar_name<T>();
        }
    }
};

template <typename T, std::size_t N> struct schema<std::array<T, N>> {
    static const char *text() {
        static const std::string written = "[" + std::string(schema<T>::text()) + "; " + std::to_string(N) + "]";
        return written.c_str();
    }
};

/// Ends waits of the handles that are made with it: they fail with `SHMQ_ERROR_INTERRUPTED`. `set` may be
/// called in a signal handler.
class stop {
public:
    stop() {
        ::shmq_stop *made = nullptr;
        detail::throwing::done(::shmq_stop_new(&made));
        handle_ = detail::owned<::shmq_stop, ::shmq_stop_free>(made);
    }
    void set() noexcept { (void)::shmq_stop_set(handle_.get()); }
    bool is_set() const noexcept {
        bool found = false;
        (void)::shmq_stop_is_set(handle_.get(), &found);
        return found;
    }
    ::shmq_stop *get() const noexcept { return handle_.get(); }

private:
    detail::owned<::shmq_stop, ::shmq_stop_free> handle_;
};

/// A descriptor for epoll that says when a verb would not wait.
class readiness {
public:
    explicit readiness(::shmq_readiness *handle) noexcept : handle_(handle) {}
    int fd() const {
        int found = -1;
        detail::throwing::done(::shmq_readiness_fd(handle_.get(), &found));
        return found;
    }
    /// Call it after the descriptor was readable, and use the queue until there is nothing more. `true`: it
    /// is ready again at once.
    bool rearm() {
        bool is_ready = false;
        detail::throwing::done(::shmq_readiness_rearm(handle_.get(), &is_ready));
        return is_ready;
    }

private:
    detail::owned<::shmq_readiness, ::shmq_readiness_free> handle_;
};

/// Options of queues and topics: `shmq::options().capacity(1000).persist()`. What is not said is the
/// library's default.
class options {
public:
    options() noexcept { raw_.size = sizeof raw_; }
    options(std::size_t capacity) noexcept : options() { raw_.capacity = capacity; }

    options &capacity(std::size_t messages) { return raw_.capacity = messages, *this; }
    options &capacity_bytes(std::size_t bytes) { return raw_.capacity_bytes = bytes, *this; }
    options &schema(std::string name) { return schema_ = std::move(name), *this; }
    options &type_name(std::string name) { return type_name_ = std::move(name), *this; }
    options &directory(std::string path) { return directory_ = std::move(path), *this; }
    options &dead_letters(std::string name) { return dead_letters_ = std::move(name), *this; }
    options &max_deliveries(std::uint32_t n) { return raw_.max_deliveries = n, *this; }
    options &max_participants(std::uint32_t n) { return raw_.max_participants = n, *this; }
    options &max_subscribers(std::uint32_t n) { return raw_.max_subscribers = n, *this; }
    options &history(std::size_t messages) { return raw_.history = messages, *this; }
    options &max_lag_before_evict(std::size_t messages) { return raw_.max_lag_before_evict = messages, *this; }
    options &mode(std::uint32_t unix_permissions) { return raw_.mode = unix_permissions, *this; }
    options &allow_owner(std::uint32_t uid) { return raw_.owner_uid = uid, flag(SHMQ_ALLOW_OWNER); }
    options &allow_any_owner() { return flag(SHMQ_ALLOW_ANY_OWNER); }
    options &persist() { return flag(SHMQ_PERSIST); }
    options &close_when_unused() { return flag(SHMQ_CLOSE_WHEN_UNUSED); }
    options &lock_memory() { return flag(SHMQ_LOCK_MEMORY); }
    options &huge_pages() { return flag(SHMQ_HUGE_PAGES); }
    options &full_fence() { return flag(SHMQ_FULL_FENCE); }
    options &wait_strategy(std::uint32_t strategy, std::uint32_t spins = 0, std::uint32_t yields = 0) {
        return raw_.wait_strategy = strategy, raw_.spins = spins, raw_.yields = yields, *this;
    }
    /// The stop lives as long as what is made with it.
    options &stop(const class stop &it) { return raw_.stop = it.get(), *this; }

    /// As the library takes them, for messages of type `T`, or slices of `X` where `T` is `X[]`.
    template <typename T> ::shmq_queue_options of() const {
        using X = std::remove_extent_t<T>;
        static_assert(std::extent<T>::value == 0, "shmq: messages of a fixed number of elements are std::array<X, N>");
        static_assert(std::is_trivially_copyable<X>::value, "shmq: messages are trivially copyable: they are copied byte by byte");
        static_assert(!std::is_const<X>::value, "shmq: messages are no constants: getters write them");
        static_assert(!std::is_same<T, bool[]>::value, "shmq: slices of bool are slices of std::uint8_t: std::vector<bool> has no bytes");
        ::shmq_queue_options made = raw();
        made.form = std::is_array<T>::value ? SHMQ_FORM_SLICE : SHMQ_FORM_VALUE;
        made.message_size = sizeof(X);
        made.message_align = alignof(X);
        made.structure = shmq::schema<X>::text();
        if (!made.type_name) {
            // Numbers have the same names everywhere; structs are compared by their fields.
            made.type_name = detail::scalar_name<X>();
        }
        return made;
    }
    ::shmq_queue_options raw() const {
        ::shmq_queue_options made = raw_;
        auto text = [](const std::string &of) { return of.empty() ? nullptr : of.c_str(); };
        made.schema = text(schema_);
        made.type_name = text(type_name_);
        made.directory = text(directory_);
        made.dead_letters = text(dead_letters_);
        return made;
    }

private:
    options &flag(std::uint32_t bit) { return raw_.flags |= bit, *this; }

    ::shmq_queue_options raw_ = {};
    std::string schema_, type_name_, directory_, dead_letters_;
};

namespace detail {

/// Room for a value that the library writes: a type need not have a default.
template <typename T> union blank {
    blank() {}
    T value;
};

inline const char *c_string(const std::string &name) { return name.empty() ? nullptr : name.c_str(); }

} // namespace detail
} // namespace shmq

#endif
