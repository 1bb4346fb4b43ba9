/*
 * shmq.h: queues, topics and locks between processes, in named shared memory, that lose nothing when
 * a process dies. Made by cbindgen of the comments in src/: do not edit. C99, and C++.
 *
 * Errors. Each call that can fail returns a shmq_error, and its results by pointers, which are
 * written on SHMQ_OK only, unless the comment says otherwise. shmq_error_message() is the text of
 * the last error of the thread.
 *
 * Handles are opaque, and checked: null, one that was freed, or one of another kind is
 * SHMQ_ERROR_HANDLE. They are no addresses. A handle may not be freed while another thread is in a
 * call with it. Guards (loans, leases, permits) and endpoints stay valid after the handle that they
 * came from was freed.
 *
 * Waiting. put, get, publish and next have four forms: plain (waits), try_, _timeout (nanoseconds),
 * _deadline (nanoseconds of CLOCK_MONOTONIC, see shmq_now). All others that wait take `until`:
 * SHMQ_TRY, SHMQ_FOREVER, or a deadline, such as shmq_after(1000000).
 *
 * Signal handlers may call what says so. One that gets an error replaces the last error of the
 * thread that it interrupts, as with errno, which calls may change too. In a library that was loaded
 * by dlopen, call any function in the thread before its handlers do: that makes its thread-locals.
 *
 * Pointers. Texts are UTF-8 and end with 0. A pointer to bytes may be null if there are none.
 *
 * Fork. A child of a process with one thread may go on with queues, topics and primitives. Endpoints
 * and guards stay the parent's: SHMQ_ERROR_INHERITED in the child. A pointer into a loan, a lease, a
 * sample or the data of a mutex leads to shared memory in the child too, which is the parent's: to
 * write there tears the parent's message, and what is read there may be another message by then. A
 * child of a process with several threads may only call exec: another thread may have held a lock
 * of this library, or of malloc, at the fork. `vfork` and raw `clone` are forks too.
 */


#ifndef SHMQ_H
#define SHMQ_H



#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One try, as `until`. */
#define SHMQ_TRY UINT64_C(0)
/* No end, as `until`, as a deadline, or as a timeout. */
#define SHMQ_FOREVER UINT64_MAX

#define SHMQ_VERSION_MAJOR 0
#define SHMQ_VERSION_MINOR 1
#define SHMQ_VERSION_PATCH 0


/**
 * What a call returned. The numbers stay what they are; later versions may add some.
 */
enum shmq_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It was done.
     */
    SHMQ_OK = 0,
    /**
     * There is no room (`try_` forms and `SHMQ_TRY`). Of a topic, `shmq_error_pid()` is the process
     * of the subscriber, or of the loan, that is in the way.
     */
    SHMQ_ERROR_FULL = 1,
    /**
     * There is no message (`try_` forms and `SHMQ_TRY`).
     */
    SHMQ_ERROR_EMPTY = 2,
    /**
     * A primitive would have to wait (`SHMQ_TRY`).
     */
    SHMQ_ERROR_WOULD_BLOCK = 3,
    /**
     * A lock is held by a process that does not run (stopped or starved). Try again.
     */
    SHMQ_ERROR_BUSY = 4,
    /**
     * The time was up. Nothing was done.
     */
    SHMQ_ERROR_TIMEOUT = 5,
    /**
     * The `shmq_stop` of the options was set. Nothing was done.
     */
    SHMQ_ERROR_INTERRUPTED = 6,
    /**
     * The stream was closed; for getters: and no message is left.
     */
    SHMQ_ERROR_CLOSED = 7,
    /**
     * The message is longer than the ring can ever hold (`shmq_error_maximum()`).
     */
    SHMQ_ERROR_TOO_LARGE = 20,
    /**
     * All messages have another length (`shmq_error_maximum()`).
     */
    SHMQ_ERROR_WRONG_LENGTH = 21,
    /**
     * The bytes are no whole number of elements (of `shmq_error_maximum()` bytes).
     */
    SHMQ_ERROR_NOT_WHOLE = 22,
    /**
     * Messages have no common size: put, or get, them one by one.
     */
    SHMQ_ERROR_NOT_OF_ONE_SIZE = 23,
    /**
     * The buffer is smaller than the message (`shmq_error_maximum()`), which is still there.
     */
    SHMQ_ERROR_TOO_SMALL = 24,
    /**
     * The message cannot be read. It was taken out.
     */
    SHMQ_ERROR_INVALID = 25,
    /**
     * The handle is null, was given up, or is of another kind.
     */
    SHMQ_ERROR_HANDLE = 40,
    /**
     * An argument is null, or impossible.
     */
    SHMQ_ERROR_ARGUMENT = 41,
    /**
     * An options struct has no `size`, or asks for what this library does not know.
     */
    SHMQ_ERROR_OPTIONS = 42,
    /**
     * This process has 65536 handles.
     */
    SHMQ_ERROR_TOO_MANY_HANDLES = 43,
    /**
     * The guard or the endpoint belongs to the parent process: make a new one after fork.
     */
    SHMQ_ERROR_INHERITED = 44,
    /**
     * The side of the queue is held by an endpoint of process `shmq_error_pid()`.
     */
    SHMQ_ERROR_HELD = 45,
    /**
     * The subscriber reads a sample: `shmq_subscriber_pass()` first.
     */
    SHMQ_ERROR_SAMPLE_OPEN = 46,
    /**
     * `shmq_error_lag()` messages were overwritten before this subscriber read them. The next call
     * goes on with what is left.
     */
    SHMQ_ERROR_LAGGED = 60,
    /**
     * The subscriber was evicted, since it lagged: it goes on as a lossy one.
     */
    SHMQ_ERROR_EVICTED = 61,
    /**
     * A lossy subscriber cannot read in place.
     */
    SHMQ_ERROR_NOT_GATING = 62,
    /**
     * This process has a lossy subscriber of the topic, which excludes loans.
     */
    SHMQ_ERROR_LOSSY_HERE = 63,
    /**
     * This process has an open loan of the topic, which excludes lossy subscribers.
     */
    SHMQ_ERROR_LOANS_HERE = 64,
    /**
     * The topic has as many subscribers as it has room for (`shmq_error_maximum()`).
     */
    SHMQ_ERROR_TOO_MANY_SUBSCRIBERS = 65,
    /**
     * The name, or a text of the options, cannot be used.
     */
    SHMQ_ERROR_BAD_NAME = 80,
    /**
     * There is none of that name.
     */
    SHMQ_ERROR_NOT_FOUND = 81,
    /**
     * The name is in use.
     */
    SHMQ_ERROR_ALREADY_EXISTS = 82,
    /**
     * What exists is something else: `shmq_error_wanted()`, `shmq_error_found()`.
     */
    SHMQ_ERROR_MISMATCH = 83,
    /**
     * It was being replaced the whole time. Try again.
     */
    SHMQ_ERROR_NOT_READY = 84,
    /**
     * Another one has taken the name.
     */
    SHMQ_ERROR_REPLACED = 85,
    /**
     * The system denies it.
     */
    SHMQ_ERROR_PERMISSION = 86,
    /**
     * It belongs to another user: see `SHMQ_ALLOW_OWNER`.
     */
    SHMQ_ERROR_FOREIGN_OWNER = 87,
    /**
     * Shared memory is short: `shmq_error_length()` bytes are needed, `shmq_error_maximum()` free.
     */
    SHMQ_ERROR_NO_SPACE = 88,
    /**
     * An option is out of its range (`shmq_error_length()` was asked, `shmq_error_maximum()` is the
     * most).
     */
    SHMQ_ERROR_OUT_OF_RANGE = 89,
    /**
     * The directory of shared memory cannot be used.
     */
    SHMQ_ERROR_DIRECTORY = 90,
    /**
     * What has the name is no segment.
     */
    SHMQ_ERROR_NO_SEGMENT = 91,
    /**
     * There is no such layout of messages.
     */
    SHMQ_ERROR_LAYOUT = 92,
    /**
     * As many processes are attached as there is room for (`shmq_error_maximum()`).
     */
    SHMQ_ERROR_TOO_MANY_PARTICIPANTS = 93,
    /**
     * The mutex **is** locked, and its last holder died with it: check the data, then call
     * `shmq_mutex_mark_repaired()`, and unlock.
     */
    SHMQ_ERROR_OWNER_DIED = 100,
    /**
     * It is not locked through this handle.
     */
    SHMQ_ERROR_NOT_LOCKED = 101,
    /**
     * A bounded semaphore was released more often than it was acquired.
     */
    SHMQ_ERROR_TOO_MANY_RELEASES = 102,
    /**
     * `task_done` was called more often than messages were taken.
     */
    SHMQ_ERROR_TOO_MANY_DONE = 103,
    /**
     * A process was taken for dead while it was still at work. Create it anew.
     */
    SHMQ_ERROR_POISONED = 120,
    /**
     * The segment holds impossible values.
     */
    SHMQ_ERROR_CORRUPTED = 121,
    /**
     * A system call failed: `shmq_error_errno()`.
     */
    SHMQ_ERROR_OS = 122,
    /**
     * A fault of the library, which ended at its border.
     */
    SHMQ_ERROR_PANIC = 123,
    /**
     * An error that this version of the interface has no number for.
     */
    SHMQ_ERROR_OTHER = 124,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_error shmq_error;
