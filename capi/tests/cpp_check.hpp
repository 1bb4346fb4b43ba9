// What every test in C++ begins with, beside check.h.
#ifndef CPP_CHECK_HPP
#define CPP_CHECK_HPP

#include "check.h"
#include "shmq.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

/// The code of what a call throws; `SHMQ_OK` if it throws nothing.
template <typename Call> shmq_error thrown(Call call) {
    try {
        (void)call();
        return SHMQ_OK;
    } catch (const shmq::error &error) {
        CHECK(std::string(error.what()).size() > 5);
        return error.code();
    }
}

/// Runs a body in a child until it says that it is ready, and kills it.
template <typename Body> void kill_in(Body body) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        auto kept = body();
        wait_for_the_kill(ends[1]);
    }
    close(ends[1]);
    killed(child, ends[0]);
}

struct tick {
    double price;
    std::uint64_t volume;
};
SHMQ_SCHEMA(tick, (f64, price), (u64, volume));

inline bool operator==(const tick &a, const tick &b) { return a.price == b.price && a.volume == b.volume; }

#endif
