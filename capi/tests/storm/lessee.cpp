// Leases messages until the queue is closed: enters each, and only then releases it.
#include "ledger.h"
#include "shmq.hpp"

#include <cstdio>

int main(int count, char **arguments) {
    if (count != 3) {
        return 2;
    }
    int takes = open_ledger(arguments[2]);
    try {
        auto queue = shmq::queue<std::uint8_t[]>::open(arguments[1]);
        for (;;) {
            auto lease = queue.lease();
            enter(takes, read_message(lease.data(), lease.size()));
            lease.release();
        }
    } catch (const shmq::error &error) {
        if (error.is_closed()) {
            return 0;
        }
        std::fprintf(stderr, "lessee: %s\n", error.what());
        return 1;
    }
}
