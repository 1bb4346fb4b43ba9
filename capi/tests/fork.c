/* Forks: handles of queues go on in the child, endpoints and guards stay the parent's. */
#include "check.h"
#include <poll.h>

static void guards_stay_the_parents(void) {
    shmq_queue *queue = numbers(8);
    uint64_t number = 1;
    for (int round = 0; round < 3; round++) OK(shmq_queue_put(queue, &number, 8));
    shmq_loan *loan = NULL, *aborted = NULL, *cut = NULL;
    shmq_lease *lease = NULL, *back = NULL;
    void *room = NULL, *data = NULL;
    OK(shmq_queue_loan(queue, 8, SHMQ_TRY, &loan, &room));
    *(uint64_t *)room = 9;
    OK(shmq_queue_loan(queue, 8, SHMQ_TRY, &aborted, &data));
    OK(shmq_queue_loan(queue, 8, SHMQ_TRY, &cut, &data));
    OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
    OK(shmq_queue_lease(queue, SHMQ_TRY, &back, &data, NULL));
    pid_t child = fork();
    if (child == 0) {
        uint32_t count = 0;
        EXPECT(SHMQ_ERROR_INHERITED, shmq_lease_deliveries(lease, &count));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_lease_release(lease));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_lease_give_back(back));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_loan_commit(loan));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_loan_abort(aborted));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_loan_commit_length(cut, 8));
        CHECK(taken(queue) == 1); /* the queue goes on */
        number = 5;
        OK(shmq_queue_put(queue, &number, 8));
        OK(shmq_queue_free(queue));
        _exit(0);
    }
    joined(child);
    OK(shmq_lease_release(lease));
    OK(shmq_lease_give_back(back));
    CHECK(taken(queue) == 1);
    OK(shmq_loan_commit(loan));
    OK(shmq_loan_abort(aborted));
    OK(shmq_loan_commit(cut));
    CHECK(taken(queue) == 9);
    taken(queue); /* `cut` */
    CHECK(taken(queue) == 5);
    OK(shmq_queue_free(queue));
}

static void endpoints_stay_the_parents(void) {
    shmq_queue *queue = numbers(8);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    uint64_t number = 1;
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    pid_t child = fork();
    if (child == 0) {
        shmq_loan *loan = NULL;
        shmq_lease *lease = NULL;
        shmq_readiness *readiness = NULL;
        void *data = NULL;
        size_t done = 0;
        EXPECT(SHMQ_ERROR_INHERITED, shmq_producer_put(producer, &number, 8));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_producer_try_put(producer, &number, 8));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_producer_put_many(producer, &number, 1, SHMQ_TRY, &done));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_producer_loan(producer, 8, SHMQ_TRY, &loan, &data));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_producer_writable(producer, 8, &readiness));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_consumer_get(consumer, &number, 8, NULL));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_consumer_lease(consumer, SHMQ_TRY, &lease, &data, NULL));
        EXPECT(SHMQ_ERROR_HELD, shmq_queue_put(queue, &number, 8));
        CHECK(shmq_error_pid() == (uint32_t)getppid());
        OK(shmq_producer_free(producer)); /* the child's copy */
        OK(shmq_consumer_free(consumer));
        EXPECT(SHMQ_ERROR_HELD, shmq_queue_put(queue, &number, 8));
        _exit(0);
    }
    joined(child);
    OK(shmq_producer_put(producer, &number, 8));
    OK(shmq_consumer_get(consumer, &number, 8, NULL));
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_free(queue));
}

