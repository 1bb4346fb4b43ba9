/* Descriptors in an event loop. */
#include "check.h"
#include <poll.h>

static bool is_readable(int fd, int timeout_ms) {
    struct pollfd watched = {fd, POLLIN, 0};
    int found = poll(&watched, 1, timeout_ms);
    CHECK(found >= 0);
    return found == 1;
}

static void readable_when_a_message_is_there(void) {
    shmq_queue *queue = numbers(4);
    shmq_readiness *readiness = NULL;
    int fd = -1;
    bool ready = true;
    OK(shmq_queue_readable(queue, &readiness));
    OK(shmq_readiness_fd(readiness, &fd));
    CHECK(!is_readable(fd, 0));
    uint64_t number = 1;
    pid_t child = fork();
    if (child == 0) {
        OK(shmq_queue_put(queue, &number, 8));
        _exit(0);
    }
    CHECK(is_readable(fd, 10000));
    joined(child);
    OK(shmq_queue_get(queue, &number, 8, NULL));
    EXPECT(SHMQ_ERROR_EMPTY, shmq_queue_try_get(queue, &number, 8, NULL));
    OK(shmq_readiness_rearm(readiness, &ready));
    CHECK(!ready && !is_readable(fd, 0));
    OK(shmq_queue_put(queue, &number, 8));
    CHECK(is_readable(fd, 10000));
    OK(shmq_readiness_rearm(readiness, &ready));
    CHECK(ready && is_readable(fd, 0));
    OK(shmq_readiness_free(readiness));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_readiness_fd(readiness, &fd));
    OK(shmq_queue_free(queue));
}

static void of_endpoints(void) {
    shmq_queue *queue = numbers(1);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    shmq_readiness *readable = NULL, *writable = NULL;
    int to_read = -1, to_write = -1;
    bool ready = false;
    uint64_t number = 1;
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    OK(shmq_consumer_readable(consumer, &readable));
    OK(shmq_producer_writable(producer, 8, &writable));
    OK(shmq_readiness_fd(readable, &to_read));
    OK(shmq_readiness_fd(writable, &to_write));
    CHECK(is_readable(to_write, 0) && !is_readable(to_read, 0));
    OK(shmq_producer_put(producer, &number, 8));
    CHECK(is_readable(to_read, 10000));
    EXPECT(SHMQ_ERROR_FULL, shmq_producer_try_put(producer, &number, 8));
    OK(shmq_readiness_rearm(writable, &ready));
    CHECK(!ready && !is_readable(to_write, 0));
    OK(shmq_consumer_get(consumer, &number, 8, NULL));
    CHECK(is_readable(to_write, 10000));
    OK(shmq_readiness_free(readable));
    OK(shmq_readiness_free(writable));
    OK(shmq_producer_free(producer));
    OK(shmq_consumer_free(consumer));
    OK(shmq_queue_writable(queue, 8, &writable));
    OK(shmq_readiness_free(writable));
    OK(shmq_queue_free(queue));
}

int main(void) {
    begin();
    readable_when_a_message_is_there();
    of_endpoints();
    return 0;
}
