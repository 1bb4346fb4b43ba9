/* Threads of one process: one handle for all, an endpoint for each, errors of their own. */
#include "check.h"
#include <pthread.h>

enum { EACH = 20000, THREADS = 3 };
static shmq_queue *queue;

static void *puts_numbers(void *nothing) {
    (void)nothing;
    for (uint64_t number = 1; number <= EACH; number++) OK(shmq_queue_put(queue, &number, 8));
    return NULL;
}

static void *gets_numbers(void *sum) {
    for (;;) {
        uint64_t number = 0;
        shmq_error error = shmq_queue_get(queue, &number, 8, NULL);
        if (error == SHMQ_ERROR_CLOSED) return NULL;
        CHECK(error == SHMQ_OK);
        *(uint64_t *)sum += number;
    }
}

static void one_handle_for_all(void) {
    queue = numbers(16);
    pthread_t putters[THREADS], getters[THREADS];
    uint64_t sums[THREADS] = {0}, sum = 0;
    for (int at = 0; at < THREADS; at++) {
        CHECK(pthread_create(&putters[at], NULL, puts_numbers, NULL) == 0);
        CHECK(pthread_create(&getters[at], NULL, gets_numbers, &sums[at]) == 0);
    }
    for (int at = 0; at < THREADS; at++) CHECK(pthread_join(putters[at], NULL) == 0);
    OK(shmq_queue_close(queue));
    for (int at = 0; at < THREADS; at++) {
        CHECK(pthread_join(getters[at], NULL) == 0);
        sum += sums[at];
    }
    CHECK(sum == THREADS * ((uint64_t)EACH * (EACH + 1) / 2));
    OK(shmq_queue_free(queue));
}

static void *produces(void *producer) {
    for (uint64_t number = 0; number < EACH; number++) OK(shmq_producer_put(producer, &number, 8));
    return NULL;
}

static void endpoints_in_two_threads(void) {
    queue = numbers(64);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, produces, producer) == 0);
    for (uint64_t expected = 0, got = 0; expected < EACH; expected++) {
        OK(shmq_consumer_get(consumer, &got, 8, NULL));
        CHECK(got == expected);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_free(queue));
}

static void *fails_otherwise(void *lease) {
    CHECK(shmq_error_last() == SHMQ_OK && shmq_error_message()[0] == 0);
    uint64_t number = 0;
    EXPECT(SHMQ_ERROR_WRONG_LENGTH, shmq_queue_put(queue, &number, 3));
    /* A guard need not end where it began. */
    OK(shmq_lease_release(lease));
    return NULL;
}

static void errors_are_of_their_threads(void) {
    queue = numbers(4);
    uint64_t number = 0;
    OK(shmq_queue_put(queue, &number, 8));
    shmq_lease *lease = NULL;
    void *data = NULL;
    OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
    OK(shmq_queue_put(queue, &number, 8));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_queue_get(queue, &number, 5, NULL));
    const char *message = shmq_error_message();
    char *copy = strdup(message);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fails_otherwise, lease) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(shmq_error_last() == SHMQ_ERROR_TOO_SMALL && shmq_error_length() == 5);
    CHECK(shmq_error_message() == message && strcmp(message, copy) == 0);
    free(copy);
    OK(shmq_queue_free(queue));
}

static void *waits(void *stopped) {
    uint64_t number = 0;
    EXPECT(SHMQ_ERROR_INTERRUPTED, shmq_queue_get(stopped, &number, 8, NULL));
    return NULL;
}

static void a_stop_ends_waits(void) {
    shmq_stop *stop = NULL;
    OK(shmq_stop_new(&stop));
    shmq_queue_options options = queue_of(8, 8, 4);
    options.stop = stop;
    shmq_queue *stopped = NULL;
    OK(shmq_queue_create(NULL, &options, &stopped));
    shmq_consumer *consumer = NULL;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, waits, stopped) == 0);
    usleep(5000); /* mostly, it sleeps by then; both are right */
    OK(shmq_stop_set(stop));
    CHECK(pthread_join(thread, NULL) == 0);
    bool is_set = false;
    OK(shmq_stop_is_set(stop, &is_set));
    CHECK(is_set);
    uint64_t number = 0;
    OK(shmq_queue_consumer(stopped, &consumer));
    EXPECT(SHMQ_ERROR_INTERRUPTED, shmq_consumer_get(consumer, &number, 8, NULL));
    OK(shmq_stop_free(stop));
    EXPECT(SHMQ_ERROR_INTERRUPTED, shmq_consumer_get(consumer, &number, 8, NULL));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_free(stopped));
}

int main(void) {
    begin();
    one_handle_for_all();
    endpoints_in_two_threads();
    errors_are_of_their_threads();
    a_stop_ends_waits();
    return 0;
}
