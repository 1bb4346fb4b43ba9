/* Puts messages until it is killed, and enters each behind its put: what is entered was put. */
#define _POSIX_C_SOURCE 200809L
#include "ledger.h"
#include "shmq.h"

#include <stdio.h>
#include <time.h>

int main(int count, char **arguments) {
    if (count != 4) {
        return 2;
    }
    const char *name = arguments[1];
    int puts = open_ledger(arguments[2]);
    uint64_t mine = strtoull(arguments[3], NULL, 10) << 32;
    shmq_queue *queue;
    if (shmq_queue_open(name, NULL, SHMQ_TRY, &queue) != SHMQ_OK) {
        fprintf(stderr, "putter: %s\n", shmq_error_message());
        return 1;
    }
    unsigned char message[512];
    for (uint64_t n = 1;; n++) {
        size_t length = write_message(message, mine | n);
        shmq_error error;
        if (n % 3 == 0) {
            shmq_loan *loan;
            void *data;
            error = shmq_queue_loan(queue, length, SHMQ_FOREVER, &loan, &data);
            if (error == SHMQ_OK) {
                memcpy(data, message, length);
                error = shmq_loan_commit(loan);
            }
        } else {
            error = shmq_queue_put(queue, message, length);
        }
        if (error == SHMQ_ERROR_CLOSED) {
            return 0;
        }
        if (error != SHMQ_OK) {
            fprintf(stderr, "putter: %s\n", shmq_error_message());
            return 1;
        }
        enter(puts, mine | n);
        if (n % 8 == 0) {
            struct timespec pause = {0, 100000};
            nanosleep(&pause, NULL);
        }
    }
}
