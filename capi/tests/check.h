/* What every test begins with: checks that say where and why, names of its own, children, and an end
 * for a test that hangs. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "shmq.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND ((uint64_t)1000000000)
#define MS ((uint64_t)1000000)

/* A condition. */
#define CHECK(condition)                                                                             \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            fprintf(stderr, "%s:%d: %s\n  last error: %s: %s\n", __FILE__, __LINE__, #condition,      \
                    shmq_error_name((int32_t)shmq_error_last()), shmq_error_message());              \
            abort();                                                                                 \
        }                                                                                            \
    } while (0)

/* A call that returns this. */
#define EXPECT(expected, call)                                                                       \
    do {                                                                                             \
        shmq_error got_ = (call);                                                                    \
        if (got_ != (expected)) {                                                                    \
            fprintf(stderr, "%s:%d: %s\n  returned %s instead of %s: %s\n", __FILE__, __LINE__, #call, \
                    shmq_error_name((int32_t)got_), #expected, shmq_error_message());                \
            abort();                                                                                 \
        }                                                                                            \
        if (got_ != SHMQ_OK) {                                                                       \
            CHECK(shmq_error_last() == got_);                                                        \
            CHECK(strlen(shmq_error_message()) > 5);                                                 \
        }                                                                                            \
    } while (0)

#define OK(call) EXPECT(SHMQ_OK, call)

/* A name that no other process has. */
static inline const char *name_of(const char *what) {
    static char names[8][64];
    static unsigned next;
    char *name = names[next++ % 8];
    snprintf(name, sizeof names[0], "capi-%s-%ld", what, (long)getpid());
    return name;
}

static inline shmq_queue_options queue_of(size_t message_size, size_t message_align, size_t capacity) {
    shmq_queue_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.message_size = message_size;
    options.message_align = message_align;
    options.capacity = capacity;
    return options;
}

static inline shmq_queue_options bytes_of(size_t capacity_bytes) {
    shmq_queue_options options = queue_of(1, 1, 0);
    options.form = SHMQ_FORM_SLICE;
    options.capacity_bytes = capacity_bytes;
    return options;
}

/* An anonymous queue of numbers. */
static inline shmq_queue *numbers(size_t capacity) {
    shmq_queue_options options = queue_of(8, 8, capacity);
    options.structure = "u64";
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(NULL, &options, &queue));
    return queue;
}

static inline uint64_t taken(shmq_queue *queue) {
    uint64_t number = 0;
    size_t length = 0;
    OK(shmq_queue_get_timeout(queue, &number, sizeof number, &length, 10 * SECOND));
    CHECK(length == sizeof number);
    return number;
}

/* Ends the test if it hangs. */
static inline void begin(void) {
    alarm(60);
}

/* A child that has to exit with 0. */
static inline void joined(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "child %ld: status %#x\n", (long)child, (unsigned)status);
        abort();
    }
}

/* A child that says by its pipe that it is where it has to be, and is then killed. */
static inline void killed(pid_t child, int ready) {
    char byte = 0;
    CHECK(read(ready, &byte, 1) == 1);
    CHECK(kill(child, SIGKILL) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    close(ready);
}

/* In the child of `killed`. */
static inline void wait_for_the_kill(int ready) {
    CHECK(write(ready, "", 1) == 1);
    for (;;) pause();
}

#endif
