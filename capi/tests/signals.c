/* What a signal handler may call, while it interrupts everything else. */
#include "check.h"
#include <sys/time.h>

static shmq_queue *from_handler;
static shmq_event *event;
static shmq_semaphore *semaphore;
static shmq_stop *stop;
static volatile sig_atomic_t calls, busy;

static void handler(int signal_number) {
    (void)signal_number;
    uint64_t call = (uint64_t)calls + 1;
    shmq_error error = shmq_queue_try_put(from_handler, &call, 8);
    if (error == SHMQ_OK) {
        calls = calls + 1;
    } else if (error == SHMQ_ERROR_BUSY || error == SHMQ_ERROR_FULL) {
        busy = busy + 1;
    } else {
        abort();
    }
    if (shmq_event_set(event) != SHMQ_OK || shmq_event_clear(event) != SHMQ_OK) abort();
    if (shmq_semaphore_release(semaphore, 1) != SHMQ_OK) abort();
}

static void interrupts_everything(void) {
    from_handler = numbers(1000);
    OK(shmq_event_create(NULL, NULL, &event));
    OK(shmq_semaphore_create(NULL, 0, NULL, &semaphore));
    struct sigaction action = {0};
    action.sa_handler = handler;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    /* Instead of the end of `begin`: 200 times, in a tenth of a second. */
    struct itimerval often = {{0, 500}, {0, 500}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    uint64_t until = shmq_after(100 * MS), number = 0, seen = 0;
    while (shmq_now() < until) {
        shmq_queue *queue = numbers(2);
        OK(shmq_queue_put(queue, &number, 8));
        EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_queue_get(queue, &number, 3, NULL));
        if (shmq_queue_try_get(from_handler, &number, 8, NULL) == SHMQ_OK) CHECK(number == ++seen);
        OK(shmq_queue_free(queue));
    }
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL) == 0);
    while (shmq_queue_try_get(from_handler, &number, 8, NULL) == SHMQ_OK) CHECK(number == ++seen);
    CHECK(seen == (uint64_t)calls && calls > 10);
    uint64_t permits = 0;
    OK(shmq_semaphore_value(semaphore, &permits));
    CHECK(permits == (uint64_t)(calls + busy));
}

static void stops(int signal_number) {
    (void)signal_number;
    if (shmq_stop_set(stop) != SHMQ_OK) abort();
}

static void a_handler_ends_a_wait(void) {
    OK(shmq_stop_new(&stop));
    shmq_queue_options options = queue_of(8, 8, 4);
    options.stop = stop;
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(NULL, &options, &queue));
    struct sigaction action = {0};
    action.sa_handler = stops;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL) == 0);
    uint64_t number = 0;
    EXPECT(SHMQ_ERROR_INTERRUPTED, shmq_queue_get_timeout(queue, &number, 8, NULL, 30 * SECOND));
    OK(shmq_queue_free(queue));
}

int main(void) {
    begin();
    interrupts_everything();
    a_handler_ends_a_wait();
    return 0;
}
