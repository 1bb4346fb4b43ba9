// Events, semaphores and mutexes between processes.
#ifndef SHMQ_SYNC_HPP
#define SHMQ_SYNC_HPP

#include "basics.hpp"

namespace shmq {

/// Options of primitives.
class primitive_options {
public:
    primitive_options() noexcept { raw_.size = sizeof raw_; }
    primitive_options &mode(std::uint32_t unix_permissions) { return raw_.mode = unix_permissions, *this; }
    primitive_options &allow_owner(std::uint32_t uid) { return raw_.owner_uid = uid, flag(SHMQ_ALLOW_OWNER); }
    primitive_options &allow_any_owner() { return flag(SHMQ_ALLOW_ANY_OWNER); }
    primitive_options &persist() { return flag(SHMQ_PERSIST); }
    primitive_options &full_fence() { return flag(SHMQ_FULL_FENCE); }
    /// Semaphores: never more permits than at first.
    primitive_options &bounded() { return flag(SHMQ_BOUNDED); }
    primitive_options &max_participants(std::uint32_t n) { return raw_.max_participants = n, *this; }
    primitive_options &directory(std::string path) { return directory_ = std::move(path), *this; }
    /// The stop lives as long as what is made with it.
    primitive_options &stop(const class stop &it) { return raw_.stop = it.get(), *this; }

    ::shmq_primitive_options raw() const {
        ::shmq_primitive_options made = raw_;
        made.directory = directory_.empty() ? nullptr : directory_.c_str();
        return made;
    }
    /// With the data of a mutex.
    template <typename T> ::shmq_primitive_options of() const {
        static_assert(std::is_trivially_copyable<T>::value, "shmq: the data of a mutex are trivially copyable");
        ::shmq_primitive_options made = raw();
        made.data_size = sizeof(T);
        made.data_align = alignof(T);
        made.structure = shmq::schema<T>::text();
        made.type_name = detail::scalar_name<T>();
        return made;
    }

private:
    primitive_options &flag(std::uint32_t bit) { return raw_.flags |= bit, *this; }
    ::shmq_primitive_options raw_ = {};
    std::string directory_;
};

namespace detail {

/// The name of a primitive.
template <typename Handle> std::string name_of(Handle *handle, ::shmq_error (*ask)(Handle *, const char **)) {
    const char *found = nullptr;
    throwing::done(ask(handle, &found));
    return found;
}

} // namespace detail

/// A flag that many wait for.
class event {
public:
    static event create(const std::string &name, const primitive_options &with = {}) { return create(std::nothrow, name, with).value(); }
    static result<event> create(std::nothrow_t, const std::string &name, const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_event *made = nullptr;
        return made_of(::shmq_event_create(detail::c_string(name), &raw, &made), made);
    }
    static event open(const std::string &name, until deadline = no_wait, const primitive_options &with = {}) {
        return open(std::nothrow, name, deadline, with).value();
    }
    static result<event> open(std::nothrow_t, const std::string &name, until deadline = no_wait, const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_event *made = nullptr;
        return made_of(::shmq_event_open(name.c_str(), &raw, deadline.nanoseconds(), &made), made);
    }
    static event open_or_create(const std::string &name, const primitive_options &with = {}) {
        return open_or_create(std::nothrow, name, with).value();
    }
    static result<event> open_or_create(std::nothrow_t, const std::string &name, const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_event *made = nullptr;
        return made_of(::shmq_event_open_or_create(name.c_str(), &raw, &made), made);
    }
    static result<void> unlink(const std::string &name) { return detail::quiet::done(::shmq_event_unlink(name.c_str(), nullptr)); }

