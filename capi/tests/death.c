/* Peers that are killed: nothing that was put is lost, and the others go on. */
#include "check.h"

/* Runs `body` in a child until it says that it is ready, and kills it. */
#define KILL_IN(body)                                                                                \
    do {                                                                                             \
        int ends_[2];                                                                                \
        CHECK(pipe(ends_) == 0);                                                                     \
        pid_t child_ = fork();                                                                       \
        CHECK(child_ >= 0);                                                                          \
        if (child_ == 0) {                                                                           \
            body;                                                                                    \
            wait_for_the_kill(ends_[1]);                                                             \
        }                                                                                            \
        close(ends_[1]);                                                                             \
        killed(child_, ends_[0]);                                                                    \
    } while (0)

static void a_lease_comes_back(void) {
    shmq_queue *queue = numbers(4);
    uint64_t number = 7;
    OK(shmq_queue_put(queue, &number, 8));
    shmq_lease *lease = NULL;
    void *data = NULL;
    KILL_IN(OK(shmq_queue_lease(queue, SHMQ_FOREVER, &lease, &data, NULL)));
    OK(shmq_queue_lease(queue, shmq_after(10 * SECOND), &lease, &data, NULL));
    uint32_t deliveries = 0;
    OK(shmq_lease_deliveries(lease, &deliveries));
    CHECK(deliveries == 2 && *(uint64_t *)data == 7);
    OK(shmq_lease_release(lease));
    OK(shmq_queue_free(queue));
}

static void what_was_put_stays(void) {
    shmq_queue *queue = numbers(4);
    uint64_t number = 7;
    KILL_IN(OK(shmq_queue_put(queue, &number, 8)));
    CHECK(taken(queue) == 7);
    OK(shmq_queue_free(queue));
}

static void a_loan_was_never_there(void) {
    shmq_queue *queue = numbers(2);
    shmq_loan *loan = NULL;
    void *data = NULL;
    uint64_t number = 8;
    KILL_IN(OK(shmq_queue_loan(queue, 8, SHMQ_FOREVER, &loan, &data)));
    OK(shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_put_timeout(queue, &number, 8, 10 * SECOND)); /* its cell is free again */
    CHECK(taken(queue) == 8 && taken(queue) == 8);
    OK(shmq_queue_free(queue));
}

static void a_side_is_taken_over(void) {
    shmq_queue *queue = numbers(4);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    uint64_t number = 1;
    KILL_IN({
        OK(shmq_queue_producer(queue, &producer));
        OK(shmq_producer_put(producer, &number, 8));
        OK(shmq_queue_consumer(queue, &consumer));
    });
    number = 2;
    OK(shmq_queue_put_timeout(queue, &number, 8, 10 * SECOND));
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    OK(shmq_consumer_get_timeout(consumer, &number, 8, NULL, 10 * SECOND));
    CHECK(number == 1);
    OK(shmq_consumer_get_timeout(consumer, &number, 8, NULL, 10 * SECOND));
    CHECK(number == 2);
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_free(queue));
}

static void a_dead_subscriber_is_not_waited_for(void) {
    shmq_queue_options options = queue_of(8, 8, 2);
    shmq_topic *topic = NULL;
    OK(shmq_topic_create(NULL, &options, &topic));
    shmq_subscriber *subscriber = NULL;
    KILL_IN(OK(shmq_topic_subscribe(topic, NULL, &subscriber)));
    for (uint64_t number = 0; number < 10; number++) OK(shmq_topic_publish_timeout(topic, &number, 8, 10 * SECOND));
    shmq_topic_counters counters;
    counters.size = sizeof counters;
    OK(shmq_topic_stats(topic, &counters));
    CHECK(counters.published == 10);
    OK(shmq_topic_free(topic));
}

static void an_owner_dies(void) {
    shmq_primitive_options options = {0};
    options.size = sizeof options;
    options.data_size = options.data_align = 8;
    uint64_t first = 5, *data = NULL;
    shmq_mutex *mutex = NULL;
    OK(shmq_mutex_create(NULL, &first, &options, &mutex));
    KILL_IN({
        OK(shmq_mutex_lock(mutex, SHMQ_FOREVER, (void **)&data));
        *data = 99;
    });
    EXPECT(SHMQ_ERROR_OWNER_DIED, shmq_mutex_lock(mutex, shmq_after(10 * SECOND), (void **)&data));
    CHECK(*data == 99);
    OK(shmq_mutex_unlock(mutex)); /* not repaired: the next one gets it too */
    EXPECT(SHMQ_ERROR_OWNER_DIED, shmq_mutex_lock(mutex, SHMQ_TRY, (void **)&data));
    *data = 5;
    OK(shmq_mutex_mark_repaired(mutex));
    OK(shmq_mutex_unlock(mutex));
    OK(shmq_mutex_lock(mutex, SHMQ_TRY, NULL));
    OK(shmq_mutex_unlock(mutex));
    OK(shmq_mutex_free(mutex));
}

static void a_permit_comes_back(void) {
    shmq_semaphore *semaphore = NULL;
    shmq_permit *permit = NULL;
    OK(shmq_semaphore_create(NULL, 1, NULL, &semaphore));
    KILL_IN(OK(shmq_semaphore_permit(semaphore, SHMQ_FOREVER, &permit)));
    OK(shmq_semaphore_permit(semaphore, shmq_after(10 * SECOND), &permit));
    OK(shmq_permit_give_back(permit));
    OK(shmq_semaphore_free(semaphore));
}

/* Workers that are killed in the middle: every job is done at least once, and released once. */
static void jobs_of_killed_workers_are_done(void) {
    enum { JOBS = 200 };
    shmq_queue *jobs = numbers(JOBS), *done = numbers(10 * JOBS);
    for (uint64_t job = 0; job < JOBS; job++) OK(shmq_queue_put(jobs, &job, 8));
    OK(shmq_queue_close(jobs));
    unsigned kills = 0;
    for (unsigned worker = 0;; worker++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (unsigned job = 0;; job++) {
                shmq_lease *lease = NULL;
                void *data = NULL;
                shmq_error error = shmq_queue_lease(jobs, SHMQ_FOREVER, &lease, &data, NULL);
                if (error == SHMQ_ERROR_CLOSED) _exit(0);
                CHECK(error == SHMQ_OK);
                if (job == 3 + worker % 5) raise(SIGKILL);
                OK(shmq_queue_put(done, data, 8));
                if (job == 4 + worker % 7) raise(SIGKILL);
                OK(shmq_lease_release(lease));
            }
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 0);
            break;
        }
        kills++;
    }
    CHECK(kills > 10);
    static unsigned times[JOBS];
    uint64_t job = 0;
    while (shmq_queue_try_get(done, &job, 8, NULL) == SHMQ_OK) times[job]++;
    for (job = 0; job < JOBS; job++) CHECK(times[job] >= 1);
    OK(shmq_queue_free(jobs));
    OK(shmq_queue_free(done));
}

int main(void) {
    begin();
    a_lease_comes_back();
    what_was_put_stays();
    a_loan_was_never_there();
    a_side_is_taken_over();
    a_dead_subscriber_is_not_waited_for();
    an_owner_dies();
    a_permit_comes_back();
    jobs_of_killed_workers_are_done();
    return 0;
}
