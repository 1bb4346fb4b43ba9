/* One end of a measurement from C. See main.rs, which has the same in Rust and compares.
 *
 *     peer producer|consumer|ping|pong NAME COUNT BYTES STRATEGY */
#define _POSIX_C_SOURCE 200809L
#include "shmq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(shmq_error error) {
    if (error != SHMQ_OK) {
        fprintf(stderr, "peer: %s\n", shmq_error_message());
        exit(1);
    }
}

static shmq_queue *opened(const char *name, const char *suffix, uint32_t strategy) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    shmq_queue_options options = {0};
    options.size = sizeof options;
    options.wait_strategy = strategy;
    shmq_queue *queue;
    check(shmq_queue_open(whole, &options, shmq_after(10000000000u), &queue));
    return queue;
}

static shmq_producer *producer_of(shmq_queue *queue) {
    shmq_producer *producer;
    check(shmq_queue_producer(queue, &producer));
    return producer;
}

static shmq_consumer *consumer_of(shmq_queue *queue) {
    shmq_consumer *consumer;
    check(shmq_queue_consumer(queue, &consumer));
    return consumer;
}

int main(int count, char **arguments) {
    if (count != 6) {
        return 2;
    }
    const char *role = arguments[1], *name = arguments[2];
    uint64_t messages = strtoull(arguments[3], NULL, 10);
    size_t bytes = (size_t)strtoull(arguments[4], NULL, 10);
    uint32_t strategy = (uint32_t)strtoull(arguments[5], NULL, 10);
    uint64_t message[8] = {0}, sum = 0, began = 0;
    if (strcmp(role, "producer") == 0) {
        shmq_producer *producer = producer_of(opened(name, "", strategy));
        for (uint64_t n = 0; n < messages; n++) {
            message[0] = n;
            check(shmq_producer_put(producer, message, bytes));
        }
        return 0;
    }
    if (strcmp(role, "consumer") == 0) {
        shmq_consumer *consumer = consumer_of(opened(name, "", strategy));
        for (uint64_t n = 0; n < messages; n++) {
            check(shmq_consumer_get(consumer, message, bytes, NULL));
            sum += message[0];
            if (n == 0) {
                began = shmq_now();
            }
        }
    } else if (strcmp(role, "ping") == 0) {
        shmq_producer *there = producer_of(opened(name, "", strategy));
        shmq_consumer *back = consumer_of(opened(name, "-back", strategy));
        for (uint64_t n = 0; n < messages; n++) {
            message[0] = n;
            check(shmq_producer_put(there, message, bytes));
            check(shmq_consumer_get(back, message, bytes, NULL));
            sum += message[0];
            if (n == 0) {
                began = shmq_now();
            }
        }
    } else {
        shmq_consumer *there = consumer_of(opened(name, "", strategy));
        shmq_producer *back = producer_of(opened(name, "-back", strategy));
        for (uint64_t n = 0; n < messages; n++) {
            check(shmq_consumer_get(there, message, bytes, NULL));
            check(shmq_producer_put(back, message, bytes));
        }
        return 0;
    }
    printf("%" PRIu64 " %" PRIu64 "\n", shmq_now() - began, sum);
    return 0;
}
