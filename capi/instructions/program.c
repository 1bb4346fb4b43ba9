/* The program whose instructions `run` counts: rounds of 32 puts, each followed by as many gets, by
 * one process. `program CASE ROUNDS`. Callgrind collects inside `measured_puts` or `measured_gets`
 * only. The same as tests/instructions/program.rs of the crate. */
#include "shmq.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND = 32, CAPACITY = 64, TOPIC_CAPACITY = 1024 };

typedef struct {
    size_t length;
    void *put_handle, *get_handle;
    shmq_error (*put)(void *, const void *, size_t);
    shmq_error (*get)(void *, void *, size_t, size_t *);
} sides;

static void must(shmq_error error) {
    if (error != SHMQ_OK) {
        fprintf(stderr, "%s: %s\n", shmq_error_name((int32_t)error), shmq_error_message());
        exit(1);
    }
}

/* Each case has calls of its own, as a program would have: no pointers to functions. */
#define CASE(name, put_type, put, get_type, get)                                                     \
    static shmq_error put_##name(void *handle, const void *message, size_t length) {                 \
        return put((put_type *)handle, message, length);                                             \
    }                                                                                                \
    static shmq_error get_##name(void *handle, void *message, size_t capacity, size_t *length) {     \
        return get((get_type *)handle, message, capacity, length);                                   \
    }
CASE(queue, shmq_queue, shmq_queue_put, shmq_queue, shmq_queue_get)
CASE(endpoints, shmq_producer, shmq_producer_put, shmq_consumer, shmq_consumer_get)
CASE(topic, shmq_publisher, shmq_publisher_publish, shmq_subscriber, shmq_subscriber_next)

static shmq_error put_in_place(void *handle, const void *message, size_t length) {
    shmq_loan *loan;
    void *data;
    shmq_error error = shmq_producer_loan(handle, length, SHMQ_FOREVER, &loan, &data);
    if (error != SHMQ_OK) return error;
    memcpy(data, message, length);
    return shmq_loan_commit(loan);
}

static shmq_error get_in_place(void *handle, void *message, size_t capacity, size_t *length) {
    shmq_lease *lease;
    void *data;
    shmq_error error = shmq_consumer_lease(handle, SHMQ_FOREVER, &lease, &data, length);
    if (error != SHMQ_OK) return error;
    memcpy(message, data, capacity);
    return shmq_lease_release(lease);
}

__attribute__((noinline)) void measured_puts(const sides *of, const uint64_t *first) {
    uint64_t message[8] = {0};
    for (uint64_t at = 0; at < ROUND; at++) {
        message[0] = *first + at;
        must(of->put(of->put_handle, message, of->length));
    }
    __asm__ volatile("# put");
}

__attribute__((noinline)) void measured_gets(const sides *of, uint64_t *sum) {
    for (uint64_t at = 0; at < ROUND; at++) {
        uint64_t message[8];
        size_t length;
        must(of->get(of->get_handle, message, of->length, &length));
        *sum += message[0];
    }
    __asm__ volatile("# got");
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    const char *name = arguments[1];
    uint64_t rounds = strtoull(arguments[2], NULL, 10);
    sides of = {strstr(name, "64") ? 64 : 8, NULL, NULL, NULL, NULL};
    shmq_queue_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.message_size = of.length;
    options.message_align = 8;
    if (strncmp(name, "topic", 5) == 0) {
        shmq_topic *topic;
        options.capacity = TOPIC_CAPACITY;
        must(shmq_topic_create(NULL, &options, &topic));
        must(shmq_topic_publisher(topic, (shmq_publisher **)&of.put_handle));
        must(shmq_topic_subscribe(topic, NULL, (shmq_subscriber **)&of.get_handle));
        of.put = put_topic, of.get = get_topic;
    } else {
        shmq_queue *queue;
        options.capacity = CAPACITY;
        must(shmq_queue_create(NULL, &options, &queue));
        of.put_handle = of.get_handle = queue;
        of.put = put_queue, of.get = get_queue;
        if (strncmp(name, "endpoints", 9) == 0) {
            must(shmq_queue_producer(queue, (shmq_producer **)&of.put_handle));
            must(shmq_queue_consumer(queue, (shmq_consumer **)&of.get_handle));
            of.put = put_endpoints, of.get = get_endpoints;
            if (strstr(name, "in_place")) of.put = put_in_place, of.get = get_in_place;
        }
    }
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t sum = 0;
        measured_puts(&of, &round);
        measured_gets(&of, &sum);
        if (sum != ROUND * round + ROUND * (ROUND - 1) / 2) return 3;
    }
    return 0;
}