#else
typedef int32_t shmq_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What messages are: the field `form` of the options and of layouts.
 */
enum shmq_form
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Each message is one value, all of one size.
     */
    SHMQ_FORM_VALUE = 0,
    /**
     * Each message is a number of elements, all of one size; of 1 byte if no size is given.
     */
    SHMQ_FORM_SLICE = 1,
    /**
     * Each message is one object in an encoding of yours, of any length.
     */
    SHMQ_FORM_ENCODED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_form shmq_form;
#else
typedef uint32_t shmq_form;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a waiting call does before it sleeps: the field `wait_strategy`.
 */
enum shmq_wait_strategy
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Spins for as long as that has been worth it.
     */
    SHMQ_WAIT_ADAPTIVE = 0,
    /**
     * Never sleeps. For a core per waiting thread.
     */
    SHMQ_WAIT_SPIN = 1,
    /**
     * Sleeps at once.
     */
    SHMQ_WAIT_BLOCK = 2,
    /**
     * Spins and yields as often as the fields `spins` and `yields` say.
     */
    SHMQ_WAIT_CUSTOM = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_wait_strategy shmq_wait_strategy;
#else
typedef uint32_t shmq_wait_strategy;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Bits of the field `flags`.
 */
enum shmq_flag
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The segment stays when its last user leaves, until it is unlinked.
     */
    SHMQ_PERSIST = 1,
    /**
     * Created with it, the stream closes by itself once there has been a producer, or a publisher,
     * and none is left; a queue also once there has been a consumer and none is left. A handle of a
     * queue keeps both sides open: free it when the endpoints are made.
     */
    SHMQ_CLOSE_WHEN_UNUSED = 2,
    /**
     * Queues and topics: the memory is never swapped out (`mlock`).
     */
    SHMQ_LOCK_MEMORY = 4,
    /**
     * Queues and topics: asks for huge pages.
     */
    SHMQ_HUGE_PAGES = 8,
    /**
     * For kernels, and sandboxes, without `membarrier`.
     */
    SHMQ_FULL_FENCE = 16,
    /**
     * The segment may belong to the user `owner_uid`, who can change all that is in it.
     */
    SHMQ_ALLOW_OWNER = 32,
    /**
     * The segment may belong to anybody.
     */
    SHMQ_ALLOW_ANY_OWNER = 64,
    /**
     * Semaphores: never more permits than at first.
     */
    SHMQ_BOUNDED = 128,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_flag shmq_flag;
#else
typedef uint32_t shmq_flag;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * With which message a subscriber begins: the field `start`.
 */
enum shmq_start
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The next one that is published.
     */
    SHMQ_START_NOW = 0,
    /**
     * The oldest one that is still there.
     */
    SHMQ_START_OLDEST = 1,
    /**
     * As many of the last ones as `back` says, or as there are.
     */
    SHMQ_START_BACK = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_start shmq_start;
#else
typedef uint32_t shmq_start;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What became of a message.
 */
enum shmq_fate
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It may still be delivered.
     */
    SHMQ_FATE_PENDING = 0,
    /**
     * It was taken, or its lease was released.
     */
    SHMQ_FATE_DONE = 1,
    /**
     * It came back as often as `max_deliveries` allows.
     */
    SHMQ_FATE_GIVEN_UP = 2,
    /**
     * It has been finished for so long that it is not known how.
     */
    SHMQ_FATE_FORGOTTEN = 3,
    /**
     * It is a message of another queue.
     */
    SHMQ_FATE_FOREIGN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum shmq_fate shmq_fate;
#else
typedef uint32_t shmq_fate;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The get side of a queue, for one owner: the fastest way to get. One thread at a time.
 */
typedef struct shmq_consumer shmq_consumer;

/**
 * A flag that many wait for. Any thread may use it.
 */
typedef struct shmq_event shmq_event;

/**
 * A message of a queue that is being read in place. It is delivered again if this process dies
 * before `shmq_lease_release`.
 *
 * In a forked child it is the parent's: its calls return `SHMQ_ERROR_INHERITED`, and what is read
 * through its pointer there may be another message by then.
 */
typedef struct shmq_lease shmq_lease;

/**
 * A message of a queue, or of a topic, that is being written in place.
 *
 * In a forked child it is the parent's: its calls return `SHMQ_ERROR_INHERITED`, and to write
 * through its pointer there would change the parent's message.
 */
