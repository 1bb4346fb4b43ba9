// Edges of shmq.hpp: objects that were moved from, times that no clock has, deadlines that are no wait, what
// does not throw. Compiled without exceptions as well (`make standards`).
#include "check.h"
#include "shmq.hpp"

#include <type_traits>

namespace market {
struct tick {
    double price;
    std::uint64_t volume;
};
SHMQ_SCHEMA(tick, (f64, price), (u64, volume));
} // namespace market

using market::tick;
using namespace std::chrono_literals;
using std::chrono::hours;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
template <typename Duration> using time_of = std::chrono::time_point<steady_clock, Duration>;

template <typename T> constexpr bool moves_only =
    std::is_nothrow_move_constructible<T>::value && !std::is_copy_constructible<T>::value && !std::is_copy_assignable<T>::value;
static_assert(moves_only<shmq::queue<tick>> && moves_only<shmq::producer<tick>> && moves_only<shmq::consumer<tick[]>>, "");
static_assert(moves_only<shmq::topic<tick>> && moves_only<shmq::publisher<tick>> && moves_only<shmq::subscriber<tick>>, "");
static_assert(moves_only<shmq::loan<tick>> && moves_only<shmq::lease<tick>> && moves_only<shmq::sample<const tick>>, "");
static_assert(moves_only<shmq::event> && moves_only<shmq::permit> && moves_only<shmq::mutex_guard<tick>>, "");
static_assert(std::is_nothrow_copy_constructible<shmq::error>::value, "");

static void what_was_moved_from_has_no_handle() {
    auto first = shmq::queue<tick>::create("", 4);
    auto second = std::move(first);
    CHECK(first.nothrow().try_put({1, 2}).code() == SHMQ_ERROR_HANDLE && first.handle() == nullptr);
    auto &itself = second;
    second = std::move(itself);
    second.put({1, 2});
    first = std::move(second);
    first.put({3, 4});
    CHECK(first.size() == 2 && first.get().volume == 2);
    auto producer = first.producer(std::nothrow).value();
    CHECK(first.producer(std::nothrow).code() == SHMQ_ERROR_HELD);
    auto owner = std::move(producer);
    CHECK(producer.nothrow().put({1, 1}).code() == SHMQ_ERROR_HANDLE);
    owner.put({5, 6});
    auto lease = first.lease();
    auto holder = std::move(lease);
    CHECK(lease.give_back(std::nothrow).code() == SHMQ_ERROR_HANDLE);
    CHECK(holder.give_back(std::nothrow) && !holder.release(std::nothrow));
#if defined(__cpp_exceptions)
    try {
        second.put({1, 2});
        CHECK(false);
    } catch (const shmq::error &error) {
        CHECK(error.code() == SHMQ_ERROR_HANDLE);
    }
#endif
}

static void any_time_may_come() {
    auto queue = shmq::queue<tick>::create("", 8);
    for (auto volume : {1u, 2u, 3u, 4u, 5u}) queue.put({0, volume});
    CHECK(queue.get_for(hours::max())->volume == 1);
    CHECK(queue.get_for(std::chrono::duration<double>(1e300))->volume == 2);
    CHECK(queue.get_until(steady_clock::time_point::max())->volume == 3);
    CHECK(queue.get_until(time_of<hours>::max())->volume == 4);
    CHECK(queue.get_until(shmq::forever)->volume == 5);
    CHECK(!queue.get_for(hours::min()) && !queue.get_for(nanoseconds::min()) && !queue.get_for(-1ns));
    CHECK(!queue.get_for(std::chrono::duration<float>(-1e30f)) && !queue.get_until(time_of<hours>::min()));
    auto begun = steady_clock::now();
    CHECK(!queue.get_for(20ms) && !queue.get_until(begun + 30ms));
    CHECK(steady_clock::now() - begun >= 30ms);
}

static void no_wait_is_a_miss_everywhere() {
    auto values = shmq::queue<tick>::create("", 1);
    auto slices = shmq::queue<int[]>::create("", shmq::options().capacity_bytes(4096));
    auto topic = shmq::topic<int[]>::create("", shmq::options().capacity_bytes(1 << 16));
    auto subscriber = topic.subscribe();
    CHECK(!values.get_until(shmq::no_wait) && !slices.get_until(shmq::no_wait) && !subscriber.next_until(shmq::no_wait));
    CHECK(values.put_until({1, 2}, shmq::no_wait) && !values.put_until({1, 2}, shmq::no_wait));
    auto event = shmq::event::create(std::nothrow, "").value();
    CHECK(!event.wait_until(shmq::no_wait) && !event.wait_for(1ms));
    event.set();
    CHECK(event.wait_until(shmq::no_wait));
    auto semaphore = shmq::semaphore::create(std::nothrow, "", 1).value();
    CHECK(semaphore.try_acquire_until(shmq::no_wait) && !semaphore.try_acquire_until(shmq::no_wait));
    CHECK(!semaphore.try_acquire_for(1ms));
    auto mutex = shmq::mutex<tick>::create(std::nothrow, "", {1, 2}).value();
    auto guard = mutex.acquire(shmq::no_wait);
    auto moved = std::move(guard);
    guard.unlock();
    CHECK(moved->volume == 2 && mutex.acquire(std::nothrow, shmq::no_wait).code() == SHMQ_ERROR_WOULD_BLOCK);
}

static void long_messages_of_topics() {
    auto topic = shmq::topic<int[]>::create("", shmq::options().capacity_bytes(1 << 16));
    auto first = topic.subscribe();
    auto subscriber = std::move(first);
    const std::vector<int> sent(3000, 7);
    topic.publish(sent);
    CHECK(subscriber.latest() == sent && first.nothrow().try_next().code() == SHMQ_ERROR_HANDLE);
    auto loan = topic.publisher(std::nothrow).value().loan(10, 1s);
    loan[2] = 5;
    CHECK(loan.commit(std::nothrow, 3));
    CHECK(subscriber.next().size() == 3);
    auto values = shmq::topic<tick>::create("", 4);
    auto reader = values.subscribe();
    auto value = values.loan(1s);
    value->volume = 9;
    value.commit();
    auto sample = reader.read();
    static_assert(std::is_const<std::remove_reference_t<decltype(*sample)>>::value, "every subscriber reads the same bytes");
    auto moved = std::move(sample);
    CHECK(moved->volume == 9);
}

int main() {
    begin();
    what_was_moved_from_has_no_handle();
    any_time_may_come();
    no_wait_is_a_miss_everywhere();
    long_messages_of_topics();
}
