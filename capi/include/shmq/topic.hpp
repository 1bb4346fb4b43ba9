// Topics: each message goes to every subscriber.
#ifndef SHMQ_TOPIC_HPP
#define SHMQ_TOPIC_HPP

#include "basics.hpp"
#include "guards.hpp"

#include <vector>

namespace shmq {
namespace detail {

struct topic_calls {
    using handle = ::shmq_topic;
    static constexpr auto publish = &::shmq_topic_publish;
    static constexpr auto try_publish = &::shmq_topic_try_publish;
    static constexpr auto publish_deadline = &::shmq_topic_publish_deadline;
    static constexpr auto publish_many = &::shmq_topic_publish_many;
    static constexpr auto loan = &::shmq_topic_loan;
};

struct publisher_calls {
    using handle = ::shmq_publisher;
    static constexpr auto publish = &::shmq_publisher_publish;
    static constexpr auto try_publish = &::shmq_publisher_try_publish;
    static constexpr auto publish_deadline = &::shmq_publisher_publish_deadline;
    static constexpr auto publish_many = &::shmq_publisher_publish_many;
    static constexpr auto loan = &::shmq_publisher_loan;
};

/// The bytes of a message: of a value, or of the elements of a slice.
template <typename T> struct message_of {
    using argument = const T &;
    static const void *data(argument message) { return &message; }
    static std::size_t bytes(argument) { return sizeof(T); }
};
template <typename X> struct message_of<X[]> {
    using argument = span<const X>;
    static const void *data(argument message) { return message.data(); }
    static std::size_t bytes(argument message) { return message.size() * sizeof(X); }
};

template <typename T, typename Calls, typename Policy> class publish_verbs {
    using as = message_of<T>;
    using argument = typename as::argument;

public:
    /// Publishes a copy; waits while a gating subscriber is a whole capacity behind.
    auto publish(argument message) const { return Policy::done(Calls::publish(it_, as::data(message), as::bytes(message))); }
    /// `false`: a subscriber is in the way.
    auto try_publish(argument message) const {
        return Policy::attempt(Calls::try_publish(it_, as::data(message), as::bytes(message)), SHMQ_ERROR_FULL);
    }
    template <typename Rep, typename Period> auto publish_for(argument message, std::chrono::duration<Rep, Period> timeout) const {
        return publish_until(message, until(timeout));
    }
    auto publish_until(argument message, until deadline) const {
        auto code = Calls::publish_deadline(it_, as::data(message), as::bytes(message), deadline.nanoseconds());
        return Policy::attempt(code, SHMQ_ERROR_TIMEOUT);
    }
    /// Of values: publishes all of them, in order; how many were if the time was up.
    template <typename U = T, typename = std::enable_if_t<!std::is_array<U>::value>>
    auto publish_many(span<const U> messages, until deadline = forever) const {
        std::size_t done = 0;
        auto code = Calls::publish_many(it_, messages.data(), messages.size(), deadline.nanoseconds(), &done);
        return Policy::value(code, std::move(done));
    }
    /// Room for a value, to be written in place: it is published by `commit`.
    template <typename U = T, typename = std::enable_if_t<!std::is_array<U>::value>> auto loan(until deadline = forever) const {
        return lend(1, deadline);
    }
    /// Room for a slice of `count` elements; `commit(n)` publishes the first n of them.
    template <typename U = T, typename = std::enable_if_t<std::is_array<U>::value>>
    auto loan(std::size_t count, until deadline = forever) const {
        return lend(count, deadline);
    }

    using handle_type = typename Calls::handle;
    explicit publish_verbs(handle_type *it) noexcept : it_(it) {}

protected:
    auto lend(std::size_t count, until deadline) const {
        ::shmq_loan *made = nullptr;
        void *data = nullptr;
        auto code = Calls::loan(it_, count * sizeof(std::remove_extent_t<T>), deadline.nanoseconds(), &made, &data);
        return Policy::value(code, shmq::loan<T>(made, data, count));
    }
    used<handle_type> it_;
};

} // namespace detail

/// A message of a topic, in place. One at a time of each subscriber; the destructor passes it.
template <typename T> class [[nodiscard]] sample : public detail::place<T> {
public:
    sample(::shmq_subscriber *of, const void *data, std::size_t count) noexcept
        : detail::place<T>(const_cast<void *>(data), count), of_(of) {}
    sample(sample &&other) noexcept : detail::place<T>(other), of_(std::exchange(other.of_, nullptr)) {}
    sample &operator=(sample &&) = delete;
    ~sample() {
        if (of_) {
            (void)::shmq_subscriber_pass(of_);
        }
    }

private:
    ::shmq_subscriber *of_;
};

namespace detail {

template <typename T, typename Policy> class next_verbs {
    using X = std::remove_extent_t<T>;
    /// Read in place without a right to write: every subscriber reads the same bytes.
    using constant = std::conditional_t<std::is_array<T>::value, const X[], const X>;

public:
    /// The next message, by copy; waits for it. A lossy subscriber that was overtaken gets
    /// `SHMQ_ERROR_LAGGED`, once, and goes on with what is left.
    auto next() const {
        room to;
        auto code = fill(to, forever);
        return Policy::value(code, taken(to));
    }
    auto try_next() const { return maybe(no_wait, SHMQ_ERROR_EMPTY); }
    template <typename Rep, typename Period> auto next_for(std::chrono::duration<Rep, Period> timeout) const {
        return next_until(until(timeout));
    }
    auto next_until(until deadline) const { return maybe(deadline, deadline.miss(SHMQ_ERROR_EMPTY)); }
    /// The newest message; older ones are passed as missed.
    auto latest() const {
        room to;
        auto code = grow(to, [this](void *data, std::size_t capacity, std::size_t *length) {
            return ::shmq_subscriber_latest(it_, data, capacity, length);
        });
        return Policy::value(code, taken(to));
    }
    /// The next message in place, of a gating subscriber: publishers wait for it.
    auto read(until deadline = forever) const {
        const void *data = nullptr;
        std::size_t length = 0;
        auto code = ::shmq_subscriber_read(it_, deadline.nanoseconds(), &data, &length);
        return Policy::value(code, sample<constant>(code == SHMQ_OK ? static_cast<::shmq_subscriber *>(it_) : nullptr, data, length / sizeof(X)));
    }

    explicit next_verbs(::shmq_subscriber *it) noexcept : it_(it) {}

protected:
    /// A value, or a vector that grows.
    struct vector_room : std::vector<X> {
        vector_room() : std::vector<X>(1024 / sizeof(X) + 1) {}
    };
    using room = std::conditional_t<std::is_array<T>::value, vector_room, blank<X>>;
    template <typename Room> static auto &&taken(Room &to) {
        if constexpr (std::is_array<T>::value) {
            return std::move(static_cast<std::vector<X> &>(to));
        } else {
            return std::move(to.value);
        }
    }
    template <typename Room, typename Call> ::shmq_error grow(Room &to, Call call) const {
        if constexpr (std::is_array<T>::value) {
            for (;;) {
                std::size_t length = 0;
                auto code = call(to.data(), to.size() * sizeof(X), &length);
                if (code != SHMQ_ERROR_TOO_SMALL) {
                    to.resize(code == SHMQ_OK ? length / sizeof(X) : 0);
                    return code;
                }
                to.resize(static_cast<std::size_t>(::shmq_error_maximum()) / sizeof(X));
            }
        } else {
            return call(&to.value, sizeof(X), nullptr);
        }
    }
    template <typename Room> ::shmq_error fill(Room &to, until deadline) const {
        return grow(to, [this, end = deadline.nanoseconds()](void *data, std::size_t capacity, std::size_t *length) {
            return end == SHMQ_TRY       ? ::shmq_subscriber_try_next(it_, data, capacity, length)
                   : end == SHMQ_FOREVER ? ::shmq_subscriber_next(it_, data, capacity, length)
                                         : ::shmq_subscriber_next_deadline(it_, data, capacity, length, end);
        });
    }
    auto maybe(until deadline, ::shmq_error miss) const {
        room to;
        auto code = fill(to, deadline);
        return Policy::maybe(code, miss, taken(to));
    }

    used<::shmq_subscriber> it_;
};

} // namespace detail

/// One reader of a topic. One thread at a time.
template <typename T> class subscriber : public detail::next_verbs<T, detail::throwing> {
    using verbs = detail::next_verbs<T, detail::throwing>;

public:
    explicit subscriber(::shmq_subscriber *handle) noexcept : verbs(handle), owned_(handle) {}
    auto nothrow() const noexcept { return detail::next_verbs<T, detail::quiet>(owned_.get()); }
    std::uint64_t lag() const { return number(::shmq_subscriber_lag); }
    std::uint64_t missed() const { return number(::shmq_subscriber_missed); }
    std::uint64_t received() const { return number(::shmq_subscriber_received); }
    bool is_gating() const {
        bool found = false;
        detail::throwing::done(::shmq_subscriber_is_gating(owned_.get(), &found));
        return found;
    }
    ::shmq_subscriber *handle() const noexcept { return owned_.get(); }

private:
    std::uint64_t number(::shmq_error (*ask)(::shmq_subscriber *, std::uint64_t *)) const {
        std::uint64_t found = 0;
        detail::throwing::done(ask(owned_.get(), &found));
        return found;
    }
    detail::owned<::shmq_subscriber, ::shmq_subscriber_free> owned_;
};

/// The put side of a topic, owned. One thread at a time.
template <typename T> class publisher : public detail::publish_verbs<T, detail::publisher_calls, detail::throwing> {
    using verbs = detail::publish_verbs<T, detail::publisher_calls, detail::throwing>;

public:
    explicit publisher(::shmq_publisher *handle) noexcept : verbs(handle), owned_(handle) {}
    auto nothrow() const noexcept { return detail::publish_verbs<T, detail::publisher_calls, detail::quiet>(owned_.get()); }
    ::shmq_publisher *handle() const noexcept { return owned_.get(); }

private:
    detail::owned<::shmq_publisher, ::shmq_publisher_free> owned_;
};

/// Where a subscriber begins, and whether publishers wait for it.
class subscription {
public:
    /// Publishers wait for it: it sees every message.
    static subscription gating() { return subscription(0); }
    /// It is never waited for: what it did not read in time is overwritten.
    static subscription lossy() { return subscription(1); }
    /// With the oldest message that is still there.
    subscription &from_oldest() { return raw_.start = SHMQ_START_OLDEST, *this; }
    /// As many messages back.
    subscription &back(std::uint64_t messages) { return raw_.start = SHMQ_START_BACK, raw_.back = messages, *this; }
    const ::shmq_subscribe_options &raw() const noexcept { return raw_; }

private:
    explicit subscription(std::uint32_t is_lossy) noexcept {
        raw_.size = sizeof raw_;
        raw_.is_lossy = is_lossy;
    }
    ::shmq_subscribe_options raw_ = {};
};

/// Publish and subscribe between processes. As `queue`.
template <typename T> class topic : public detail::publish_verbs<T, detail::topic_calls, detail::throwing> {
    using verbs = detail::publish_verbs<T, detail::topic_calls, detail::throwing>;

public:
    static topic create(const std::string &name, const options &with) { return create(std::nothrow, name, with).value(); }
    static result<topic> create(std::nothrow_t, const std::string &name, const options &with) {
        auto raw = with.of<T>();
        ::shmq_topic *made = nullptr;
        return made_of(::shmq_topic_create(detail::c_string(name), &raw, &made), made);
    }
    static topic open(const std::string &name, until deadline = no_wait, const options &with = {}) {
        return open(std::nothrow, name, deadline, with).value();
    }
    static result<topic> open(std::nothrow_t, const std::string &name, until deadline = no_wait, const options &with = {}) {
        auto raw = with.of<T>();
        ::shmq_topic *made = nullptr;
        return made_of(::shmq_topic_open(name.c_str(), &raw, deadline.nanoseconds(), &made), made);
    }
    static topic open_or_create(const std::string &name, const options &with) {
        return open_or_create(std::nothrow, name, with).value();
    }
    static result<topic> open_or_create(std::nothrow_t, const std::string &name, const options &with) {
        auto raw = with.of<T>();
        ::shmq_topic *made = nullptr;
        return made_of(::shmq_topic_open_or_create(name.c_str(), &raw, &made), made);
    }
    static result<void> unlink(const std::string &name, const options &with = {}) {
        auto raw = with.raw();
        return detail::quiet::done(::shmq_topic_unlink(name.c_str(), &raw));
    }

    auto nothrow() const noexcept { return detail::publish_verbs<T, detail::topic_calls, detail::quiet>(owned_.get()); }

    shmq::subscriber<T> subscribe(const subscription &how = subscription::gating()) const {
        return subscribe(std::nothrow, how).value();
    }
    result<shmq::subscriber<T>> subscribe(std::nothrow_t, const subscription &how = subscription::gating()) const {
        ::shmq_subscriber *made = nullptr;
        auto code = ::shmq_topic_subscribe(owned_.get(), &how.raw(), &made);
        return detail::quiet::value(code, shmq::subscriber<T>(made));
    }
    shmq::publisher<T> publisher() const { return publisher(std::nothrow).value(); }
    result<shmq::publisher<T>> publisher(std::nothrow_t) const {
        ::shmq_publisher *made = nullptr;
        auto code = ::shmq_topic_publisher(owned_.get(), &made);
        return detail::quiet::value(code, shmq::publisher<T>(made));
    }
    /// Waits until it has so many subscribers; `false`: not in time.
    bool wait_subscribers(std::size_t count, until deadline = forever) const {
        auto code = ::shmq_topic_wait_subscribers(owned_.get(), count, deadline.nanoseconds());
        return detail::throwing::attempt(code, SHMQ_ERROR_TIMEOUT);
    }
    /// No more messages: subscribers read what there is, and then get `SHMQ_ERROR_CLOSED`.
    void close() const { detail::throwing::done(::shmq_topic_close(owned_.get())); }
    std::string name() const {
        const char *found = nullptr;
        detail::throwing::done(::shmq_topic_name(owned_.get(), &found));
        return found;
    }
    ::shmq_topic_counters stats() const {
        ::shmq_topic_counters found = {};
        found.size = sizeof found;
        detail::throwing::done(::shmq_topic_stats(owned_.get(), &found));
        return found;
    }
    ::shmq_topic *handle() const noexcept { return owned_.get(); }

private:
    explicit topic(::shmq_topic *handle) noexcept : verbs(handle), owned_(handle) {}
    static result<topic> made_of(::shmq_error code, ::shmq_topic *const &made) {
        return code == SHMQ_OK ? result<topic>(topic(made)) : result<topic>(error::last(code));
    }
    detail::owned<::shmq_topic, ::shmq_topic_free> owned_;
};

} // namespace shmq

#endif