typedef struct shmq_loan shmq_loan;

/**
 * A lock between processes, and the data that it guards. Any thread may use it.
 */
typedef struct shmq_mutex shmq_mutex;

/**
 * A permit that comes back if this process dies. In a forked child it is the parent's.
 */
typedef struct shmq_permit shmq_permit;

/**
 * The put side of a queue, for one owner: the fastest way to put. One thread at a time.
 */
typedef struct shmq_producer shmq_producer;

/**
 * The put side of a topic, for one owner: the fastest way to publish. One thread at a time.
 */
typedef struct shmq_publisher shmq_publisher;

/**
 * A queue that this process has open. Any thread may use it.
 */
typedef struct shmq_queue shmq_queue;

/**
 * Watches a queue for an event loop. One thread at a time.
 */
typedef struct shmq_readiness shmq_readiness;

/**
 * A number of permits. Any thread may use it.
 */
typedef struct shmq_semaphore shmq_semaphore;

/**
 * Ends waits from another thread, or from a signal handler. Given to `options.stop`.
 */
typedef struct shmq_stop shmq_stop;

/**
 * A subscriber of a topic. One thread at a time.
 *
 * In a forked child it is the parent's, as its sample is.
 */
typedef struct shmq_subscriber shmq_subscriber;

/**
 * A topic that this process has open. Any thread may use it.
 */
typedef struct shmq_topic shmq_topic;

/**
 * Names one message, over all its deliveries.
 */
typedef struct shmq_message_id {
    /**
     * To be compared as a whole.
     */
    uint8_t bytes[16];
} shmq_message_id;

/**
 * How a queue, or a topic, is made and opened. All zero but `size`: the defaults.
 *
 * The messages: `message_size` and `message_align`, or a `structure`, or both; with neither,
 * `open` takes what the segment has. Whatever is given is compared with what exists.
 */
typedef struct shmq_queue_options {
    /**
     * `sizeof(shmq_queue_options)`. A larger struct than the library knows is refused, unless the
     * rest of it is zero.
     */
    size_t size;
    /**
     * A `shmq_form`.
     */
    uint32_t form;
    /**
     * Bits of `shmq_flag`.
     */
    uint32_t flags;
    /**
     * Room for so many messages. Queues of values need it, or `capacity_bytes`.
     */
    size_t capacity;
    /**
     * Room for so many bytes; 0: as `capacity` says; of slices and encoded objects 1 MiB.
     */
    size_t capacity_bytes;
    /**
     * Bytes of a value, or of an element of a slice; 0: what `structure` describes.
     */
    size_t message_size;
    /**
     * Messages begin at multiples of it; 0: that of the largest number in `structure`, or 1.
     */
    size_t message_align;
    /**
     * The fields, such as `"{price@0: f64, volume@8: u64}"`: compared by openers of all languages.
     */
    const char *structure;
    /**
     * A name and a version of your own, such as `"tick/2"`, of 64 bytes at most; compared.
     */
    const char *schema;
    /**
     * The name of the type, such as `"Tick"`; compared where both sides have one.
     */
    const char *type_name;
    /**
     * Another directory than `/dev/shm`.
     */
    const char *directory;
    /**
     * Ends the waits of this handle, and of endpoints made from it.
     */
    struct shmq_stop *stop;
    /**
     * Unix permissions of the segment, such as 0660; 0: 0600.
     */
    uint32_t mode;
    /**
     * For `SHMQ_ALLOW_OWNER`.
     */
    uint32_t owner_uid;
    /**
     * Processes that may be attached at the same time; 0: 120.
     */
    uint32_t max_participants;
    /**
     * Queues: a message that came back so often is given up; 0: never.
     */
    uint32_t max_deliveries;
    /**
     * Queues: the name of the queue for messages that are given up, which has to exist (Rust's
     * `DeadLetters`; its messages are encoded objects); null: they are dropped.
     */
    const char *dead_letters;
    /**
     * Queues of encoded objects: bytes of those in files of their own; 0: half of the file system.
     */
    uint64_t max_spilled_bytes;
    /**
     * Topics: so many of the last messages are for later subscribers too.
     */
    size_t history;
    /**
     * Topics: a gating subscriber that lags further is evicted; 0: never.
     */
    size_t max_lag_before_evict;
    /**
     * Topics: 0 means 62.
     */
    uint32_t max_subscribers;
    /**
     * A `shmq_wait_strategy`.
     */
    uint32_t wait_strategy;
    /**
     * For `SHMQ_WAIT_CUSTOM`.
     */
    uint32_t spins;
    /**
     * For `SHMQ_WAIT_CUSTOM`.
     */
    uint32_t yields;
} shmq_queue_options;

/**
 * What messages are, as the segment says. The texts are valid as long as the handle.
 */
typedef struct shmq_layout {
    /**
     * `sizeof(shmq_layout)`, by the caller. As many bytes are filled in; those that the library does
     * not know with 0.
     */
    size_t size;
    /**
     * A `shmq_form`.
     */
    uint32_t form;
    /**
     * 1: `structure` is only the beginning of it, since a segment keeps 4096 bytes.
     */
    uint32_t is_structure_cut;
    /**
     * Bytes of a value, or of an element of a slice; 1 of encoded objects.
     */
    size_t message_size;
    /**
     * Messages begin at multiples of it.
     */
    size_t message_align;
    /**
     * The fields, or null.
     */
    const char *structure;
    /**
     * The creator's own schema, or null.
     */
    const char *schema;
    /**
     * The name of the type, or null.
     */
    const char *type_name;
} shmq_layout;

/**
 * Counters of a queue since it was created.
 */
typedef struct shmq_queue_counters {
    /**
     * `sizeof(shmq_queue_counters)`, by the caller. As many bytes are filled in.
     */
    size_t size;
    /**
     * Messages that were put.
     */
    uint64_t puts;
    /**
     * Messages that were taken, or leased.
     */
    uint64_t gets;
    /**
     * Bytes of those that were put.
     */
    uint64_t bytes_put;
    /**
     * Bytes of those that were taken.
     */
    uint64_t bytes_got;
    /**
     * Deliveries after the first.
     */
    uint64_t redelivered;
    /**
     * Loans that were not committed.
     */
    uint64_t aborted;
    /**
     * Messages that came back too often.
     */
    uint64_t given_up;
    /**
     * Those of them that are in the queue for dead letters.
     */
    uint64_t dead_letters;
    /**
     * Those of them that it had no room for, or that there was no such queue for.
     */
    uint64_t dead_letters_refused;
    /**
     * Repairs after a death.
     */
    uint64_t recoveries;
    /**
     * Puts that slept.
     */
    uint64_t blocked_puts;
    /**
     * Gets that slept.
     */
    uint64_t blocked_gets;
    /**
     * How long, all together.
     */
    uint64_t blocked_put_ns;
    /**
     * How long, all together.
     */
    uint64_t blocked_get_ns;
    /**
     * Puts that found no room and did not wait.
     */
    uint64_t refused_puts;
    /**
     * Puts whose time was up.
     */
    uint64_t put_timeouts;
    /**
     * Gets whose time was up.
     */
    uint64_t get_timeouts;
    /**
     * System calls to wake sleepers.
     */
    uint64_t wakes;
    /**
     * The most messages that were there at once, as far as it was noticed.
     */
    uint64_t high_water;
    /**
     * Encoded objects that are in files of their own now.
     */
    uint64_t spilled;
    /**
     * Their bytes.
     */
    uint64_t spilled_bytes;
} shmq_queue_counters;

