/* Topics: publishing, gating and lossy subscribers, samples. */
#include "check.h"

static shmq_topic *topic_of(size_t capacity, size_t history) {
    shmq_queue_options options = queue_of(8, 8, capacity);
    options.structure = "u64";
    options.history = history;
    shmq_topic *topic = NULL;
    OK(shmq_topic_create(NULL, &options, &topic));
    return topic;
}

static uint64_t next_of(shmq_subscriber *subscriber) {
    uint64_t number = 0;
    size_t length = 0;
    OK(shmq_subscriber_next_timeout(subscriber, &number, 8, &length, 10 * SECOND));
    CHECK(length == 8);
    return number;
}

static void every_subscriber_sees_all(void) {
    shmq_topic *topic = topic_of(4, 0), *same = NULL;
    const char *name = NULL;
    OK(shmq_topic_name(topic, &name));
    OK(shmq_topic_open(name, NULL, SHMQ_TRY, &same));
    shmq_subscriber *first = NULL, *second = NULL;
    uint64_t number = 1, many[3] = {2, 3, 4}, out[8] = {0};
    size_t done = 0;
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_topic_wait_subscribers(topic, 2, shmq_after(MS)));
    OK(shmq_topic_subscribe(topic, NULL, &first));
    OK(shmq_topic_subscribe(same, NULL, &second));
    OK(shmq_topic_wait_subscribers(topic, 2, SHMQ_FOREVER));
    OK(shmq_topic_publish(topic, &number, 8));
    OK(shmq_topic_publish_many(topic, many, 3, SHMQ_TRY, &done));
    CHECK(done == 3);
    for (uint64_t expected = 1; expected <= 4; expected++) CHECK(next_of(first) == expected);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_subscriber_try_next(first, out, 8, NULL));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_subscriber_next_timeout(first, out, 8, NULL, MS));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_subscriber_next_deadline(first, out, 8, NULL, shmq_after(MS)));

    /* The second one has read nothing: it is in the way, and the error says who. */
    EXPECT(SHMQ_ERROR_FULL, shmq_topic_try_publish(topic, &number, 8));
    CHECK(shmq_error_pid() == (uint32_t)getpid() && shmq_error_lag() == 4);
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_topic_publish_timeout(topic, &number, 8, MS));
    CHECK(shmq_error_pid() == (uint32_t)getpid());
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_topic_publish_deadline(topic, &number, 8, shmq_after(MS)));
    uint64_t lag = 0, received = 0;
    bool gating = false;
    OK(shmq_subscriber_lag(second, &lag));
    OK(shmq_subscriber_is_gating(second, &gating));
    CHECK(lag == 4 && gating);
    OK(shmq_subscriber_next_many(second, out, 8, SHMQ_TRY, &done));
    CHECK(done == 4 && out[0] == 1 && out[3] == 4);
    OK(shmq_subscriber_received(second, &received));
    CHECK(received == 4);
    OK(shmq_topic_try_publish(topic, &number, 8));
    OK(shmq_topic_close(topic));
    EXPECT(SHMQ_ERROR_CLOSED, shmq_topic_publish(same, &number, 8));
    CHECK(next_of(second) == 1);
    EXPECT(SHMQ_ERROR_CLOSED, shmq_subscriber_next(second, out, 8, NULL));
    shmq_topic_counters counters;
    counters.size = sizeof counters;
    OK(shmq_topic_stats(topic, &counters));
    CHECK(counters.published == 5 && counters.refused_publishes >= 1 && counters.publish_timeouts == 2);
    bool closed = false;
    OK(shmq_topic_is_closed(same, &closed));
    CHECK(closed);
    OK(shmq_topic_free(topic));
    OK(shmq_topic_free(same));
    OK(shmq_subscriber_free(first));
    OK(shmq_subscriber_free(second));
}

static void lossy_ones_know_what_they_missed(void) {
    shmq_topic *topic = topic_of(4, 2);
    for (uint64_t number = 1; number <= 3; number++) OK(shmq_topic_publish(topic, &number, 8));
    shmq_subscribe_options options = {0};
    options.size = sizeof options;
    options.is_lossy = 1;
    options.start = SHMQ_START_BACK;
    options.back = 1;
    shmq_subscriber *lossy = NULL, *gating = NULL;
    OK(shmq_topic_subscribe(topic, &options, &lossy));
    CHECK(next_of(lossy) == 3);
    options.start = 77;
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_topic_subscribe(topic, &options, &gating));
    options.is_lossy = 0;
    options.start = SHMQ_START_OLDEST;
    OK(shmq_topic_subscribe(topic, &options, &gating));
    uint64_t number = next_of(gating);
    CHECK(number == 2 || number == 1);
    OK(shmq_subscriber_free(gating));
    for (number = 4; number <= 20; number++) OK(shmq_topic_publish(topic, &number, 8));
    EXPECT(SHMQ_ERROR_LAGGED, shmq_subscriber_next(lossy, &number, 8, NULL));
    CHECK(shmq_error_lag() > 0);
    uint64_t after = next_of(lossy), missed = 0;
    CHECK(after > 4 && after <= 20);
    size_t length = 0;
    OK(shmq_subscriber_latest(lossy, &number, 8, &length));
    CHECK(number == 20 && length == 8);
    OK(shmq_subscriber_missed(lossy, &missed));
    CHECK(missed == 15);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_subscriber_latest(lossy, &number, 8, NULL));
    const void *data = NULL;
    EXPECT(SHMQ_ERROR_NOT_GATING, shmq_subscriber_read(lossy, SHMQ_TRY, &data, NULL));
    shmq_loan *loan = NULL;
    void *room = NULL;
    EXPECT(SHMQ_ERROR_LOSSY_HERE, shmq_topic_loan(topic, 8, SHMQ_TRY, &loan, &room));
    OK(shmq_subscriber_free(lossy));
    OK(shmq_topic_free(topic));
}