    void set() { detail::throwing::done(::shmq_event_set(owned_.get())); }
    void clear() { detail::throwing::done(::shmq_event_clear(owned_.get())); }
    bool is_set() const {
        bool found = false;
        detail::throwing::done(::shmq_event_is_set(owned_.get(), &found));
        return found;
    }
    void wait() const { detail::throwing::done(::shmq_event_wait(owned_.get(), SHMQ_FOREVER)); }
    template <typename Rep, typename Period> bool wait_for(std::chrono::duration<Rep, Period> timeout) const {
        return wait_until(until(timeout));
    }
    /// `false`: it was not set in time.
    bool wait_until(until deadline) const {
        return detail::throwing::attempt(::shmq_event_wait(owned_.get(), deadline.nanoseconds()), deadline.miss(SHMQ_ERROR_WOULD_BLOCK));
    }
    result<void> wait(std::nothrow_t, until deadline = forever) const {
        return detail::quiet::done(::shmq_event_wait(owned_.get(), deadline.nanoseconds()));
    }
    std::string name() const { return detail::name_of(owned_.get(), ::shmq_event_name); }
    ::shmq_event *handle() const noexcept { return owned_.get(); }

private:
    explicit event(::shmq_event *handle) noexcept : owned_(handle) {}
    static result<event> made_of(::shmq_error code, ::shmq_event *const &made) {
        return code == SHMQ_OK ? result<event>(event(made)) : result<event>(error::last(code));
    }
    detail::owned<::shmq_event, ::shmq_event_free> owned_;
};

/// One permit of a semaphore: it comes back by the destructor, and if this process dies.
class [[nodiscard]] permit {
public:
    explicit permit(::shmq_permit *handle) noexcept : owned_(handle) {}
    void give_back() noexcept { owned_.reset(); }

private:
    detail::owned<::shmq_permit, ::shmq_permit_give_back> owned_;
};

/// A number of permits, as `std::counting_semaphore`.
class semaphore {
public:
    static semaphore create(const std::string &name, std::uint64_t permits, const primitive_options &with = {}) {
        return create(std::nothrow, name, permits, with).value();
    }
    static result<semaphore> create(std::nothrow_t, const std::string &name, std::uint64_t permits, const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_semaphore *made = nullptr;
        return made_of(::shmq_semaphore_create(detail::c_string(name), permits, &raw, &made), made);
    }
    static semaphore open(const std::string &name, until deadline = no_wait, const primitive_options &with = {}) {
        return open(std::nothrow, name, deadline, with).value();
    }
    static result<semaphore> open(std::nothrow_t, const std::string &name, until deadline = no_wait,
                                  const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_semaphore *made = nullptr;
        return made_of(::shmq_semaphore_open(name.c_str(), &raw, deadline.nanoseconds(), &made), made);
    }
    static semaphore open_or_create(const std::string &name, std::uint64_t permits, const primitive_options &with = {}) {
        return open_or_create(std::nothrow, name, permits, with).value();
    }
    static result<semaphore> open_or_create(std::nothrow_t, const std::string &name, std::uint64_t permits,
                                            const primitive_options &with = {}) {
        auto raw = with.raw();
        ::shmq_semaphore *made = nullptr;
        return made_of(::shmq_semaphore_open_or_create(name.c_str(), permits, &raw, &made), made);
    }
    static result<void> unlink(const std::string &name) {
        return detail::quiet::done(::shmq_semaphore_unlink(name.c_str(), nullptr));
    }