/**
 * How a primitive is made and opened. All zero but `size`: the defaults.
 */
typedef struct shmq_primitive_options {
    /**
     * `sizeof(shmq_primitive_options)`. As of `shmq_queue_options`.
     */
    size_t size;
    /**
     * Bits of `shmq_flag`.
     */
    uint32_t flags;
    /**
     * Unix permissions of the segment, such as 0660; 0: 0600.
     */
    uint32_t mode;
    /**
     * For `SHMQ_ALLOW_OWNER`.
     */
    uint32_t owner_uid;
    /**
     * Processes that may be attached at the same time; 0: 250.
     */
    uint32_t max_participants;
    /**
     * Another directory than `/dev/shm`.
     */
    const char *directory;
    /**
     * Ends the waits of this handle.
     */
    struct shmq_stop *stop;
    /**
     * Mutexes: bytes of the data that it guards; 0: what `structure` describes, or none.
     */
    size_t data_size;
    /**
     * Mutexes: as `message_align` of queues.
     */
    size_t data_align;
    /**
     * Mutexes: the fields of the data. As of `shmq_queue_options`.
     */
    const char *structure;
    /**
     * Mutexes: the name of the type of the data.
     */
    const char *type_name;
} shmq_primitive_options;

/**
 * Counters of a topic since it was created.
 */
typedef struct shmq_topic_counters {
    /**
     * `sizeof(shmq_topic_counters)`, by the caller. As many bytes are filled in.
     */
    size_t size;
    /**
     * Messages that were published.
     */
    uint64_t published;
    /**
     * Their bytes.
     */
    uint64_t bytes_published;
    /**
     * Loans that were not committed.
     */
    uint64_t aborted;
    /**
     * Subscribers that were evicted.
     */
    uint64_t evictions;
    /**
     * Repairs after a death.
     */
    uint64_t recoveries;
    /**
     * Publishers that slept.
     */
    uint64_t blocked_publishes;
    /**
     * How long, all together.
     */
    uint64_t blocked_publish_ns;
    /**
     * Subscribers that slept.
     */
    uint64_t blocked_reads;
    /**
     * How long, all together.
     */
    uint64_t blocked_read_ns;
    /**
     * Publishers that found no room and did not wait.
     */
    uint64_t refused_publishes;
    /**
     * Publishers whose time was up.
     */
    uint64_t publish_timeouts;
    /**
     * Subscribers whose time was up.
     */
    uint64_t read_timeouts;
    /**
     * System calls to wake sleepers.
     */
    uint64_t wakes;
} shmq_topic_counters;

/**
 * How a topic is subscribed to. All zero but `size`: as a gating subscriber, from now on.
 */
typedef struct shmq_subscribe_options {
    /**
     * `sizeof(shmq_subscribe_options)`. As of `shmq_queue_options`.
     */
    size_t size;
    /**
     * 1: publishers never wait for it, and it knows what it missed.
     */
    uint32_t is_lossy;
    /**
     * A `shmq_start`.
     */
    uint32_t start;
    /**
     * For `SHMQ_START_BACK`: as many of the last messages.
     */
    uint64_t back;
} shmq_subscribe_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The last error of this thread as a text to show; "" if there was none. It is valid until the
 * next error of the thread.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
const char *shmq_error_message(void);

/**
 * The code of the last error of this thread. A call that succeeds leaves it as it is.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_error_last(void);

/**
 * Of the last error: the process that is in the way (`SHMQ_ERROR_HELD`; full topics); 0: none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint32_t shmq_error_pid(void);

/**
 * Of the last error: the length, or the number, that was given, or is needed; 0: none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint64_t shmq_error_length(void);

/**
 * Of the last error: the length, or the number, that would have been possible; of
 * `SHMQ_ERROR_TOO_SMALL` the length of the message; 0: none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint64_t shmq_error_maximum(void);

/**
 * Of the last error: messages that were missed (`SHMQ_ERROR_LAGGED`), by which the subscriber in
 * the way lags (full topics), or that are unfinished (a join that timed out); 0: none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint64_t shmq_error_lag(void);

/**
 * Of the last error: the `errno` of the system call that failed; 0: none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
int shmq_error_errno(void);

/**
 * Of the last error, a `SHMQ_ERROR_MISMATCH`: what this program wanted, in words; otherwise null.
 * It is valid until the next error of the thread.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
const char *shmq_error_wanted(void);

/**
 * Of the last error, a `SHMQ_ERROR_MISMATCH`: what exists, in words; otherwise null. It is valid
 * until the next error of the thread.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
const char *shmq_error_found(void);

/**
 * The name of an error: "SHMQ_ERROR_FULL". "SHMQ_ERROR_UNKNOWN" of a number that is none.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
const char *shmq_error_name(int32_t error);

/**
 * The version of the library: "0.1.0".
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
const char *shmq_version(void);

/**
 * Takes the get side of a queue. Other gets get `SHMQ_ERROR_HELD` until it is freed.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a side that a dead process held is taken over.
 */
shmq_error shmq_queue_consumer(struct shmq_queue *queue, struct shmq_consumer **consumer);

/**
 * Takes one message by copy; waits until there is one. `length`, if not null, is how long it is.
 * As `shmq_queue_get`, without a lock per message.
 *
 * - Blocks: until there is a message.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_consumer_get(struct shmq_consumer *consumer, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_consumer_get`, without waiting: `SHMQ_ERROR_EMPTY`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_consumer_try_get(struct shmq_consumer *consumer, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_consumer_get`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_consumer_get_timeout(struct shmq_consumer *consumer,
                                     void *message,
                                     size_t capacity,
                                     size_t *length,
                                     uint64_t timeout_ns);

/**
 * Like `shmq_consumer_get`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_consumer_get_deadline(struct shmq_consumer *consumer,
                                      void *message,
                                      size_t capacity,
                                      size_t *length,
                                      uint64_t deadline_ns);

/**
 * Takes as many values as there are, `count` at most, one after the other; waits until there is one.
 * `done`, if not null, is how many.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_consumer_get_many(struct shmq_consumer *consumer, void *messages, size_t count, uint64_t until, size_t *done);

/**
 * Leases one message, to be read, or changed, in place at `data`; waits until there is one. End it by
 * `shmq_lease_release`, or `shmq_lease_give_back`. `length`, if not null, is how long it is.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - If this process dies: the message is delivered again.
 */
