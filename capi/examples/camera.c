/* Frames in place: a camera writes each frame straight into shared memory, and two viewers read it there.
 * No frame is copied. One viewer is slow: the camera waits for it, since it is a gating subscriber. */
#define _POSIX_C_SOURCE 200809L
#include "shmq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 640, HEIGHT = 480, FRAME = WIDTH * HEIGHT, FRAMES = 50 };

static void check(shmq_error error) {
    if (error != SHMQ_OK) {
        fprintf(stderr, "camera: %s\n", shmq_error_message());
        exit(1);
    }
}

static void view(const char *name, long slow_ns) {
    shmq_topic *topic;
    shmq_subscriber *subscriber;
    check(shmq_topic_open(name, NULL, shmq_after(10000000000u), &topic)); /* the layout is the segment's */
    check(shmq_topic_subscribe(topic, NULL, &subscriber));                  /* gating, from now on */
    unsigned seen = 0;
    for (;;) {
        const void *data;
        size_t length;
        shmq_error error = shmq_subscriber_read(subscriber, SHMQ_FOREVER, &data, &length);
        if (error == SHMQ_ERROR_CLOSED) {
            break;
        }
        check(error);
        const unsigned char *pixels = data;
        if (length != FRAME || pixels[0] != seen || pixels[FRAME - 1] != seen) {
            fprintf(stderr, "camera: frame %u is torn\n", seen);
            exit(1);
        }
        seen++;
        struct timespec pause = {0, slow_ns};
        nanosleep(&pause, NULL); /* the frame cannot be overwritten meanwhile */
        check(shmq_subscriber_pass(subscriber));
    }
    printf("camera: a viewer saw %u frames of %d bytes\n", seen, FRAME);
    check(shmq_subscriber_free(subscriber));
    check(shmq_topic_free(topic));
}

int main(void) {
    char name[64];
    snprintf(name, sizeof name, "camera-%ld", (long)getpid());
    shmq_queue_options options = {0};
    options.size = sizeof options;
    options.form = SHMQ_FORM_SLICE;
    options.message_size = 1;
    options.structure = "u8"; /* a Topic<[u8]> in Rust */
    options.capacity_bytes = 8 * FRAME;
    shmq_topic *topic;
    check(shmq_topic_create(name, &options, &topic));
    pid_t viewers[2];
    for (int i = 0; i < 2; i++) {
        viewers[i] = fork();
        if (viewers[i] == 0) {
            view(name, i * 2000000L);
            fflush(stdout);
            _exit(0);
        }
    }
    check(shmq_topic_wait_subscribers(topic, 2, shmq_after(10000000000u)));
    for (unsigned frame = 0; frame < FRAMES; frame++) {
        shmq_loan *loan;
        void *pixels;
        check(shmq_topic_loan(topic, FRAME, SHMQ_FOREVER, &loan, &pixels));
        memset(pixels, (int)frame, FRAME); /* the sensor writes here */
        check(shmq_loan_commit(loan));
    }
    check(shmq_topic_close(topic));
    int failed = 0;
    for (unsigned i = 0; i < 2; i++) {
        int status;
        waitpid(viewers[i], &status, 0);
        failed |= status;
    }
    check(shmq_topic_free(topic));
    return failed != 0;
}