static void in_place(void) {
    shmq_topic *topic = topic_of(4, 0);
    shmq_publisher *publisher = NULL, *second = NULL;
    shmq_subscriber *subscriber = NULL;
    OK(shmq_topic_publisher(topic, &publisher));
    EXPECT(SHMQ_ERROR_HELD, shmq_topic_publisher(topic, &second));
    OK(shmq_topic_subscribe(topic, NULL, &subscriber));
    shmq_loan *loan = NULL;
    void *room = NULL;
    OK(shmq_publisher_loan(publisher, 8, SHMQ_TRY, &loan, &room));
    *(uint64_t *)room = 7;
    shmq_subscribe_options lossy = {0};
    lossy.size = sizeof lossy;
    lossy.is_lossy = 1;
    shmq_subscriber *other = NULL;
    EXPECT(SHMQ_ERROR_LOANS_HERE, shmq_topic_subscribe(topic, &lossy, &other));
    OK(shmq_loan_commit(loan));
    uint64_t number = 8;
    OK(shmq_publisher_publish(publisher, &number, 8));
    OK(shmq_publisher_try_publish(publisher, &number, 8));
    OK(shmq_publisher_publish_timeout(publisher, &number, 8, SECOND));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_publisher_publish_deadline(publisher, &number, 8, shmq_after(MS)));
    EXPECT(SHMQ_ERROR_FULL, shmq_publisher_loan(publisher, 8, SHMQ_TRY, &loan, &room));

    const void *data = NULL;
    size_t length = 0;
    OK(shmq_subscriber_read(subscriber, SHMQ_TRY, &data, &length));
    CHECK(*(const uint64_t *)data == 7 && length == 8);
    EXPECT(SHMQ_ERROR_SAMPLE_OPEN, shmq_subscriber_read(subscriber, SHMQ_TRY, &data, &length));
    EXPECT(SHMQ_ERROR_SAMPLE_OPEN, shmq_subscriber_next(subscriber, &number, 8, NULL));
    EXPECT(SHMQ_ERROR_SAMPLE_OPEN, shmq_subscriber_latest(subscriber, &number, 8, NULL));
    uint64_t lag = 0;
    OK(shmq_subscriber_lag(subscriber, &lag));
    OK(shmq_subscriber_pass(subscriber));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_subscriber_pass(subscriber));
    size_t done = 0;
    OK(shmq_publisher_publish_many(publisher, &number, 1, SHMQ_TRY, &done));
    CHECK(next_of(subscriber) == 8);
    /* With a sample open. */
    OK(shmq_subscriber_read(subscriber, shmq_after(SECOND), &data, &length));
    OK(shmq_subscriber_free(subscriber));
    OK(shmq_publisher_free(publisher));
    OK(shmq_topic_free(topic));
}

/* A buffer that is too short loses nothing. */
static void the_newest_by_a_longer_buffer(void) {
    static char sent[3000], got[3000];
    shmq_queue_options options = bytes_of(1 << 16);
    shmq_topic *topic = NULL;
    shmq_subscriber *subscriber = NULL;
    size_t length = 0;
    OK(shmq_topic_create(NULL, &options, &topic));
    OK(shmq_topic_subscribe(topic, NULL, &subscriber));
    sent[2999] = 7;
    OK(shmq_topic_publish(topic, sent, 10));
    OK(shmq_topic_publish(topic, sent, 3000));
    for (int round = 0; round < 2; round++) {
        EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_subscriber_latest(subscriber, got, 100, &length));
        CHECK(shmq_error_maximum() == 3000);
    }
    OK(shmq_subscriber_latest(subscriber, got, 3000, &length));
    CHECK(length == 3000 && got[2999] == 7);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_subscriber_latest(subscriber, got, 3000, &length));
    /* A newer one goes before it, and nothing comes after what is newer. */
    OK(shmq_topic_publish(topic, sent, 3000));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_subscriber_latest(subscriber, got, 100, &length));
    OK(shmq_topic_publish(topic, "x", 1));
    OK(shmq_subscriber_latest(subscriber, got, 100, &length));
    CHECK(length == 1);
    OK(shmq_topic_publish(topic, sent, 3000));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_subscriber_latest(subscriber, got, 100, &length));
    OK(shmq_topic_publish(topic, "y", 1));
    OK(shmq_subscriber_next(subscriber, got, 100, &length));
    EXPECT(SHMQ_ERROR_EMPTY, shmq_subscriber_latest(subscriber, got, 3000, &length));
    /* The end of the stream is no end of it. */
    OK(shmq_topic_publish(topic, sent, 3000));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_subscriber_latest(subscriber, got, 100, &length));
    OK(shmq_topic_close(topic));
    OK(shmq_subscriber_latest(subscriber, got, 3000, &length));
    CHECK(length == 3000);
    OK(shmq_subscriber_free(subscriber));
    OK(shmq_topic_free(topic));
}

int main(void) {
    begin();
    every_subscriber_sees_all();
    lossy_ones_know_what_they_missed();
    in_place();
    the_newest_by_a_longer_buffer();
    return 0;
}