shmq_error shmq_consumer_lease(struct shmq_consumer *consumer,
                               uint64_t until,
                               struct shmq_lease **lease,
                               void **data,
                               size_t *length);

/**
 * A descriptor that becomes readable when there may be a message: see `shmq_readiness_fd`.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_consumer_readable(struct shmq_consumer *consumer, struct shmq_readiness **readiness);

/**
 * Gives the get side up, and the handle.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_consumer_free(struct shmq_consumer *consumer);

/**
 * Takes the put side of a queue. Other puts get `SHMQ_ERROR_HELD` until it is freed.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a side that a dead process held is taken over.
 */
shmq_error shmq_queue_producer(struct shmq_queue *queue, struct shmq_producer **producer);

/**
 * Puts one message by copy; waits until there is room. As `shmq_queue_put`, without a lock per
 * message.
 *
 * - Blocks: until there is room.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_producer_put(struct shmq_producer *producer, const void *message, size_t length);

/**
 * Like `shmq_producer_put`, without waiting: `SHMQ_ERROR_FULL`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_producer_try_put(struct shmq_producer *producer, const void *message, size_t length);

/**
 * Like `shmq_producer_put`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_producer_put_timeout(struct shmq_producer *producer, const void *message, size_t length, uint64_t timeout_ns);

/**
 * Like `shmq_producer_put`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_producer_put_deadline(struct shmq_producer *producer, const void *message, size_t length, uint64_t deadline_ns);

/**
 * Puts `count` values, which lie one after the other; waits until there is room for all. `done`, if
 * not null, is how many were put: after an error, those before it. An error is returned only if
 * none was put.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_producer_put_many(struct shmq_producer *producer,
                                  const void *messages,
                                  size_t count,
                                  uint64_t until,
                                  size_t *done);

/**
 * Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
 * some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_producer_loan(struct shmq_producer *producer,
                              size_t length,
                              uint64_t until,
                              struct shmq_loan **loan,
                              void **data);

/**
 * A descriptor that becomes readable when there may be room for `length` bytes: see
 * `shmq_readiness_fd`.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_producer_writable(struct shmq_producer *producer, size_t length, struct shmq_readiness **readiness);

/**
 * Gives the put side up, and the handle.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_producer_free(struct shmq_producer *producer);

/**
 * Says that the message is done: it is not delivered again. The lease has ended.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - If this process dies: the message is delivered again.
 */
shmq_error shmq_lease_release(struct shmq_lease *lease);

/**
 * Gives the message back, as it is now in memory: it is delivered again. The lease has ended.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - If this process dies: the message is delivered again.
 */
shmq_error shmq_lease_give_back(struct shmq_lease *lease);

/**
 * How often the message was delivered, with this time: 1 at first.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_lease_deliveries(struct shmq_lease *lease, uint32_t *count);

/**
 * Which message it is: the same over all its deliveries.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_lease_id(struct shmq_lease *lease, struct shmq_message_id *id);

/**
 * Puts the message. The loan has ended, whatever is returned.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_loan_commit(struct shmq_loan *loan);

/**
 * Puts the first `length` bytes of a slice or an encoded object. The loan has ended, whatever is
 * returned; after an error the message was never there.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_loan_commit_length(struct shmq_loan *loan, size_t length);

/**
 * Ends the loan: the message was never there.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_loan_abort(struct shmq_loan *loan);

/**
 * Creates a queue. With a null `name` it is anonymous: for children that inherit the handle, or
 * that are given its `shmq_queue_name`. The options need a layout, and a capacity for values.
 *
 * The queue lives until the last process that has it open frees its handles, or ends, unless it is
 * made to persist.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_queue_create(const char *name, const struct shmq_queue_options *options, struct shmq_queue **queue);

/**
 * Opens a queue that another process created. `options` may be null. With `SHMQ_TRY` it has to be
 * there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
 *
 * What the options say of messages is compared: `SHMQ_ERROR_MISMATCH` has both in words.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_queue_open(const char *name, const struct shmq_queue_options *options, uint64_t until, struct shmq_queue **queue);

/**
 * Opens the queue of that name, or creates it: for programs that start in any order. One that
 * exists keeps its capacity, whatever the options ask for.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_queue_open_or_create(const char *name, const struct shmq_queue_options *options, struct shmq_queue **queue);

/**
 * Removes a name. Processes that have the queue open go on with it. `options` may be null; its
 * `directory` and its owner count.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_unlink(const char *name, const struct shmq_queue_options *options);

/**
 * Gives a handle up. The last one of the last process ends the queue, unless it persists. Endpoints
 * and guards that were made of it keep the queue, and may be used on.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_free(struct shmq_queue *queue);

/**
 * Ends the stream: puts fail from now on, gets take what is left, and then get
 * `SHMQ_ERROR_CLOSED`. The handle stays open: see `shmq_queue_free`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_close(struct shmq_queue *queue);

/**
 * Was the stream closed, by any process?
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_is_closed(struct shmq_queue *queue, bool *is_closed);

/**
 * Messages that no process has taken yet.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_len(struct shmq_queue *queue, size_t *count);

/**
 * Bound in messages; `SIZE_MAX` of a queue that is bounded in bytes only.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_capacity(struct shmq_queue *queue, size_t *count);

/**
 * Bytes of the largest message that fits the ring.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_max_length(struct shmq_queue *queue, size_t *length);

/**
 * The name by which other processes open it; valid as long as the handle.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_name(struct shmq_queue *queue, const char **name);

/**
 * What messages are, as the segment says. Set `layout->size` first.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_layout(struct shmq_queue *queue, struct shmq_layout *layout);

/**
 * Counters of the queue. Set `counters->size` first.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_stats(struct shmq_queue *queue, struct shmq_queue_counters *counters);

/**
 * Says that a message that was got by copy is finished: for `shmq_queue_join`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_task_done(struct shmq_queue *queue);

/**
 * Waits until every message that was put is finished: by `shmq_queue_task_done`, or by the end of
 * its lease. After `SHMQ_ERROR_TIMEOUT`, `shmq_error_lag()` is how many are not.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_join(struct shmq_queue *queue, uint64_t until);

/**
 * Repairs now what dead processes left; the verbs do that by themselves when they meet it. `dead`,
 * if not null, is how many there were.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_recover(struct shmq_queue *queue, uint64_t *dead);

/**
 * What became of a message, by the id of its lease: a `shmq_fate`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_fate(struct shmq_queue *queue, const struct shmq_message_id *id, uint32_t *fate);

/**
 * A descriptor that becomes readable when there may be a message: see `shmq_readiness_fd`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_readable(struct shmq_queue *queue, struct shmq_readiness **readiness);

/**
 * A descriptor that becomes readable when there may be room for `length` bytes: see
 * `shmq_readiness_fd`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_queue_writable(struct shmq_queue *queue, size_t length, struct shmq_readiness **readiness);

/**
 * Takes one message by copy; waits until there is one. `length`, if not null, is how long it is.
 * A process that dies after this has taken the message with it: lease what must not get lost.
 *
 * - Blocks: until there is a message.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_get(struct shmq_queue *queue, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_queue_get`, without waiting: `SHMQ_ERROR_EMPTY`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_try_get(struct shmq_queue *queue, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_queue_get`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_get_timeout(struct shmq_queue *queue, void *message, size_t capacity, size_t *length, uint64_t timeout_ns);

/**
 * Like `shmq_queue_get`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_get_deadline(struct shmq_queue *queue,
                                   void *message,
                                   size_t capacity,
                                   size_t *length,
                                   uint64_t deadline_ns);

/**
 * Takes as many values as there are, `count` at most, one after the other; waits until there is one.
 * `done`, if not null, is how many.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_queue_get_many(struct shmq_queue *queue, void *messages, size_t count, uint64_t until, size_t *done);

/**
 * Leases one message, to be read, or changed, in place at `data`; waits until there is one. End it by
 * `shmq_lease_release`, or `shmq_lease_give_back`. `length`, if not null, is how long it is.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - If this process dies: the message is delivered again.
 */
