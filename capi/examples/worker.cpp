// Jobs that survive their workers: each job is leased, done, and released. A worker that is killed in the
// middle of a job loses nothing: the job goes to another one.
#include "shmq.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

struct job {
    std::uint64_t number;
};
SHMQ_SCHEMA(job, (u64, number));

constexpr std::uint64_t JOBS = 200;

static void work(const std::string &name, bool is_clumsy) {
    auto jobs = shmq::queue<job>::open(name + "-jobs");
    auto results = shmq::queue<job>::open(name + "-results");
    for (std::uint64_t count = 0;; count++) {
        auto lease = jobs.nothrow().lease();
        if (!lease) {
            return; // closed, and nothing is left
        }
        if (is_clumsy && count == 2) {
            raise(SIGKILL); // in the middle of a job
        }
        results.put({(*lease)->number});
        // Only now is it done. A kill between these two lines does the job twice: "at least once".
        lease->release();
    }
}

static pid_t start(const std::string &name, bool is_clumsy) {
    pid_t worker = fork();
    if (worker == 0) {
        work(name, is_clumsy);
        _exit(0);
    }
    return worker;
}

int main() {
    const std::string name = "worker-" + std::to_string(getpid());
    auto jobs = shmq::queue<job>::create(name + "-jobs", shmq::options(16));
    auto results = shmq::queue<job>::create(name + "-results", shmq::options(2 * JOBS));
    std::uint64_t number = 0;
    int killed = 0;
    pid_t clumsy[] = {start(name, true), start(name, true)};
    while (number < 12) {
        jobs.put({number++});
    }
    for (pid_t worker : clumsy) {
        int status = 0;
        waitpid(worker, &status, 0);
        killed += WIFSIGNALED(status);
    }
    // The next worker finds what they left, the two jobs that they had in hand among it.
    pid_t careful = start(name, false);
    while (number < JOBS) {
        jobs.put({number++});
    }
    jobs.close();
    int status = 0;
    waitpid(careful, &status, 0);
    std::set<std::uint64_t> done;
    while (auto result = results.try_get()) {
        done.insert(result->number);
    }
    std::printf("worker: %zu of %llu jobs are done, and %d workers were killed\n", done.size(),
                static_cast<unsigned long long>(JOBS), killed);
    return done.size() == JOBS && jobs.empty() ? 0 : 1;
}
