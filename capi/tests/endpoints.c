/* Producers and consumers: a side for one owner. */
#include "check.h"

static void own_their_sides(void) {
    shmq_queue *queue = numbers(4);
    shmq_producer *producer = NULL, *second = NULL;
    shmq_consumer *consumer = NULL, *another = NULL;
    uint64_t number = 1;
    OK(shmq_queue_producer(queue, &producer));
    EXPECT(SHMQ_ERROR_HELD, shmq_queue_producer(queue, &second));
    CHECK(shmq_error_pid() == (uint32_t)getpid());
    EXPECT(SHMQ_ERROR_HELD, shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_consumer(queue, &consumer));
    EXPECT(SHMQ_ERROR_HELD, shmq_queue_consumer(queue, &another));
    EXPECT(SHMQ_ERROR_HELD, shmq_queue_get(queue, &number, 8, NULL));
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_put(queue, &number, 8));
    CHECK(taken(queue) == 1);
    OK(shmq_queue_free(queue));
}

static void all_verbs(void) {
    shmq_queue *queue = numbers(4);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    uint64_t in[5] = {1, 2, 3, 4, 5}, out[8] = {0};
    size_t length = 0, done = 0;
    for (uint64_t lap = 0; lap < 1000; lap++) {
        OK(shmq_producer_put(producer, &lap, 8));
        OK(shmq_consumer_get(consumer, out, 8, &length));
        CHECK(out[0] == lap && length == 8);
    }
    OK(shmq_producer_try_put(producer, in, 8));
    OK(shmq_producer_put_timeout(producer, in + 1, 8, SECOND));
    OK(shmq_producer_put_deadline(producer, in + 2, 8, shmq_after(SECOND)));
    OK(shmq_producer_put(producer, in + 3, 8));
    EXPECT(SHMQ_ERROR_FULL, shmq_producer_try_put(producer, in, 8));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_producer_put_timeout(producer, in, 8, 2 * MS));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_producer_put_deadline(producer, in, 8, shmq_after(2 * MS)));
    EXPECT(SHMQ_ERROR_WRONG_LENGTH, shmq_producer_put(producer, in, 4));
    OK(shmq_consumer_try_get(consumer, out, 8, NULL));
    OK(shmq_consumer_get_timeout(consumer, out + 1, 8, NULL, SECOND));
    OK(shmq_consumer_get_deadline(consumer, out + 2, 8, NULL, SHMQ_FOREVER));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_consumer_get(consumer, out, 7, NULL));
    OK(shmq_consumer_get(consumer, out + 3, 8, NULL));
    CHECK(memcmp(in, out, 32) == 0);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_consumer_try_get(consumer, out, 8, NULL));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_consumer_get_timeout(consumer, out, 8, NULL, 2 * MS));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_consumer_get_deadline(consumer, out, 8, NULL, shmq_after(2 * MS)));

    OK(shmq_producer_put_many(producer, in, 5, SHMQ_TRY, &done));
    CHECK(done == 4);
    OK(shmq_consumer_get_many(consumer, out, 8, SHMQ_TRY, &done));
    CHECK(done == 4 && memcmp(in, out, 32) == 0);

    shmq_loan *loan = NULL;
    shmq_lease *lease = NULL;
    void *data = NULL;
    OK(shmq_producer_loan(producer, 8, SHMQ_TRY, &loan, &data));
    memcpy(data, in, 8);
    OK(shmq_loan_commit(loan));
    OK(shmq_consumer_lease(consumer, SHMQ_TRY, &lease, &data, &length));
    CHECK(length == 8 && *(uint64_t *)data == 1);
    OK(shmq_lease_give_back(lease));
    OK(shmq_consumer_lease(consumer, SHMQ_FOREVER, &lease, &data, &length));
    /* Guards need no endpoint, and no handle. */
    OK(shmq_consumer_free(consumer));
    OK(shmq_producer_free(producer));
    OK(shmq_queue_free(queue));
    CHECK(*(uint64_t *)data == 1);
    OK(shmq_lease_release(lease));
}

static void the_last_producer_closes(void) {
    shmq_queue_options options = queue_of(8, 8, 4);
    options.flags = SHMQ_CLOSE_WHEN_UNUSED;
    shmq_queue *queue = NULL;
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    uint64_t number = 7;
    OK(shmq_queue_create(NULL, &options, &queue));
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    OK(shmq_queue_free(queue));
    OK(shmq_producer_put(producer, &number, 8));
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_get(consumer, &number, 8, NULL));
    EXPECT(SHMQ_ERROR_CLOSED, shmq_consumer_get_timeout(consumer, &number, 8, NULL, 10 * SECOND));
    OK(shmq_consumer_free(consumer));
}

int main(void) {
    begin();
    the_last_producer_closes();
    own_their_sides();
    all_verbs();
    return 0;
}