shmq_error shmq_queue_lease(struct shmq_queue *queue, uint64_t until, struct shmq_lease **lease, void **data, size_t *length);

/**
 * Puts one message by copy; waits until there is room. Any length that the layout allows: of
 * values exactly their size, of slices whole elements. Once it returns `SHMQ_OK`, the message
 * survives this process.
 *
 * - Blocks: until there is room.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_put(struct shmq_queue *queue, const void *message, size_t length);

/**
 * Like `shmq_queue_put`, without waiting: `SHMQ_ERROR_FULL`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes; `SHMQ_ERROR_BUSY` if it interrupts a put on the same queue. Not with an
 *   encoded object that is too long for the ring, for which a file is made.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_try_put(struct shmq_queue *queue, const void *message, size_t length);

/**
 * Like `shmq_queue_put`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_put_timeout(struct shmq_queue *queue, const void *message, size_t length, uint64_t timeout_ns);

/**
 * Like `shmq_queue_put`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_put_deadline(struct shmq_queue *queue, const void *message, size_t length, uint64_t deadline_ns);

/**
 * Puts `count` values, which lie one after the other; waits until there is room for all. `done`, if
 * not null, is how many were put: after an error, those before it. An error is returned only if
 * none was put.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_queue_put_many(struct shmq_queue *queue, const void *messages, size_t count, uint64_t until, size_t *done);

/**
 * Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
 * some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_queue_loan(struct shmq_queue *queue, size_t length, uint64_t until, struct shmq_loan **loan, void **data);

/**
 * The descriptor: it is readable when a try is worth it. Do not read, write or close it. Then call
 * the `try_` form until `SHMQ_ERROR_EMPTY`, or `SHMQ_ERROR_FULL`, and `shmq_readiness_rearm`.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_readiness_fd(struct shmq_readiness *readiness, int *fd);

/**
 * Makes the descriptor wait again. `is_ready`: something is there already, so that it is readable
 * at once.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: messages that it leased come back and are delivered again; what it left is
 *   repaired.
 */
shmq_error shmq_readiness_rearm(struct shmq_readiness *readiness, bool *is_ready);

/**
 * Closes the descriptor, and gives the handle up.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_readiness_free(struct shmq_readiness *readiness);

/**
 * Makes one that is not set.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_stop_new(struct shmq_stop **stop);

/**
 * Sets it, for good: waits of its handles end with `SHMQ_ERROR_INTERRUPTED`, those under way and
 * all later ones.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_stop_set(struct shmq_stop *stop);

/**
 * Was it set?
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_stop_is_set(struct shmq_stop *stop, bool *is_set);

/**
 * Gives the handle up. What was made with it keeps it.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_stop_free(struct shmq_stop *stop);

/**
 * Creates an event that is not set. With a null `name` it is anonymous: for children that inherit the
 * handle. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_event_create(const char *name, const struct shmq_primitive_options *options, struct shmq_event **event);

/**
 * Opens the event that another process created. `options` may be null. With `SHMQ_TRY` it has to be
 * there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_event_open(const char *name,
                           const struct shmq_primitive_options *options,
                           uint64_t until,
                           struct shmq_event **event);

/**
 * Opens the event of that name, or creates it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_event_open_or_create(const char *name, const struct shmq_primitive_options *options, struct shmq_event **event);

/**
 * Removes a name. Processes that have the event open go on with it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_unlink(const char *name, const struct shmq_primitive_options *options);

/**
 * The name by which other processes open it; valid as long as the handle.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_name(struct shmq_event *event, const char **name);

/**
 * Gives a handle up. The last one of the last process ends the event, unless it persists.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_free(struct shmq_event *event);

/**
 * Sets it, and wakes all that wait.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_set(struct shmq_event *event);

/**
 * Clears it.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_clear(struct shmq_event *event);

/**
 * Is it set?
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_is_set(struct shmq_event *event, bool *is_set);

/**
 * Waits until it is set, or was set meanwhile. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if it is not.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: with `SHMQ_TRY`.
 * - Dead peer: no effect.
 */
shmq_error shmq_event_wait(struct shmq_event *event, uint64_t until);

/**
 * Creates a mutex, which guards `data_size` bytes of the options, `initial` at first (null: zeros).
 * With a null `name` it is anonymous: for children that inherit the handle. `options` may be null:
 * without data. Rust has it as `sync::Mutex<T>`.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_mutex_create(const char *name,
                             const void *initial,
                             const struct shmq_primitive_options *options,
                             struct shmq_mutex **mutex);

/**
 * Opens the mutex that another process created. `options` may be null. With `SHMQ_TRY` it has to be
 * there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_mutex_open(const char *name,
                           const struct shmq_primitive_options *options,
                           uint64_t until,
                           struct shmq_mutex **mutex);

/**
 * Opens the mutex of that name, or creates it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_mutex_open_or_create(const char *name,
                                     const void *initial,
                                     const struct shmq_primitive_options *options,
                                     struct shmq_mutex **mutex);

/**
 * Removes a name. Processes that have the mutex open go on with it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_mutex_unlink(const char *name, const struct shmq_primitive_options *options);

/**
 * The name by which other processes open it; valid as long as the handle.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_mutex_name(struct shmq_mutex *mutex, const char **name);

/**
 * Gives a handle up. The last one of the last process ends the mutex, unless it persists.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_mutex_free(struct shmq_mutex *mutex);

/**
 * Locks; waits until it is free. `data`, if not null, is where the data are, until
 * `shmq_mutex_unlock`. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if another thread, or process, has
 * it. It is not reentrant.
 *
 * After `SHMQ_ERROR_OWNER_DIED` it **is** locked, and `data` is set: the last holder died with it.
 * Check the data, call `shmq_mutex_mark_repaired`, and unlock; otherwise the next one gets it too.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: with `SHMQ_TRY`; `SHMQ_ERROR_WOULD_BLOCK` if it interrupts a holder.
 * - Dead peer: a lock of a dead holder is taken over, with `SHMQ_ERROR_OWNER_DIED`.
 */
