// Queues from C++: values, slices, guards, endpoints, errors, and the forms that do not throw.
#include "cpp_check.hpp"

static void every_form_of_a_value() {
    auto queue = shmq::queue<tick>::create("", 2);
    queue.put({1.5, 10});
    CHECK(queue.try_put({2.5, 20}) && !queue.try_put({3, 3}) && !queue.put_for(tick{3, 3}, 2ms));
    CHECK(!queue.put_until(tick{3, 3}, std::chrono::steady_clock::now() + 1ms));
    CHECK(queue.size() == 2 && queue.capacity() == 2 && !queue.empty());
    CHECK(queue.get() == (tick{1.5, 10}));
    CHECK(queue.try_get() == (tick{2.5, 20}) && !queue.try_get() && !queue.get_for(1ms));
    CHECK(!queue.get_until(std::chrono::steady_clock::now() - 1s));
    tick many[] = {{1, 1}, {2, 2}, {3, 3}};
    CHECK(queue.put_many(many, 1ms) == 2 && queue.get_many(many) == 2 && many[1] == (tick{2, 2}));
    CHECK(queue.put_many(shmq::span<const tick>(many, 1)) == 1);
    queue.close();
    CHECK(queue.is_closed() && queue.get() == (tick{1, 1}));
    CHECK(thrown([&] { return queue.get(); }) == SHMQ_ERROR_CLOSED);
    CHECK(thrown([&] { return queue.try_get(); }) == SHMQ_ERROR_CLOSED);
    CHECK(queue.stats().puts == 5 && queue.stats().gets == 5);
}

static void the_forms_that_do_not_throw() {
    auto queue = shmq::queue<std::uint64_t>::create("", 1);
    auto quiet = queue.nothrow();
    CHECK(quiet.put(7));
    auto full = quiet.try_put(8);
    CHECK(!full && full.code() == SHMQ_ERROR_FULL && full.error().is_full());
    CHECK(quiet.put_for(8, 1ms).code() == SHMQ_ERROR_TIMEOUT);
    auto found = quiet.get();
    CHECK(found && *found == 7 && found.value() == 7);
    CHECK(quiet.try_get().code() == SHMQ_ERROR_EMPTY && quiet.lease(1ms).code() == SHMQ_ERROR_TIMEOUT);
    CHECK(quiet.close());
    auto closed = quiet.put(1);
    CHECK(closed.error().is_closed());
    CHECK(thrown([&] { return closed.value(), 0; }) == SHMQ_ERROR_CLOSED);
    auto missing = shmq::queue<int>::open(std::nothrow, "no such queue");
    CHECK(!missing && missing.code() == SHMQ_ERROR_NOT_FOUND);
}

static void guards_end_as_they_say() {
    auto queue = shmq::queue<tick>::create("", 4);
    { auto loan = queue.loan(); loan->price = 1; }
    CHECK(queue.size() == 0);
    auto loan = queue.loan();
    *loan = {2, 2};
    auto moved = std::move(loan);
    moved.commit();
    {
        auto lease = queue.lease();
        CHECK(lease->volume == 2 && lease.deliveries() == 1);
        lease->volume = 3;
    }
    auto again = queue.lease(1s);
    CHECK(again->volume == 3 && again.deliveries() == 2);
    auto id = again.id();
    again.give_back();
    auto third = queue.try_lease();
    CHECK(third && third->id() == id);
    third->release();
    CHECK(!queue.try_lease() && queue.size() == 0);
    queue.put({4, 4});
    // An exception loses no job.
    CHECK(thrown([&]() -> int { auto lease = queue.lease(); throw shmq::error(SHMQ_ERROR_OTHER); }) == SHMQ_ERROR_OTHER);
    CHECK(queue.get() == (tick{4, 4}));
}

