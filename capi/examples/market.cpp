// Market data: a topic of prices. A strategy sees every price, a screen shows the newest, and a subscriber
// that is killed stops nobody.
#include "shmq.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

struct price {
    std::uint64_t cents;
    char symbol[8];
};
SHMQ_SCHEMA(price, (u64, cents), (u8, symbol, 8)); // #[shmq::message] struct Price { cents: u64, symbol: [u8; 8] }

constexpr std::uint64_t PRICES = 20000;

/// Sees every price, in order: publishers wait for it.
static int strategy(const std::string &name) {
    auto prices = shmq::topic<price>::open(name).subscribe();
    std::uint64_t seen = 0;
    try {
        for (;;) {
            auto next = prices.next();
            if (next.cents != seen++) {
                std::fprintf(stderr, "market: a price is missing\n");
                return 1;
            }
        }
    } catch (const shmq::error &error) {
        if (!error.is_closed()) {
            throw;
        }
    }
    std::printf("market: the strategy saw %llu prices\n", static_cast<unsigned long long>(seen));
    return seen == PRICES ? 0 : 1;
}

/// Shows the newest price now and then: it is never waited for.
static int screen(const std::string &name) {
    auto prices = shmq::topic<price>::open(name).subscribe(shmq::subscription::lossy());
    std::uint64_t last = 0;
    for (;;) {
        auto newest = prices.nothrow().latest();
        if (newest) {
            last = newest->cents;
        } else if (newest.error().is_closed()) {
            break;
        }
        usleep(1000);
    }
    std::printf("market: the screen ended at %llu, %llu prices were not shown\n", static_cast<unsigned long long>(last),
                static_cast<unsigned long long>(prices.missed()));
    return last == PRICES - 1 ? 0 : 1;
}

/// Subscribes, reads nothing, and is killed.
static int stuck(const std::string &name) {
    auto prices = shmq::topic<price>::open(name).subscribe();
    for (;;) {
        pause();
    }
}

int main() {
    const std::string name = "market-" + std::to_string(getpid());
    auto topic = shmq::topic<price>::create(name, shmq::options(1000));
    int (*roles[])(const std::string &) = {strategy, screen, stuck};
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            int code = 1;
            try {
                code = roles[i](name);
            } catch (const shmq::error &error) {
                std::fprintf(stderr, "market: %s\n", error.what());
            }
            std::fflush(stdout);
            _exit(code);
        }
    }
    if (!topic.wait_subscribers(2, std::chrono::seconds(10))) { // the two that are gating
        std::fprintf(stderr, "market: the subscribers do not come\n");
        for (pid_t child : children) {
            kill(child, SIGKILL);
        }
        return 1;
    }
    auto publisher = topic.publisher();
    for (std::uint64_t cents = 0; cents < PRICES; cents++) {
        if (cents == 500) {
            kill(children[2], SIGKILL); // otherwise the publisher would wait for it from price 1000 on
        }
        publisher.publish({cents, {'A', 'C', 'M', 'E'}});
    }
    topic.close();
    int failed = 0;
    for (int i = 0; i < 3; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        failed |= i < 2 ? status : 0;
    }
    std::printf("market: %llu prices were published beside a killed subscriber\n", static_cast<unsigned long long>(PRICES));
    return failed != 0;
}