shmq_error shmq_mutex_lock(struct shmq_mutex *mutex, uint64_t until, void **data);

/**
 * Says that the data are right again, after `SHMQ_ERROR_OWNER_DIED`. The lock stays held.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_mutex_mark_repaired(struct shmq_mutex *mutex);

/**
 * Unlocks. `SHMQ_ERROR_NOT_LOCKED` if this process has not locked it through this handle.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_mutex_unlock(struct shmq_mutex *mutex);

/**
 * Takes a permit as a guard; waits until there is one. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if
 * there is none. If this process dies, the permit is there again.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: its permits (`shmq_semaphore_permit`) come back.
 */
shmq_error shmq_semaphore_permit(struct shmq_semaphore *semaphore, uint64_t until, struct shmq_permit **permit);

/**
 * Gives the permit back, and wakes one that waits. The handle has ended.
 *
 * - Blocks: no.
 * - Threads: any, one at a time; it need not be the one that made it.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
 *   the parent's.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_permit_give_back(struct shmq_permit *permit);

/**
 * Creates a semaphore of so many permits. With a null `name` it is anonymous: for children that
 * inherit the handle. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_semaphore_create(const char *name,
                                 uint64_t permits,
                                 const struct shmq_primitive_options *options,
                                 struct shmq_semaphore **semaphore);

/**
 * Opens the semaphore that another process created. `options` may be null. With `SHMQ_TRY` it has to be
 * there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_semaphore_open(const char *name,
                               const struct shmq_primitive_options *options,
                               uint64_t until,
                               struct shmq_semaphore **semaphore);

/**
 * Opens the semaphore of that name, or creates it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_semaphore_open_or_create(const char *name,
                                         uint64_t permits,
                                         const struct shmq_primitive_options *options,
                                         struct shmq_semaphore **semaphore);

/**
 * Removes a name. Processes that have the semaphore open go on with it. `options` may be null.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_semaphore_unlink(const char *name, const struct shmq_primitive_options *options);

/**
 * The name by which other processes open it; valid as long as the handle.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_semaphore_name(struct shmq_semaphore *semaphore, const char **name);

/**
 * Gives a handle up. The last one of the last process ends the semaphore, unless it persists.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_semaphore_free(struct shmq_semaphore *semaphore);

/**
 * Takes a permit, for good; waits until there is one. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if
 * there is none. If this process dies, the permit is gone: see `shmq_semaphore_permit`.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: with `SHMQ_TRY`; `SHMQ_ERROR_BUSY` if it interrupts such a call.
 * - Dead peer: its permits (`shmq_semaphore_permit`) come back.
 */
shmq_error shmq_semaphore_acquire(struct shmq_semaphore *semaphore, uint64_t until);

/**
 * Adds so many permits, and wakes as many that wait.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
shmq_error shmq_semaphore_release(struct shmq_semaphore *semaphore, uint32_t permits);

/**
 * How many permits there are to take.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: yes.
 * - Dead peer: its permits (`shmq_semaphore_permit`) come back.
 */
shmq_error shmq_semaphore_value(struct shmq_semaphore *semaphore, uint64_t *permits);

/**
 * Creates a topic, as `shmq_queue_create` a queue. Topics of slices and encoded objects are bounded
 * by `capacity_bytes`, those of values by `capacity`.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_topic_create(const char *name, const struct shmq_queue_options *options, struct shmq_topic **topic);

/**
 * Opens a topic that another process created, as `shmq_queue_open` a queue.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_topic_open(const char *name, const struct shmq_queue_options *options, uint64_t until, struct shmq_topic **topic);

/**
 * Opens the topic of that name, or creates it, as `shmq_queue_open_or_create` a queue.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: what a dead process left of the name is replaced, or opened.
 */
shmq_error shmq_topic_open_or_create(const char *name, const struct shmq_queue_options *options, struct shmq_topic **topic);

/**
 * Removes a name. Processes that have the topic open go on with it. `options` may be null; its
 * `directory` and its owner count.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_unlink(const char *name, const struct shmq_queue_options *options);

/**
 * Gives a handle up. Publishers, subscribers and loans that were made of it keep the topic, and may
 * be used on.
 *
 * - Blocks: no; it makes system calls.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_free(struct shmq_topic *topic);

/**
 * Ends the stream: publishing fails from now on, subscribers read what is left, and then get
 * `SHMQ_ERROR_CLOSED`. The handle stays open: see `shmq_topic_free`.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_close(struct shmq_topic *topic);

/**
 * Was the stream closed, by any process?
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_is_closed(struct shmq_topic *topic, bool *is_closed);

/**
 * Bound in messages; `SIZE_MAX` of a topic that is bounded in bytes only.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_capacity(struct shmq_topic *topic, size_t *count);

/**
 * Bytes of the largest message that fits the ring.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_max_length(struct shmq_topic *topic, size_t *length);

/**
 * The name by which other processes open it; valid as long as the handle.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_name(struct shmq_topic *topic, const char **name);

/**
 * What messages are, as the segment says. Set `layout->size` first.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_layout(struct shmq_topic *topic, struct shmq_layout *layout);

/**
 * Counters of the topic. Set `counters->size` first.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_stats(struct shmq_topic *topic, struct shmq_topic_counters *counters);

/**
 * Waits until the topic has `count` gating subscribers, so that none of them misses the first
 * message. After `SHMQ_ERROR_TIMEOUT`, `shmq_error_length()` is how many there were.
 *
 * - Blocks: as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_topic_wait_subscribers(struct shmq_topic *topic, size_t count, uint64_t until);

/**
 * Repairs now what dead processes left; the verbs do that by themselves when they meet it. `dead`,
 * if not null, is how many there were.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: what it left is repaired, and the call goes on.
 */
shmq_error shmq_topic_recover(struct shmq_topic *topic, uint64_t *dead);