static void slices_of_any_length() {
    auto queue = shmq::queue<std::uint32_t[]>::create("", shmq::options().capacity_bytes(1 << 16));
    std::vector<std::uint32_t> numbers(3000);
    for (std::size_t i = 0; i < numbers.size(); i++) numbers[i] = static_cast<std::uint32_t>(i);
    queue.put(numbers);
    queue.put({});
    CHECK(queue.try_put(shmq::span<const std::uint32_t>(numbers.data(), 2)));
    CHECK(queue.get() == numbers && queue.get().empty());
    std::uint32_t small[1], buffer[8];
    CHECK(thrown([&] { return queue.get_into(small); }) == SHMQ_ERROR_TOO_SMALL);
    CHECK(queue.get_into(buffer) == 2 && buffer[1] == 1 && !queue.try_get());
    auto loan = queue.loan(100);
    CHECK(loan.size() == 100 && (*loan).size() == 100);
    for (auto &number : loan) number = 9;
    loan.commit(7);
    auto lease = queue.lease();
    CHECK(lease.size() == 7 && lease[6] == 9);
    lease.release();
    CHECK(thrown([&] { return queue.put(std::vector<std::uint32_t>(100000)), 0; }) == SHMQ_ERROR_TOO_LARGE);
}

static void endpoints_own_a_side() {
    auto queue = shmq::queue<tick>::create("", 8);
    auto producer = queue.producer();
    auto consumer = queue.consumer();
    auto held = queue.nothrow().try_put({1, 1});
    CHECK(held.code() == SHMQ_ERROR_HELD && held.error().pid() == static_cast<std::uint32_t>(getpid()));
    producer.put({1, 1});
    CHECK(producer.nothrow().try_put({2, 2}));
    CHECK(consumer.get() == (tick{1, 1}) && consumer.try_get() == (tick{2, 2}) && !consumer.try_get());
    auto moved = std::move(producer);
    auto loan = moved.loan();
    *loan = {3, 3};
    loan.commit();
    consumer.lease().release();
    { auto gone = std::move(moved); }
    queue.put({4, 4});
}

static void the_other_program_has_another_struct() {
    std::string name = name_of("mismatch");
    auto queue = shmq::queue<tick>::create(name, 8);
    CHECK(shmq::queue<tick>::open(name).name() == name);
    try {
        (void)shmq::queue<std::uint64_t>::open(name);
        CHECK(!"opened");
    } catch (const shmq::error &error) {
        CHECK(error.is_mismatch());
        CHECK(std::string(error.found()).find("{price@0: f64, volume@8: u64}") != std::string::npos);
        CHECK(std::string(error.wanted()).find("u64") != std::string::npos);
        CHECK(std::string(error.what()).find("{price@0: f64, volume@8: u64}") != std::string::npos);
    }
    CHECK(shmq::queue<tick>::unlink(name));
    CHECK(shmq::queue<tick>::unlink(name).code() == SHMQ_ERROR_NOT_FOUND);
}

static void a_job_of_a_killed_process_comes_back() {
    auto queue = shmq::queue<tick>::create("", 8);
    queue.put({1, 1});
    kill_in([&] { return queue.lease(); });
    auto lease = queue.lease(10s);
    CHECK(lease.deliveries() == 2);
    lease.release();
}

static void a_stop_ends_a_wait_and_a_descriptor_says_when() {
    shmq::stop stop;
    auto queue = shmq::queue<std::array<std::uint8_t, 24>>::create("", shmq::options(1).stop(stop));
    auto readable = queue.readable();
    CHECK(readable.fd() >= 0 && !readable.rearm());
    std::thread setter([&] { std::this_thread::sleep_for(10ms); stop.set(); });
    CHECK(thrown([&] { return queue.get(); }) == SHMQ_ERROR_INTERRUPTED && stop.is_set());
    setter.join();
    shmq_layout layout = {};
    layout.size = sizeof layout;
    OK(shmq_queue_layout(queue.handle(), &layout));
    CHECK(std::string(layout.structure) == "[u8; 24]");
}

int main() {
    begin();
    every_form_of_a_value();
    the_forms_that_do_not_throw();
    guards_end_as_they_say();
    slices_of_any_length();
    endpoints_own_a_side();
    the_other_program_has_another_struct();
    a_job_of_a_killed_process_comes_back();
    a_stop_ends_a_wait_and_a_descriptor_says_when();
}
