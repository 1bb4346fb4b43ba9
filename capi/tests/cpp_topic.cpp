// Topics from C++.
#include "cpp_check.hpp"

static void gating_and_lossy_subscribers() {
    auto topic = shmq::topic<tick>::create("", shmq::options(4).history(2));
    topic.publish({1, 1});
    auto every = topic.subscribe(shmq::subscription::gating().from_oldest());
    auto live = topic.subscribe(shmq::subscription::lossy());
    CHECK(every.is_gating() && !live.is_gating());
    auto publisher = topic.publisher();
    publisher.publish({2, 2});
    CHECK(every.next() == (tick{1, 1}) && every.try_next() == (tick{2, 2}) && !every.try_next() && !every.next_for(1ms));
    CHECK(every.received() == 2 && every.lag() == 0);
    tick many[] = {{3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}};
    CHECK(publisher.publish_many(shmq::span<const tick>(many), 1ms) == 4);
    auto full = publisher.nothrow().try_publish({8, 8});
    CHECK(full.code() == SHMQ_ERROR_FULL && full.error().pid() == static_cast<std::uint32_t>(getpid()));
    {
        auto sample = every.read();
        CHECK(sample->volume == 3);
        CHECK(every.nothrow().next().code() == SHMQ_ERROR_SAMPLE_OPEN);
    }
    CHECK(every.next() == (tick{4, 4}));
    for (int i = 0; i < 20; i++) {
        (void)every.next_for(1ms);
        publisher.publish({9, 9});
    }
    auto lagged = live.nothrow().next();
    CHECK(lagged.error().is_lagged() && lagged.error().lag() > 0 && live.missed() == lagged.error().lag());
    CHECK(live.latest() == (tick{9, 9}));
    auto loan_topic = shmq::topic<tick>::create("", 4);
    auto reader = loan_topic.subscribe();
    auto loan = loan_topic.loan();
    *loan = {10, 10};
    loan.commit();
    CHECK(reader.next() == (tick{10, 10}) && loan_topic.stats().published == 1);
    loan_topic.close();
    CHECK(thrown([&] { return reader.next(); }) == SHMQ_ERROR_CLOSED);
    CHECK(thrown([&] { return reader.try_next(); }) == SHMQ_ERROR_CLOSED);
}

static void slices() {
    auto frames = shmq::topic<std::uint8_t[]>::create("", shmq::options().capacity_bytes(1 << 16));
    auto reader = frames.subscribe();
    auto loan = frames.loan(5000);
    for (auto &byte : loan) byte = 7;
    loan.commit(4000);
    frames.publish(std::vector<std::uint8_t>{1, 2, 3});
    {
        auto sample = reader.read();
        CHECK(sample.size() == 4000 && sample[3999] == 7);
    }
    CHECK(reader.next() == (std::vector<std::uint8_t>{1, 2, 3}));
    CHECK(!reader.try_next());
}

static void a_killed_subscriber_stops_nobody() {
    std::string name = name_of("topic");
    auto topic = shmq::topic<tick>::create(name, 2);
    kill_in([&] { return shmq::topic<tick>::open(name).subscribe(); });
    for (int i = 0; i < 10; i++) CHECK(topic.publish_for(tick{1, 1}, 10s));
    CHECK(!topic.wait_subscribers(1, 1ms));
    CHECK(shmq::topic<tick>::open(std::nothrow, "no such topic").code() == SHMQ_ERROR_NOT_FOUND);
}

int main() {
    begin();
    gating_and_lossy_subscribers();
    slices();
    a_killed_subscriber_stops_nobody();
}
