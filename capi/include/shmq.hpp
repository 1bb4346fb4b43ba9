// shmq.hpp: queues, topics and locks between processes for C++17 and later. Header only, over shmq.h.
//
//     #include <shmq.hpp>
//
//     struct tick { double price; std::uint64_t volume; };
//     SHMQ_SCHEMA(tick, (f64, price), (u64, volume));
//
//     auto ticks = shmq::queue<tick>::open_or_create("ticks", shmq::options(1000));
//     ticks.put({101.5, 7});
//     tick next = ticks.get();
//
// Handles and guards are objects that move and are not copied. Verbs throw shmq::error; the same verbs of
// `ticks.nothrow()` return a shmq::result. `try_` forms do not wait, `_for` and `_until` forms wait for a
// std::chrono duration, or until a time of std::chrono::steady_clock.
//
// What is said in shmq.h of threads, of fork, of signal handlers and of peers that die holds here too.
#ifndef SHMQ_HPP
#define SHMQ_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "shmq.hpp is for C++17 and later; shmq.h is for C99 and for older C++"
#endif

#include "shmq/error.hpp"

#include "shmq/basics.hpp"
#include "shmq/guards.hpp"
#include "shmq/queue.hpp"
#include "shmq/sync.hpp"
#include "shmq/topic.hpp"

#endif
