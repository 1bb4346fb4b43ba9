// Messages in place: loans (being written), leases (being read).
#ifndef SHMQ_GUARDS_HPP
#define SHMQ_GUARDS_HPP

#include "basics.hpp"

#include <cstring>

namespace shmq {
namespace detail {

/// Where a message lies, as a value or as elements.
template <typename T> class place {
public:
    place(void *data, std::size_t) noexcept : data_(static_cast<T *>(data)) {}
    T &operator*() const noexcept { return *data_; }
    T *operator->() const noexcept { return data_; }
    T *get() const noexcept { return data_; }

private:
    T *data_;
};

template <typename X> class place<X[]> {
public:
    place(void *data, std::size_t count) noexcept : data_(static_cast<X *>(data)), count_(count) {}
    span<X> operator*() const noexcept { return span<X>(data_, count_); }
    X *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return count_; }
    X &operator[](std::size_t at) const noexcept { return data_[at]; }
    X *begin() const noexcept { return data_; }
    X *end() const noexcept { return data_ + count_; }

private:
    X *data_;
    std::size_t count_;
};

} // namespace detail

/// A message that is being written in place. The destructor aborts it: it was never there. If this process
/// dies, the others do the same.
template <typename T> class [[nodiscard]] loan : public detail::place<T> {
public:
    loan(::shmq_loan *handle, void *data, std::size_t count) noexcept : detail::place<T>(data, count), owned_(handle) {}

    /// Puts the message. The loan has ended, whatever comes of it.
    void commit() { detail::throwing::done(::shmq_loan_commit(owned_.release())); }
    result<void> commit(std::nothrow_t) { return detail::quiet::done(::shmq_loan_commit(owned_.release())); }
    /// Of slices: puts the first `count` elements.
    template <typename U = T, typename = std::enable_if_t<std::is_array<U>::value>> void commit(std::size_t count) {
        detail::throwing::done(::shmq_loan_commit_length(owned_.release(), count * sizeof(std::remove_extent_t<U>)));
    }
    template <typename U = T, typename = std::enable_if_t<std::is_array<U>::value>> result<void> commit(std::nothrow_t, std::size_t count) {
        return detail::quiet::done(::shmq_loan_commit_length(owned_.release(), count * sizeof(std::remove_extent_t<U>)));
    }
    void abort() noexcept { owned_.reset(); }

private:
    detail::owned<::shmq_loan, ::shmq_loan_abort> owned_;
};

/// A message that is being read in place. Only `release` finishes it: the destructor gives it back, so that
/// an exception or an early return loses no job, and so do the others if this process dies.
template <typename T> class [[nodiscard]] lease : public detail::place<T> {
public:
    lease(::shmq_lease *handle, void *data, std::size_t count) noexcept : detail::place<T>(data, count), owned_(handle) {}

    /// The message is done: it is not delivered again.
    void release() { detail::throwing::done(::shmq_lease_release(owned_.release())); }
    result<void> release(std::nothrow_t) { return detail::quiet::done(::shmq_lease_release(owned_.release())); }
    /// It is delivered again, as it is now in memory.
    void give_back() { detail::throwing::done(::shmq_lease_give_back(owned_.release())); }
    result<void> give_back(std::nothrow_t) { return detail::quiet::done(::shmq_lease_give_back(owned_.release())); }
    /// How often it was delivered, with this time.
    std::uint32_t deliveries() const {
        std::uint32_t count = 0;
        detail::throwing::done(::shmq_lease_deliveries(owned_.get(), &count));
        return count;
    }
    /// Which message it is: the same over all its deliveries.
    std::array<std::uint8_t, 16> id() const {
        ::shmq_message_id found;
        detail::throwing::done(::shmq_lease_id(owned_.get(), &found));
        std::array<std::uint8_t, 16> bytes;
        std::memcpy(bytes.data(), found.bytes, bytes.size());
        return bytes;
    }

private:
    detail::owned<::shmq_lease, ::shmq_lease_give_back> owned_;
};

} // namespace shmq

#endif
