/* What the storm's programs share: how a message looks, and the ledgers, which survive every kill. */
#ifndef LEDGER_H
#define LEDGER_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* number 8 | check 8 | as many bytes of the check as `length_of` says */
static inline uint64_t check_of(uint64_t number) {
    uint64_t mixed = (number ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    return mixed ^ mixed >> 29;
}

static inline size_t length_of(uint64_t number) {
    return 16 + (size_t)(check_of(number) % 300);
}

static inline size_t write_message(unsigned char *to, uint64_t number) {
    uint64_t check = check_of(number);
    memcpy(to, &number, 8);
    memcpy(to + 8, &check, 8);
    memset(to + 16, (int)(check & 0xff), length_of(number) - 16);
    return length_of(number);
}

/* The number of a message; 0 if its bytes are not what was put. */
static inline uint64_t read_message(const unsigned char *from, size_t length) {
    uint64_t number, check;
    if (length < 16) {
        return 0;
    }
    memcpy(&number, from, 8);
    memcpy(&check, from + 8, 8);
    if (check != check_of(number) || length != length_of(number)) {
        return 0;
    }
    for (size_t at = 16; at < length; at++) {
        if (from[at] != (check & 0xff)) {
            return 0;
        }
    }
    return number;
}

static inline int open_ledger(const char *path) {
    int ledger = open(path, O_WRONLY | O_APPEND);
    if (ledger < 0) {
        abort();
    }
    return ledger;
}

/* One write is one record: a kill leaves it whole, or absent. */
static inline void enter(int ledger, uint64_t number) {
    if (write(ledger, &number, sizeof number) != (ssize_t)sizeof number) {
        abort();
    }
}

#endif
