/* Handles: null, freed, of another kind, anything at all; and options structs of other versions. */
#include "check.h"

static void null_is_an_error(void) {
    uint64_t number = 0;
    size_t size = 0;
    bool flag = false;
    void *data = NULL;
    shmq_loan *loan = NULL;
    shmq_lease *lease = NULL;
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_put(NULL, &number, 8));
    CHECK(strstr(shmq_error_message(), "queue") != NULL);
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_get(NULL, &number, 8, &size));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_loan(NULL, 8, SHMQ_TRY, &loan, &data));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_lease(NULL, SHMQ_TRY, &lease, &data, &size));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_len(NULL, &size));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_close(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_join(NULL, SHMQ_TRY));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_free(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_producer_put(NULL, &number, 8));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_producer_free(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_consumer_get(NULL, &number, 8, &size));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_consumer_free(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_loan_commit(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_loan_abort(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_lease_release(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_topic_publish(NULL, &number, 8));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_publisher_publish(NULL, &number, 8));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_subscriber_next(NULL, &number, 8, &size));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_subscriber_pass(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_event_set(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_event_is_set(NULL, &flag));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_semaphore_acquire(NULL, SHMQ_TRY));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_permit_give_back(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_mutex_lock(NULL, SHMQ_TRY, &data));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_mutex_unlock(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_readiness_free(NULL));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_stop_set(NULL));

    shmq_queue *queue = numbers(4);
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_len(queue, NULL));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_put(queue, NULL, 8));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_get(queue, NULL, 8, NULL));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_loan(queue, 8, SHMQ_TRY, NULL, &data));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_create(NULL, NULL, NULL));
    OK(shmq_queue_free(queue));
}

static void use_after_free_is_an_error(void) {
    uint64_t number = 0;
    shmq_queue *queue = numbers(4);
    shmq_producer *producer = NULL;
    shmq_consumer *consumer = NULL;
    OK(shmq_queue_producer(queue, &producer));
    OK(shmq_queue_consumer(queue, &consumer));
    OK(shmq_queue_free(queue));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_put(queue, &number, 8));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_free(queue));
    /* Endpoints keep the queue. */
    OK(shmq_producer_put(producer, &number, 8));
    OK(shmq_producer_free(producer));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_producer_put(producer, &number, 8));
    OK(shmq_consumer_get(consumer, &number, 8, NULL));
    OK(shmq_consumer_free(consumer));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_consumer_get(consumer, &number, 8, NULL));

    /* Also once others have taken their places. */
    for (int round = 0; round < 1000; round++) {
        shmq_queue *next = numbers(1);
        CHECK(next != queue);
        EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_len(queue, &(size_t){0}));
        OK(shmq_queue_free(next));
    }
}

static void another_kind_is_an_error(void) {
    uint64_t number = 0;
    shmq_queue *queue = numbers(4);
    EXPECT(SHMQ_ERROR_HANDLE, shmq_producer_put((shmq_producer *)(void *)queue, &number, 8));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_topic_close((shmq_topic *)(void *)queue));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_stop_free((shmq_stop *)(void *)queue));
    OK(shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_free(queue));
}

static void any_word_may_come(void) {
    uint64_t random = 88172645463325252u, number = 0;
    for (int round = 0; round < 1000000; round++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        CHECK(shmq_queue_put((shmq_queue *)(uintptr_t)random, &number, 8) == SHMQ_ERROR_HANDLE);
    }
}

static void there_are_65536(void) {
    shmq_queue_options options = queue_of(8, 8, 70000);
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(NULL, &options, &queue));
    uint64_t zeros[1000] = {0};
    for (int round = 0; round < 70; round++) OK(shmq_queue_put_many(queue, zeros, 1000, SHMQ_TRY, NULL));
    static shmq_lease *leases[65536];
    void *data = NULL;
    size_t count = 0, left = 0;
    while (count < 65535) {
        OK(shmq_queue_lease(queue, SHMQ_TRY, &leases[count], &data, NULL));
        count++;
    }
    EXPECT(SHMQ_ERROR_TOO_MANY_HANDLES, shmq_queue_lease(queue, SHMQ_TRY, &leases[count], &data, NULL));
    shmq_stop *stop = NULL;
    EXPECT(SHMQ_ERROR_TOO_MANY_HANDLES, shmq_stop_new(&stop));
    while (count-- > 0) OK(shmq_lease_release(leases[count]));
    /* What found no place is still there. */
    OK(shmq_queue_len(queue, &left));
    CHECK(left == 70000 - 65535);
    OK(shmq_queue_free(queue));
}

