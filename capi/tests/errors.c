/* Errors in a signal handler: a call that it may make takes no memory, also if it fails. The handler may
 * have interrupted malloc. */
#include "check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ITS_OWN_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HAS_ITS_OWN_MALLOC
#endif

static volatile int counted, calls;

#ifndef HAS_ITS_OWN_MALLOC
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *at, size_t bytes);
extern void __libc_free(void *at);

void *malloc(size_t bytes) {
    calls += counted;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    calls += counted;
    return __libc_calloc(count, bytes);
}

void *realloc(void *at, size_t bytes) {
    calls += counted;
    return __libc_realloc(at, bytes);
}

void free(void *at) {
    calls += counted;
    __libc_free(at);
}
#endif

/* A call that returns this, leaves errno, and takes no memory. */
#define ALONE(expected, call)                        \
    do {                                             \
        errno = 77, calls = 0, counted = 1;          \
        shmq_error alone_ = (call);                  \
        counted = 0;                                 \
        CHECK(alone_ == (expected) && errno == 77);  \
        CHECK(calls == 0);                           \
    } while (0)

static void puts_that_fail(void) {
    uint64_t number = 1;
    shmq_queue *queue = numbers(1), *freed = numbers(1);
    shmq_producer *producer = NULL;
    OK(shmq_queue_free(freed));
    ALONE(SHMQ_OK, shmq_queue_try_put(queue, &number, 8));
    ALONE(SHMQ_ERROR_FULL, shmq_queue_try_put(queue, &number, 8));
    ALONE(SHMQ_ERROR_HANDLE, shmq_queue_try_put(freed, &number, 8));
    ALONE(SHMQ_ERROR_ARGUMENT, shmq_queue_try_put(queue, NULL, 8));
    ALONE(SHMQ_ERROR_WRONG_LENGTH, shmq_queue_try_put(queue, &number, 7));
    CHECK(shmq_error_length() == 7 && shmq_error_maximum() == 8);
    const char *text = shmq_error_message();
    CHECK(strstr(text, "7 bytes") != NULL && shmq_error_message() == text);
    CHECK(shmq_error_last() == SHMQ_ERROR_WRONG_LENGTH && shmq_error_length() == 7);
    OK(shmq_queue_producer(queue, &producer));
    ALONE(SHMQ_ERROR_HELD, shmq_queue_try_put(queue, &number, 8));
    CHECK(shmq_error_pid() == (uint32_t)getpid() && shmq_error_length() == 0);
    OK(shmq_producer_free(producer));
    OK(shmq_queue_close(queue));
    ALONE(SHMQ_ERROR_CLOSED, shmq_queue_try_put(queue, &number, 8));
    /* A child that has not attached yet. */
    pid_t child = fork();
    if (child == 0) {
        ALONE(SHMQ_ERROR_CLOSED, shmq_queue_try_put(queue, &number, 8));
        _exit(0);
    }
    joined(child);
    OK(shmq_queue_free(queue));

    shmq_queue_options options = bytes_of(4096);
    options.message_size = options.message_align = 4;
    static char many[8192];
    OK(shmq_queue_create(NULL, &options, &queue));
    ALONE(SHMQ_ERROR_TOO_LARGE, shmq_queue_try_put(queue, many, sizeof many));
    CHECK(strstr(shmq_error_message(), "8192") != NULL);
    ALONE(SHMQ_ERROR_NOT_WHOLE, shmq_queue_try_put(queue, many, 6));
    CHECK(shmq_error_maximum() == 4);
    OK(shmq_queue_free(queue));
}

static void primitives_that_fail(void) {
    shmq_primitive_options options = {0};
    options.size = sizeof options;
    options.flags = SHMQ_BOUNDED;
    shmq_semaphore *semaphore = NULL;
    shmq_event *event = NULL;
    OK(shmq_semaphore_create(NULL, 3, &options, &semaphore));
    OK(shmq_event_create(NULL, NULL, &event));
    ALONE(SHMQ_ERROR_TOO_MANY_RELEASES, shmq_semaphore_release(semaphore, 1));
    CHECK(shmq_error_maximum() == 3 && strstr(shmq_error_message(), "3") != NULL);
    ALONE(SHMQ_OK, shmq_event_set(event));
    ALONE(SHMQ_OK, shmq_event_clear(event));
    ALONE(SHMQ_ERROR_WOULD_BLOCK, shmq_event_wait(event, SHMQ_TRY));
    OK(shmq_event_free(event));
    OK(shmq_semaphore_free(semaphore));
}

int main(void) {
    begin();
    puts_that_fail();
    primitives_that_fail();
    return 0;
}
