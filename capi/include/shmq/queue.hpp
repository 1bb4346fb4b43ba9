// Queues: each message goes to one getter.
#ifndef SHMQ_QUEUE_HPP
#define SHMQ_QUEUE_HPP

#include "basics.hpp"
#include "guards.hpp"

#include <vector>

namespace shmq {
namespace detail {

/// The calls of a queue, of its put endpoint, and of its get endpoint.
struct queue_calls {
    using handle = ::shmq_queue;
    static constexpr auto put = &::shmq_queue_put;
    static constexpr auto try_put = &::shmq_queue_try_put;
    static constexpr auto put_deadline = &::shmq_queue_put_deadline;
    static constexpr auto put_many = &::shmq_queue_put_many;
    static constexpr auto loan = &::shmq_queue_loan;
    static constexpr auto writable = &::shmq_queue_writable;
    static constexpr auto get = &::shmq_queue_get;
    static constexpr auto try_get = &::shmq_queue_try_get;
    static constexpr auto get_deadline = &::shmq_queue_get_deadline;
    static constexpr auto get_many = &::shmq_queue_get_many;
    static constexpr auto lease = &::shmq_queue_lease;
    static constexpr auto readable = &::shmq_queue_readable;
};

struct producer_calls {
    using handle = ::shmq_producer;
    static constexpr auto put = &::shmq_producer_put;
    static constexpr auto try_put = &::shmq_producer_try_put;
    static constexpr auto put_deadline = &::shmq_producer_put_deadline;
    static constexpr auto put_many = &::shmq_producer_put_many;
    static constexpr auto loan = &::shmq_producer_loan;
    static constexpr auto writable = &::shmq_producer_writable;
};

struct consumer_calls {
    using handle = ::shmq_consumer;
    static constexpr auto get = &::shmq_consumer_get;
    static constexpr auto try_get = &::shmq_consumer_try_get;
    static constexpr auto get_deadline = &::shmq_consumer_get_deadline;
    static constexpr auto get_many = &::shmq_consumer_get_many;
    static constexpr auto lease = &::shmq_consumer_lease;
    static constexpr auto readable = &::shmq_consumer_readable;
};

/// Verbs that put values. `Policy`: what they return.
template <typename T, typename Calls, typename Policy> class put_verbs {
public:
    /// Puts a copy; waits until there is room.
    auto put(const T &message) const { return Policy::done(Calls::put(it(), &message, sizeof(T))); }
    /// `false`: there is no room.
    auto try_put(const T &message) const {
        return Policy::attempt(Calls::try_put(it(), &message, sizeof(T)), SHMQ_ERROR_FULL);
    }
    /// `false`: there was none in time.
    template <typename Rep, typename Period> auto put_for(const T &message, std::chrono::duration<Rep, Period> timeout) const {
        return put_until(message, until(timeout));
    }
    auto put_until(const T &message, until deadline) const {
        return Policy::attempt(Calls::put_deadline(it(), &message, sizeof(T), deadline.nanoseconds()), SHMQ_ERROR_TIMEOUT);
    }
    /// Puts all of them, in order; how many were put if the time was up. An error comes only if none was.
    auto put_many(span<const T> messages, until deadline = forever) const {
        std::size_t done = 0;
        auto code = Calls::put_many(it(), messages.data(), messages.size(), deadline.nanoseconds(), &done);
        return Policy::value(code, std::move(done));
    }
    /// Room for a message, to be written in place: it is put by `commit`, and aborted by the destructor.
    auto loan(until deadline = forever) const {
        ::shmq_loan *made = nullptr;
        void *data = nullptr;
        auto code = Calls::loan(it(), sizeof(T), deadline.nanoseconds(), &made, &data);
        return Policy::value(code, shmq::loan<T>(made, data, 1));
    }
    /// A descriptor for epoll: there is room.
    auto writable() const {
        ::shmq_readiness *made = nullptr;
        auto code = Calls::writable(it(), sizeof(T), &made);
        return Policy::value(code, readiness(made));
    }

    using handle = typename Calls::handle;
    explicit put_verbs(handle *it) noexcept : it_(it) {}

protected:
    handle *it() const noexcept { return it_; }
    used<handle> it_;
};

/// The same of slices: each message is any number of elements.
template <typename X, typename Calls, typename Policy> class put_verbs<X[], Calls, Policy> {
public:
    auto put(span<const X> message) const { return Policy::done(Calls::put(it(), message.data(), bytes(message))); }
    auto try_put(span<const X> message) const {
        return Policy::attempt(Calls::try_put(it(), message.data(), bytes(message)), SHMQ_ERROR_FULL);
    }
    template <typename Rep, typename Period> auto put_for(span<const X> message, std::chrono::duration<Rep, Period> timeout) const {
        return put_until(message, until(timeout));
    }
    auto put_until(span<const X> message, until deadline) const {
        return Policy::attempt(Calls::put_deadline(it(), message.data(), bytes(message), deadline.nanoseconds()), SHMQ_ERROR_TIMEOUT);
    }
    /// Room for `count` elements; `commit(n)` puts the first n of them.
    auto loan(std::size_t count, until deadline = forever) const {
        ::shmq_loan *made = nullptr;
        void *data = nullptr;
        auto code = Calls::loan(it(), count * sizeof(X), deadline.nanoseconds(), &made, &data);
        return Policy::value(code, shmq::loan<X[]>(made, data, count));
    }
    /// A descriptor for epoll: there is room for a message of `count` elements.
    auto writable(std::size_t count) const {
        ::shmq_readiness *made = nullptr;
        auto code = Calls::writable(it(), count * sizeof(X), &made);
        return Policy::value(code, readiness(made));
    }

    using handle = typename Calls::handle;
    explicit put_verbs(handle *it) noexcept : it_(it) {}

protected:
    static std::size_t bytes(span<const X> message) { return message.size() * sizeof(X); }
    handle *it() const noexcept { return it_; }
    used<handle> it_;
};

/// Verbs that get values.
template <typename T, typename Calls, typename Policy> class get_verbs {
public:
    /// Takes a message by copy; waits until there is one.
    auto get() const {
        blank<T> to;
        auto code = Calls::get(it(), &to.value, sizeof(T), nullptr);
        return Policy::value(code, std::move(to.value));
    }
    /// `nullopt`: there is none.
    auto try_get() const {
        blank<T> to;
        auto code = Calls::try_get(it(), &to.value, sizeof(T), nullptr);
        return Policy::maybe(code, SHMQ_ERROR_EMPTY, std::move(to.value));
    }
    /// `nullopt`: there was none in time.
    template <typename Rep, typename Period> auto get_for(std::chrono::duration<Rep, Period> timeout) const {
        return get_until(until(timeout));
    }
    auto get_until(until deadline) const {
        blank<T> to;
        auto code = Calls::get_deadline(it(), &to.value, sizeof(T), nullptr, deadline.nanoseconds());
        return Policy::maybe(code, SHMQ_ERROR_TIMEOUT, std::move(to.value));
    }
    /// Takes those that are there, up to the size of the buffer; waits until there is one. How many.
    auto get_many(span<T> buffer, until deadline = forever) const {
        std::size_t done = 0;
        auto code = Calls::get_many(it(), buffer.data(), buffer.size(), deadline.nanoseconds(), &done);
        return Policy::value(code, std::move(done));
    }
    /// A message in place: done by `release`. It comes back by `give_back`, by the destructor, and if this
    /// process dies.
    auto lease(until deadline = forever) const {
        ::shmq_lease *made = nullptr;
        void *data = nullptr;
        auto code = Calls::lease(it(), deadline.nanoseconds(), &made, &data, nullptr);
        return Policy::value(code, shmq::lease<T>(made, data, 1));
    }
    /// `nullopt`: there is none.
    auto try_lease() const {
        ::shmq_lease *made = nullptr;
        void *data = nullptr;
        auto code = Calls::lease(it(), SHMQ_TRY, &made, &data, nullptr);
        return Policy::maybe(code, SHMQ_ERROR_EMPTY, shmq::lease<T>(made, data, 1));
    }
    /// A descriptor for epoll: there is a message.
    auto readable() const {
        ::shmq_readiness *made = nullptr;
        auto code = Calls::readable(it(), &made);
        return Policy::value(code, readiness(made));
    }

    using handle = typename Calls::handle;
    explicit get_verbs(handle *it) noexcept : it_(it) {}

protected:
    handle *it() const noexcept { return it_; }
    used<handle> it_;
};

/// The same of slices.
template <typename X, typename Calls, typename Policy> class get_verbs<X[], Calls, Policy> {
public:
    /// Takes a message into a vector of its own.
    auto get() const {
        std::vector<X> to;
        auto code = fill(to, forever);
        return Policy::value(code, std::move(to));
    }
    auto try_get() const { return maybe(no_wait, SHMQ_ERROR_EMPTY); }
    template <typename Rep, typename Period> auto get_for(std::chrono::duration<Rep, Period> timeout) const {
        return get_until(until(timeout));
    }
    auto get_until(until deadline) const { return maybe(deadline, deadline.miss(SHMQ_ERROR_EMPTY)); }
    /// Takes a message into a buffer: how many elements it has. One that is too long for the buffer stays:
    /// `SHMQ_ERROR_TOO_SMALL`.
    auto get_into(span<X> buffer, until deadline = forever) const {
        std::size_t length = 0;
        auto code = copy(buffer.data(), buffer.size() * sizeof(X), length, deadline);
        return Policy::value(code, length / sizeof(X));
    }
    auto lease(until deadline = forever) const {
        ::shmq_lease *made = nullptr;
        void *data = nullptr;
        std::size_t length = 0;
        auto code = Calls::lease(it(), deadline.nanoseconds(), &made, &data, &length);
        return Policy::value(code, shmq::lease<X[]>(made, data, length / sizeof(X)));
    }
    auto try_lease() const {
        ::shmq_lease *made = nullptr;
        void *data = nullptr;
        std::size_t length = 0;
        auto code = Calls::lease(it(), SHMQ_TRY, &made, &data, &length);
        return Policy::maybe(code, SHMQ_ERROR_EMPTY, shmq::lease<X[]>(made, data, length / sizeof(X)));
    }
    auto readable() const {
        ::shmq_readiness *made = nullptr;
        auto code = Calls::readable(it(), &made);
        return Policy::value(code, readiness(made));
    }

    using handle = typename Calls::handle;
    explicit get_verbs(handle *it) noexcept : it_(it) {}

protected:
    ::shmq_error copy(void *to, std::size_t capacity, std::size_t &length, until deadline) const {
        auto end = deadline.nanoseconds();
        return end == SHMQ_TRY       ? Calls::try_get(it(), to, capacity, &length)
               : end == SHMQ_FOREVER ? Calls::get(it(), to, capacity, &length)
                                     : Calls::get_deadline(it(), to, capacity, &length, end);
    }
    ::shmq_error fill(std::vector<X> &to, until deadline) const {
        to.resize(1024 / sizeof(X) + 1);
        for (;;) {
            std::size_t length = 0;
            auto code = copy(to.data(), to.size() * sizeof(X), length, deadline);
            if (code != SHMQ_ERROR_TOO_SMALL) {
                to.resize(code == SHMQ_OK ? length / sizeof(X) : 0);
                return code;
            }
            // It is still there, or another process took it: then the next one.
            to.resize(static_cast<std::size_t>(::shmq_error_maximum()) / sizeof(X));
        }
    }
    auto maybe(until deadline, ::shmq_error miss) const {
        std::vector<X> to;
        auto code = fill(to, deadline);
        return Policy::maybe(code, miss, std::move(to));
    }
    handle *it() const noexcept { return it_; }
    used<handle> it_;
};

/// All verbs of a queue.
template <typename T, typename Policy>
class queue_verbs : public put_verbs<T, queue_calls, Policy>, public get_verbs<T, queue_calls, Policy> {
public:
    explicit queue_verbs(::shmq_queue *it) noexcept
        : put_verbs<T, queue_calls, Policy>(it), get_verbs<T, queue_calls, Policy>(it) {}

