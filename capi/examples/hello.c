/* Two processes and a queue: one puts ten numbers, the other gets them.
 *
 *     cc hello.c $(pkg-config --cflags --libs shmq) && ./a.out
 *
 * In programs of their own each would call shmq_queue_open_or_create("numbers", ...): it does not matter
 * which of them starts first. */
#define _POSIX_C_SOURCE 200809L
#include "shmq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the program with what the library says. */
static void check(shmq_error error) {
    if (error != SHMQ_OK) {
        fprintf(stderr, "%s\n", shmq_error_message());
        exit(1);
    }
}

static shmq_queue *numbers(const char *name) {
    shmq_queue_options options = {0};
    options.size = sizeof options;
    options.capacity = 4;
    options.message_size = sizeof(uint64_t);
    options.message_align = sizeof(uint64_t);
    options.structure = "u64"; /* a Queue<u64> in Rust */
    shmq_queue *queue;
    check(shmq_queue_open_or_create(name, &options, &queue));
    return queue;
}

static void put(const char *name) {
    shmq_queue *queue = numbers(name);
    for (uint64_t number = 1; number <= 10; number++) {
        check(shmq_queue_put(queue, &number, sizeof number)); /* waits while there is no room */
    }
    check(shmq_queue_close(queue));
    check(shmq_queue_join(queue, SHMQ_FOREVER));
    check(shmq_queue_free(queue));
}

static void get(const char *name) {
    shmq_queue *queue = numbers(name);
    uint64_t number, sum = 0;
    shmq_error error;
    while ((error = shmq_queue_get(queue, &number, sizeof number, NULL)) == SHMQ_OK) {
        sum += number;
        check(shmq_queue_task_done(queue)); /* `join` waits for it */
    }
    if (error != SHMQ_ERROR_CLOSED) {
        check(error);
    }
    printf("hello: the numbers add up to %" PRIu64 "\n", sum);
    check(shmq_queue_free(queue));
}

int main(void) {
    char name[64];
    snprintf(name, sizeof name, "hello-%ld", (long)getpid());
    shmq_queue *kept = numbers(name); /* the queue stays while a process has it open */
    pid_t child = fork();
    if (child == 0) {
        get(name);
        fflush(stdout);
        _exit(0);
    }
    put(name);
    int status = 1;
    waitpid(child, &status, 0);
    check(shmq_queue_free(kept));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
