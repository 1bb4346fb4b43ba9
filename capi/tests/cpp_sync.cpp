// Events, semaphores and mutexes from C++.
#include "cpp_check.hpp"

#include <mutex>

static void events() {
    auto event = shmq::event::create("");
    CHECK(!event.is_set() && !event.wait_for(1ms));
    CHECK(event.wait(std::nothrow, shmq::no_wait).code() == SHMQ_ERROR_WOULD_BLOCK);
    std::thread setter([&] { event.set(); });
    event.wait();
    setter.join();
    CHECK(event.is_set() && event.wait_until(std::chrono::steady_clock::now() - 1s));
    event.clear();
    CHECK(!event.is_set());
}

static void semaphores() {
    auto semaphore = shmq::semaphore::create("", 2, shmq::primitive_options().bounded());
    semaphore.acquire();
    {
        auto permit = semaphore.permit();
        CHECK(semaphore.value() == 0 && !semaphore.try_acquire() && !semaphore.try_acquire_for(1ms));
        CHECK(semaphore.permit(std::nothrow, shmq::no_wait).code() == SHMQ_ERROR_WOULD_BLOCK);
    }
    CHECK(semaphore.value() == 1);
    semaphore.release();
    CHECK(thrown([&] { return semaphore.release(), 0; }) == SHMQ_ERROR_TOO_MANY_RELEASES);
    kill_in([&] { return semaphore.permit(); });
    auto both = std::make_pair(semaphore.permit(10s), semaphore.permit(10s));
    CHECK(semaphore.value() == 0);
}

static void mutexes() {
    auto mutex = shmq::mutex<tick>::create("", tick{1, 1});
    {
        auto guard = mutex.acquire();
        CHECK(!guard.owner_died() && guard->volume == 1);
        guard->volume = 2;
        std::thread other([&] { CHECK(!mutex.try_lock() && !mutex.try_lock_for(1ms)); });
        other.join();
    }
    {
        std::lock_guard<shmq::mutex<tick>> lock(mutex);
        CHECK(mutex.data()->volume == 2);
    }
    std::unique_lock<shmq::mutex<tick>> timed(mutex, 1s);
    CHECK(timed.owns_lock());
    timed.unlock();
    CHECK(mutex.data() == nullptr);

    kill_in([&] {
        auto guard = mutex.acquire();
        guard->volume = 3;
        return guard;
    });
    // A lock without a guard throws, and holds nothing.
    CHECK(thrown([&] { return std::lock_guard<shmq::mutex<tick>>(mutex), 0; }) == SHMQ_ERROR_OWNER_DIED);
    {
        auto guard = mutex.acquire(10s);
        CHECK(guard.owner_died() && guard->volume == 3);
    }
    {
        auto guard = mutex.acquire();
        CHECK(guard.owner_died());
        guard->volume = 4;
        guard.mark_repaired();
        CHECK(!guard.owner_died());
    }
    CHECK(!mutex.acquire().owner_died());
    CHECK(mutex.acquire()->volume == 4);
    auto missing = shmq::mutex<tick>::open(std::nothrow, "no such mutex");
    CHECK(missing.code() == SHMQ_ERROR_NOT_FOUND);
}

int main() {
    begin();
    events();
    semaphores();
    mutexes();
}