/**
 * Publishes one message by copy; waits until there is room. Every subscriber sees it. A gating
 * subscriber that lags a whole ring is waited for.
 *
 * - Blocks: until there is room.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_publish(struct shmq_topic *topic, const void *message, size_t length);

/**
 * Like `shmq_topic_publish`, without waiting: `SHMQ_ERROR_FULL`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_try_publish(struct shmq_topic *topic, const void *message, size_t length);

/**
 * Like `shmq_topic_publish`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_publish_timeout(struct shmq_topic *topic, const void *message, size_t length, uint64_t timeout_ns);

/**
 * Like `shmq_topic_publish`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_publish_deadline(struct shmq_topic *topic, const void *message, size_t length, uint64_t deadline_ns);

/**
 * Publishes `count` values, which lie one after the other; waits until there is room for all. `done`, if
 * not null, is how many were put: after an error, those before it. An error is returned only if
 * none was put.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_publish_many(struct shmq_topic *topic, const void *messages, size_t count, uint64_t until, size_t *done);

/**
 * Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
 * some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_topic_loan(struct shmq_topic *topic, size_t length, uint64_t until, struct shmq_loan **loan, void **data);

/**
 * Takes the put side of a topic. Others that publish get `SHMQ_ERROR_HELD` until it is freed.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a side that a dead process held is taken over.
 */
shmq_error shmq_topic_publisher(struct shmq_topic *topic, struct shmq_publisher **publisher);

/**
 * Publishes one message by copy; waits until there is room. As `shmq_topic_publish`, without a
 * lock per message.
 *
 * - Blocks: until there is room.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_publisher_publish(struct shmq_publisher *publisher, const void *message, size_t length);

/**
 * Like `shmq_publisher_publish`, without waiting: `SHMQ_ERROR_FULL`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_publisher_try_publish(struct shmq_publisher *publisher, const void *message, size_t length);

/**
 * Like `shmq_publisher_publish`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_publisher_publish_timeout(struct shmq_publisher *publisher,
                                          const void *message,
                                          size_t length,
                                          uint64_t timeout_ns);

/**
 * Like `shmq_publisher_publish`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_publisher_publish_deadline(struct shmq_publisher *publisher,
                                           const void *message,
                                           size_t length,
                                           uint64_t deadline_ns);

/**
 * Publishes `count` values, which lie one after the other; waits until there is room for all. `done`, if
 * not null, is how many were put: after an error, those before it. An error is returned only if
 * none was put.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_publisher_publish_many(struct shmq_publisher *publisher,
                                       const void *messages,
                                       size_t count,
                                       uint64_t until,
                                       size_t *done);

/**
 * Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
 * some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
 *
 * - Blocks: until there is room, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - If this process dies: the message was never there.
 */
shmq_error shmq_publisher_loan(struct shmq_publisher *publisher,
                               size_t length,
                               uint64_t until,
                               struct shmq_loan **loan,
                               void **data);

/**
 * Gives the put side up, and the handle.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_publisher_free(struct shmq_publisher *publisher);

/**
 * Subscribes. `options` may be null: as a gating subscriber, from now on. Publishers wait for a
 * gating one that lags a whole ring, as long as its process lives; a lossy one is never waited for.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, at the same time.
 * - After fork: a child of a process with one thread may call it, and attaches by itself.
 * - Signal handler: no.
 * - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
 */
shmq_error shmq_topic_subscribe(struct shmq_topic *topic,
                                const struct shmq_subscribe_options *options,
                                struct shmq_subscriber **subscriber);

/**
 * Reads the newest message that it has not passed, by copy, at once: `SHMQ_ERROR_EMPTY` if there is
 * none. What lies before it is missed. A message that is longer than the buffer
 * (`SHMQ_ERROR_TOO_SMALL`) is what the next call reads, unless there is a newer one.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_latest(struct shmq_subscriber *subscriber, void *message, size_t capacity, size_t *length);

/**
 * Reads the next message in place: a sample, which stays at `data` until `shmq_subscriber_pass`;
 * waits until there is one. Until then other calls of this subscriber return
 * `SHMQ_ERROR_SAMPLE_OPEN`. Gating subscribers only. `length`, if not null, is how long it is.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_read(struct shmq_subscriber *subscriber, uint64_t until, const void **data, size_t *length);

/**
 * Ends the sample: its message is passed. `SHMQ_ERROR_ARGUMENT` if there is none.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_pass(struct shmq_subscriber *subscriber);

/**
 * Messages that were published and that it has not passed.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_subscriber_lag(struct shmq_subscriber *subscriber, uint64_t *count);

/**
 * Messages that it passed without reading them.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_subscriber_missed(struct shmq_subscriber *subscriber, uint64_t *count);

/**
 * Messages that it read.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_subscriber_received(struct shmq_subscriber *subscriber, uint64_t *count);

/**
 * Do publishers wait for it? No longer once it was evicted.
 *
 * - Blocks: no.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_subscriber_is_gating(struct shmq_subscriber *subscriber, bool *is_gating);

/**
 * Ends the subscriber, and its sample, and gives the handle up.
 *
 * - Blocks: no.
 * - Threads: any; no other thread may be in a call with the handle.
 * - After fork: a child gives up its copy; the parent's handle stays.
 * - Signal handler: no.
 * - Dead peer: no effect.
 */
shmq_error shmq_subscriber_free(struct shmq_subscriber *subscriber);

/**
 * Reads the next message by copy; waits until there is one. `length`, if not null, is how long it
 * is. A lossy one may get `SHMQ_ERROR_LAGGED`: the call after it goes on.
 *
 * - Blocks: until there is a message.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_next(struct shmq_subscriber *subscriber, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_subscriber_next`, without waiting: `SHMQ_ERROR_EMPTY`.
 *
 * - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_try_next(struct shmq_subscriber *subscriber, void *message, size_t capacity, size_t *length);

/**
 * Like `shmq_subscriber_next`, for a while: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_next_timeout(struct shmq_subscriber *subscriber,
                                        void *message,
                                        size_t capacity,
                                        size_t *length,
                                        uint64_t timeout_ns);

/**
 * Like `shmq_subscriber_next`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
 *
 * - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_next_deadline(struct shmq_subscriber *subscriber,
                                         void *message,
                                         size_t capacity,
                                         size_t *length,
                                         uint64_t deadline_ns);

/**
 * Reads as many values as there are, `count` at most, one after the other; waits until there is one.
 * `done`, if not null, is how many.
 *
 * - Blocks: until there is a message, as `until` says.
 * - Threads: any, one at a time.
 * - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
 * - Signal handler: no.
 * - Dead peer: a message whose publisher died before its commit was never there.
 */
shmq_error shmq_subscriber_next_many(struct shmq_subscriber *subscriber,
                                     void *messages,
                                     size_t count,
                                     uint64_t until,
                                     size_t *done);

/**
 * Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint64_t shmq_now(void);

/**
 * The deadline that is `ns` nanoseconds ahead. `SHMQ_FOREVER` if there is none so late.
 *
 * - Blocks: no.
 * - Threads: any, at the same time.
 * - After fork: as before.
 * - Signal handler: yes.
 * - Dead peer: no effect.
 */
uint64_t shmq_after(uint64_t ns);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SHMQ_H */