static void options_of_other_versions(void) {
    shmq_queue *queue = NULL;
    shmq_queue_options options = queue_of(8, 8, 4);
    options.size = 0;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    options.size = offsetof(shmq_queue_options, structure); /* an older program */
    options.structure = (const char *)1;
    OK(shmq_queue_create(NULL, &options, &queue));
    OK(shmq_queue_free(queue));
    options.size = SIZE_MAX;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));

    struct {
        shmq_queue_options known;
        uint64_t later;
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known = queue_of(8, 8, 4);
    newer.known.size = sizeof newer;
    OK(shmq_queue_create(NULL, &newer.known, &queue));
    OK(shmq_queue_free(queue));
    newer.later = 1;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &newer.known, &queue));
    CHECK(strstr(shmq_error_message(), "zero") != NULL);

    options = queue_of(8, 8, 4);
    options.flags = 1u << 31;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    options.flags = SHMQ_BOUNDED; /* of semaphores */
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    options.flags = 0;
    options.form = 77;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    options.form = 0;
    options.wait_strategy = 77;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    options.wait_strategy = 0;
    options.history = 3; /* of topics */
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    shmq_topic *topic = NULL;
    options.history = 0;
    options.max_deliveries = 3; /* of queues */
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_topic_create(NULL, &options, &topic));
    shmq_event *event = NULL;
    shmq_primitive_options data = {0};
    data.size = sizeof data;
    data.data_size = 8; /* of mutexes */
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_event_create(NULL, &data, &event));
    options = queue_of(8, 8, 4);
    shmq_stop *stop = NULL;
    OK(shmq_stop_new(&stop));
    options.stop = stop;
    OK(shmq_stop_free(stop));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_queue_create(NULL, &options, &queue));
}

/* A newer program finds 0 in what this library does not know. */
static void structs_of_other_versions(void) {
    shmq_queue *queue = numbers(4);
    struct {
        shmq_layout known;
        uint64_t later[2];
    } layout;
    memset(&layout, 0xee, sizeof layout);
    layout.known.size = sizeof layout;
    OK(shmq_queue_layout(queue, &layout.known));
    CHECK(layout.known.size == sizeof layout && layout.known.message_size == 8);
    CHECK(layout.later[0] == 0 && layout.later[1] == 0);
    layout.known.size = offsetof(shmq_layout, message_size); /* an older program */
    layout.known.message_size = 99;
    OK(shmq_queue_layout(queue, &layout.known));
    CHECK(layout.known.message_size == 99);
    layout.known.size = 7;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_layout(queue, &layout.known));
    layout.known.size = SIZE_MAX;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_layout(queue, &layout.known));
    OK(shmq_queue_free(queue));

    EXPECT(SHMQ_ERROR_LAYOUT, shmq_queue_create(NULL, NULL, &queue));
    CHECK(strstr(shmq_error_message(), "message_size") != NULL);
    /* A packed struct, of which only the fields are given. */
    shmq_queue_options options = queue_of(0, 0, 4);
    options.structure = "{side@0: u8, price@1: u64}";
    OK(shmq_queue_create(NULL, &options, &queue));
    layout.known.size = sizeof layout.known;
    OK(shmq_queue_layout(queue, &layout.known));
    CHECK(layout.known.message_size == 9 && layout.known.message_align == 1);
    OK(shmq_queue_free(queue));
}

static void names_of_errors(void) {
    CHECK(strcmp(shmq_error_name(SHMQ_OK), "SHMQ_OK") == 0);
    CHECK(strcmp(shmq_error_name(SHMQ_ERROR_OWNER_DIED), "SHMQ_ERROR_OWNER_DIED") == 0);
    CHECK(strcmp(shmq_error_name(-5), "SHMQ_ERROR_UNKNOWN") == 0);
    CHECK(shmq_version()[0] == '0' + SHMQ_VERSION_MAJOR);
    shmq_error_length(), shmq_error_pid(), shmq_error_errno();
}

int main(void) {
    begin();
    CHECK(shmq_error_message()[0] == 0 && shmq_error_last() == SHMQ_OK);
    null_is_an_error();
    use_after_free_is_an_error();
    another_kind_is_an_error();
    any_word_may_come();
    options_of_other_versions();
    structs_of_other_versions();
    names_of_errors();
    there_are_65536();
    return 0;
}