    /// No more puts: what is in it can still be taken, and then getters get `SHMQ_ERROR_CLOSED`.
    auto close() const { return Policy::done(::shmq_queue_close(at())); }
    auto task_done() const { return Policy::done(::shmq_queue_task_done(at())); }
    /// Waits until all that was put is finished.
    auto join(until deadline = forever) const { return Policy::done(::shmq_queue_join(at(), deadline.nanoseconds())); }
    /// Frees what dead processes held, now: how many of them were found.
    auto recover() const {
        std::uint64_t dead = 0;
        auto code = ::shmq_queue_recover(at(), &dead);
        return Policy::value(code, std::move(dead));
    }

private:
    ::shmq_queue *at() const noexcept { return put_verbs<T, queue_calls, Policy>::it_; }
};

} // namespace detail

/// The put side of a queue, owned: puts without a lock per message. One thread at a time.
template <typename T> class producer : public detail::put_verbs<T, detail::producer_calls, detail::throwing> {
    using verbs = detail::put_verbs<T, detail::producer_calls, detail::throwing>;

public:
    explicit producer(::shmq_producer *handle) noexcept : verbs(handle), owned_(handle) {}
    /// The same verbs, which return results and do not throw.
    auto nothrow() const noexcept { return detail::put_verbs<T, detail::producer_calls, detail::quiet>(owned_.get()); }
    ::shmq_producer *handle() const noexcept { return owned_.get(); }

private:
    detail::owned<::shmq_producer, ::shmq_producer_free> owned_;
};

/// The get side of a queue, owned: gets without a lock per message. One thread at a time.
template <typename T> class consumer : public detail::get_verbs<T, detail::consumer_calls, detail::throwing> {
    using verbs = detail::get_verbs<T, detail::consumer_calls, detail::throwing>;

public:
    explicit consumer(::shmq_consumer *handle) noexcept : verbs(handle), owned_(handle) {}
    auto nothrow() const noexcept { return detail::get_verbs<T, detail::consumer_calls, detail::quiet>(owned_.get()); }
    ::shmq_consumer *handle() const noexcept { return owned_.get(); }

private:
    detail::owned<::shmq_consumer, ::shmq_consumer_free> owned_;
};

/// A bounded queue between processes. `T` is trivially copyable and has a schema; of `X[]` each message is
/// any number of `X`. Any thread may use it. The object owns a handle: it moves, and is not copied.
///
/// Verbs throw `shmq::error`; `try_`, `_for` and `_until` forms return `false` or `nullopt` for the miss that
/// they are made for. The verbs of `nothrow()` return results instead, of everything.
template <typename T> class queue : public detail::queue_verbs<T, detail::throwing> {
    using verbs = detail::queue_verbs<T, detail::throwing>;

public:
    /// Makes a new queue; with an empty name, one for children of this process.
    static queue create(const std::string &name, const options &with) { return create(std::nothrow, name, with).value(); }
    static result<queue> create(std::nothrow_t, const std::string &name, const options &with) {
        auto raw = with.of<T>();
        ::shmq_queue *made = nullptr;
        return made_of(::shmq_queue_create(detail::c_string(name), &raw, &made), made);
    }
    /// Opens one that exists, or waits until it does. Another type, structure or size of messages:
    /// `SHMQ_ERROR_MISMATCH`, with both in words.
    static queue open(const std::string &name, until deadline = no_wait, const options &with = {}) {
        return open(std::nothrow, name, deadline, with).value();
    }
    static result<queue> open(std::nothrow_t, const std::string &name, until deadline = no_wait, const options &with = {}) {
        auto raw = with.of<T>();
        ::shmq_queue *made = nullptr;
        return made_of(::shmq_queue_open(name.c_str(), &raw, deadline.nanoseconds(), &made), made);
    }
    /// Opens it, or makes it: for programs that start in any order.
    static queue open_or_create(const std::string &name, const options &with) {
        return open_or_create(std::nothrow, name, with).value();
    }
    static result<queue> open_or_create(std::nothrow_t, const std::string &name, const options &with) {
        auto raw = with.of<T>();
        ::shmq_queue *made = nullptr;
        return made_of(::shmq_queue_open_or_create(name.c_str(), &raw, &made), made);
    }
    /// Removes the name.
    static result<void> unlink(const std::string &name, const options &with = {}) {
        auto raw = with.raw();
        return detail::quiet::done(::shmq_queue_unlink(name.c_str(), &raw));
    }

    /// The same verbs, which return results and do not throw.
    auto nothrow() const noexcept { return detail::queue_verbs<T, detail::quiet>(owned_.get()); }

    shmq::producer<T> producer() const { return producer(std::nothrow).value(); }
    result<shmq::producer<T>> producer(std::nothrow_t) const {
        ::shmq_producer *made = nullptr;
        auto code = ::shmq_queue_producer(owned_.get(), &made);
        return detail::quiet::value(code, shmq::producer<T>(made));
    }
    shmq::consumer<T> consumer() const { return consumer(std::nothrow).value(); }
    result<shmq::consumer<T>> consumer(std::nothrow_t) const {
        ::shmq_consumer *made = nullptr;
        auto code = ::shmq_queue_consumer(owned_.get(), &made);
        return detail::quiet::value(code, shmq::consumer<T>(made));
    }
    /// Messages that have not been taken.
    std::size_t size() const { return number(::shmq_queue_len); }
    bool empty() const { return size() == 0; }
    std::size_t capacity() const { return number(::shmq_queue_capacity); }
    bool is_closed() const {
        bool found = false;
        detail::throwing::done(::shmq_queue_is_closed(owned_.get(), &found));
        return found;
    }
    std::string name() const {
        const char *found = nullptr;
        detail::throwing::done(::shmq_queue_name(owned_.get(), &found));
        return found;
    }
    ::shmq_queue_counters stats() const {
        ::shmq_queue_counters found = {};
        found.size = sizeof found;
        detail::throwing::done(::shmq_queue_stats(owned_.get(), &found));
        return found;
    }
    ::shmq_queue *handle() const noexcept { return owned_.get(); }

private:
    explicit queue(::shmq_queue *handle) noexcept : verbs(handle), owned_(handle) {}
    static result<queue> made_of(::shmq_error code, ::shmq_queue *const &made) {
        return code == SHMQ_OK ? result<queue>(queue(made)) : result<queue>(error::last(code));
    }
    std::size_t number(::shmq_error (*ask)(::shmq_queue *, std::size_t *)) const {
        std::size_t found = 0;
        detail::throwing::done(ask(owned_.get(), &found));
        return found;
    }

    detail::owned<::shmq_queue, ::shmq_queue_free> owned_;
};

} // namespace shmq

#endif