    /// Takes one for good: some process gives one back by `release`. It does not come back by itself.
    void acquire() { detail::throwing::done(::shmq_semaphore_acquire(owned_.get(), SHMQ_FOREVER)); }
    bool try_acquire() { return detail::throwing::attempt(::shmq_semaphore_acquire(owned_.get(), SHMQ_TRY), SHMQ_ERROR_WOULD_BLOCK); }
    template <typename Rep, typename Period> bool try_acquire_for(std::chrono::duration<Rep, Period> timeout) {
        return try_acquire_until(until(timeout));
    }
    bool try_acquire_until(until deadline) {
        return detail::throwing::attempt(::shmq_semaphore_acquire(owned_.get(), deadline.nanoseconds()), deadline.miss(SHMQ_ERROR_WOULD_BLOCK));
    }
    result<void> acquire(std::nothrow_t, until deadline = forever) {
        return detail::quiet::done(::shmq_semaphore_acquire(owned_.get(), deadline.nanoseconds()));
    }
    void release(std::uint32_t permits = 1) { detail::throwing::done(::shmq_semaphore_release(owned_.get(), permits)); }
    result<void> release(std::nothrow_t, std::uint32_t permits = 1) {
        return detail::quiet::done(::shmq_semaphore_release(owned_.get(), permits));
    }
    /// Takes one that comes back with its guard, or with the death of this process.
    shmq::permit permit(until deadline = forever) { return permit(std::nothrow, deadline).value(); }
    result<shmq::permit> permit(std::nothrow_t, until deadline = forever) {
        ::shmq_permit *made = nullptr;
        auto code = ::shmq_semaphore_permit(owned_.get(), deadline.nanoseconds(), &made);
        return detail::quiet::value(code, shmq::permit(made));
    }
    std::uint64_t value() const {
        std::uint64_t found = 0;
        detail::throwing::done(::shmq_semaphore_value(owned_.get(), &found));
        return found;
    }
    std::string name() const { return detail::name_of(owned_.get(), ::shmq_semaphore_name); }
    ::shmq_semaphore *handle() const noexcept { return owned_.get(); }

private:
    explicit semaphore(::shmq_semaphore *handle) noexcept : owned_(handle) {}
    static result<semaphore> made_of(::shmq_error code, ::shmq_semaphore *const &made) {
        return code == SHMQ_OK ? result<semaphore>(semaphore(made)) : result<semaphore>(error::last(code));
    }
    detail::owned<::shmq_semaphore, ::shmq_semaphore_free> owned_;
};

/// The data of a mutex that this thread has locked. The destructor unlocks.
template <typename T> class [[nodiscard]] mutex_guard {
public:
    mutex_guard(::shmq_mutex *of, void *data, bool owner_died) noexcept : of_(of), data_(static_cast<T *>(data)), owner_died_(owner_died) {}
    mutex_guard(mutex_guard &&other) noexcept
        : of_(std::exchange(other.of_, nullptr)), data_(other.data_), owner_died_(other.owner_died_) {}
    mutex_guard &operator=(mutex_guard &&) = delete;
    ~mutex_guard() { unlock(); }

    T &operator*() const noexcept { return *data_; }
    T *operator->() const noexcept { return data_; }
    /// Did the holder before this one die with the lock? The data are as it left them: check them, and call
    /// `mark_repaired`. Every holder is told until one does.
    bool owner_died() const noexcept { return owner_died_; }
    void mark_repaired() {
        detail::throwing::done(::shmq_mutex_mark_repaired(of_));
        owner_died_ = false;
    }
    void unlock() noexcept {
        if (of_) {
            (void)::shmq_mutex_unlock(std::exchange(of_, nullptr));
        }
    }

private:
    ::shmq_mutex *of_;
    T *data_;
    bool owner_died_;
};

/// A lock between processes, with the data that it guards. `acquire` returns a guard. It is TimedLockable
/// as well (`std::unique_lock`, `std::scoped_lock`), over `data()`.
///
/// If the holder dies, the next one is told: `guard.owner_died()`. `lock()`, which has no guard to say so,
/// throws `SHMQ_ERROR_OWNER_DIED` without the lock: `acquire` it then, and repair.
template <typename T> class mutex {
public:
    static mutex create(const std::string &name, const T &initial, const primitive_options &with = {}) {
        return create(std::nothrow, name, initial, with).value();
    }
    static result<mutex> create(std::nothrow_t, const std::string &name, const T &initial, const primitive_options &with = {}) {
        auto raw = with.of<T>();
        ::shmq_mutex *made = nullptr;
        return made_of(::shmq_mutex_create(detail::c_string(name), &initial, &raw, &made), made);
    }
    static mutex open(const std::string &name, until deadline = no_wait, const primitive_options &with = {}) {
        return open(std::nothrow, name, deadline, with).value();
    }
    static result<mutex> open(std::nothrow_t, const std::string &name, until deadline = no_wait, const primitive_options &with = {}) {
        auto raw = with.of<T>();
        ::shmq_mutex *made = nullptr;
        return made_of(::shmq_mutex_open(name.c_str(), &raw, deadline.nanoseconds(), &made), made);
    }
    static mutex open_or_create(const std::string &name, const T &initial, const primitive_options &with = {}) {
        return open_or_create(std::nothrow, name, initial, with).value();
    }
    static result<mutex> open_or_create(std::nothrow_t, const std::string &name, const T &initial, const primitive_options &with = {}) {
        auto raw = with.of<T>();
        ::shmq_mutex *made = nullptr;
        return made_of(::shmq_mutex_open_or_create(name.c_str(), &initial, &raw, &made), made);
    }
    static result<void> unlink(const std::string &name) { return detail::quiet::done(::shmq_mutex_unlink(name.c_str(), nullptr)); }

    /// Locks it; waits for a live holder.
    mutex_guard<T> acquire(until deadline = forever) { return acquire(std::nothrow, deadline).value(); }
    result<mutex_guard<T>> acquire(std::nothrow_t, until deadline = forever) {
        void *data = nullptr;
        auto code = ::shmq_mutex_lock(owned_.get(), deadline.nanoseconds(), &data);
        if (code != SHMQ_OK && code != SHMQ_ERROR_OWNER_DIED) {
            return error::last(code);
        }
        return mutex_guard<T>(owned_.get(), data, code == SHMQ_ERROR_OWNER_DIED);
    }

    void lock() { (void)locked(SHMQ_FOREVER, SHMQ_OK); }
    bool try_lock() { return locked(SHMQ_TRY, SHMQ_ERROR_WOULD_BLOCK); }
    template <typename Rep, typename Period> bool try_lock_for(std::chrono::duration<Rep, Period> timeout) {
        return locked(until(timeout).nanoseconds(), SHMQ_ERROR_TIMEOUT);
    }
    template <typename Duration> bool try_lock_until(std::chrono::time_point<std::chrono::steady_clock, Duration> deadline) {
        return locked(until(deadline).nanoseconds(), SHMQ_ERROR_TIMEOUT);
    }
    void unlock() {
        data_ = nullptr;
        detail::throwing::done(::shmq_mutex_unlock(owned_.get()));
    }
    /// For the thread that has locked it by `lock` or a `try_lock`; null otherwise.
    T *data() const noexcept { return data_; }
    std::string name() const { return detail::name_of(owned_.get(), ::shmq_mutex_name); }
    ::shmq_mutex *handle() const noexcept { return owned_.get(); }

private:
    explicit mutex(::shmq_mutex *handle) noexcept : owned_(handle) {}
    static result<mutex> made_of(::shmq_error code, ::shmq_mutex *const &made) {
        return code == SHMQ_OK ? result<mutex>(mutex(made)) : result<mutex>(error::last(code));
    }
    bool locked(std::uint64_t deadline, ::shmq_error miss) {
        void *data = nullptr;
        auto code = ::shmq_mutex_lock(owned_.get(), deadline, &data);
        if (code == SHMQ_ERROR_OWNER_DIED) {
            // First of all: the error takes memory, and may throw for it. Its text stays.
            (void)::shmq_mutex_unlock(owned_.get());
            detail::raise(error::last(code));
        }
        if (miss != SHMQ_OK && code == miss) {
            return false;
        }
        detail::throwing::done(code);
        data_ = static_cast<T *>(data);
        return true;
    }

    detail::owned<::shmq_mutex, ::shmq_mutex_free> owned_;
    T *data_ = nullptr;
};

} // namespace shmq

#endif