static void subscribers_stay_the_parents(void) {
    shmq_queue_options options = queue_of(8, 8, 4);
    shmq_topic *topic = NULL;
    OK(shmq_topic_create(NULL, &options, &topic));
    shmq_subscriber *subscriber = NULL, *own = NULL;
    shmq_publisher *publisher = NULL;
    OK(shmq_topic_subscribe(topic, NULL, &subscriber));
    OK(shmq_topic_publisher(topic, &publisher));
    uint64_t number = 3;
    OK(shmq_publisher_publish(publisher, &number, 8));
    const void *data = NULL;
    OK(shmq_subscriber_read(subscriber, SHMQ_TRY, &data, NULL));
    pid_t child = fork();
    if (child == 0) {
        EXPECT(SHMQ_ERROR_INHERITED, shmq_subscriber_lag(subscriber, &number));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_subscriber_pass(subscriber));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_subscriber_next(subscriber, &number, 8, NULL));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_subscriber_read(subscriber, SHMQ_FOREVER, &data, NULL));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_publisher_publish(publisher, &number, 8));
        OK(shmq_subscriber_free(subscriber));
        OK(shmq_topic_subscribe(topic, NULL, &own));
        OK(shmq_subscriber_free(own));
        _exit(0);
    }
    joined(child);
    CHECK(*(const uint64_t *)data == 3);
    OK(shmq_subscriber_pass(subscriber));
    OK(shmq_publisher_publish(publisher, &number, 8));
    OK(shmq_subscriber_next(subscriber, &number, 8, NULL));
    OK(shmq_subscriber_free(subscriber));
    OK(shmq_publisher_free(publisher));
    OK(shmq_topic_free(topic));
}

static void locks_stay_the_parents(void) {
    shmq_mutex *mutex = NULL;
    shmq_semaphore *semaphore = NULL;
    shmq_permit *permit = NULL;
    OK(shmq_mutex_create(NULL, NULL, NULL, &mutex));
    OK(shmq_semaphore_create(NULL, 1, NULL, &semaphore));
    OK(shmq_semaphore_permit(semaphore, SHMQ_TRY, &permit));
    OK(shmq_mutex_lock(mutex, SHMQ_TRY, NULL));
    pid_t child = fork();
    if (child == 0) {
        EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_mutex_lock(mutex, SHMQ_TRY, NULL));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_mutex_mark_repaired(mutex));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_mutex_unlock(mutex));
        EXPECT(SHMQ_ERROR_INHERITED, shmq_permit_give_back(permit));
        EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_semaphore_acquire(semaphore, SHMQ_TRY));
        EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_mutex_lock(mutex, SHMQ_TRY, NULL));
        _exit(0);
    }
    joined(child);
    OK(shmq_mutex_unlock(mutex));
    OK(shmq_permit_give_back(permit));
    child = fork();
    if (child == 0) {
        OK(shmq_mutex_lock(mutex, SHMQ_FOREVER, NULL));
        OK(shmq_mutex_unlock(mutex));
        OK(shmq_semaphore_acquire(semaphore, SHMQ_FOREVER));
        OK(shmq_semaphore_release(semaphore, 1));
        _exit(0);
    }
    joined(child);
    OK(shmq_mutex_free(mutex));
    OK(shmq_semaphore_free(semaphore));
}

static void readiness_stays_the_parents(void) {
    shmq_queue *queue = numbers(4);
    shmq_readiness *readiness = NULL;
    OK(shmq_queue_readable(queue, &readiness));
    pid_t child = fork(); /* the library has a thread of its own by now, which the child has not */
    if (child == 0) {
        bool ready = false;
        EXPECT(SHMQ_ERROR_INHERITED, shmq_readiness_rearm(readiness, &ready));
        _exit(0);
    }
    joined(child);
    uint64_t number = 1;
    OK(shmq_queue_put(queue, &number, 8));
    int fd = -1;
    OK(shmq_readiness_fd(readiness, &fd));
    struct pollfd watched = {fd, POLLIN, 0};
    CHECK(poll(&watched, 1, 10000) == 1);
    OK(shmq_readiness_free(readiness));
    OK(shmq_queue_free(queue));
}

int main(void) {
    begin();
    guards_stay_the_parents();
    endpoints_stay_the_parents();
    subscribers_stay_the_parents();
    locks_stay_the_parents();
    readiness_stays_the_parents();
    return 0;
}
