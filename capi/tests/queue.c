/* Queues: making and opening, putting and getting, in place, what they say. */
#include "check.h"

typedef struct {
    double price;
    uint64_t volume;
} tick;
static const char *const tick_structure = "{price@0: f64, volume@8: u64}";

static void makes_and_opens(void) {
    const char *name = name_of("makes");
    shmq_queue_options options = {0};
    options.size = sizeof options;
    options.structure = tick_structure;
    options.type_name = "Tick";
    options.schema = "tick/1";
    options.capacity = 3;
    shmq_queue *queue = NULL, *same = NULL, *again = NULL;
    EXPECT(SHMQ_ERROR_NOT_FOUND, shmq_queue_open(name, NULL, SHMQ_TRY, &queue));
    CHECK(strstr(shmq_error_message(), name) != NULL);
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_open(name, NULL, shmq_after(5 * MS), &queue));
    OK(shmq_queue_create(name, &options, &queue));
    EXPECT(SHMQ_ERROR_ALREADY_EXISTS, shmq_queue_create(name, &options, &same));
    OK(shmq_queue_open(name, NULL, SHMQ_TRY, &same));
    OK(shmq_queue_open_or_create(name, &options, &again));

    shmq_layout layout = {0};
    layout.size = sizeof layout;
    OK(shmq_queue_layout(same, &layout));
    CHECK(layout.form == SHMQ_FORM_VALUE && layout.message_size == sizeof(tick) && layout.message_align == 8);
    CHECK(strcmp(layout.structure, tick_structure) == 0 && strcmp(layout.schema, "tick/1") == 0);
    CHECK(strcmp(layout.type_name, "Tick") == 0 && layout.is_structure_cut == 0);
    const char *its_name = NULL;
    OK(shmq_queue_name(same, &its_name));
    CHECK(strcmp(its_name, name) == 0);
    size_t capacity = 0;
    OK(shmq_queue_capacity(again, &capacity));
    CHECK(capacity == 3);
    OK(shmq_queue_max_length(again, &capacity));
    CHECK(capacity == sizeof(tick));

    tick put = {9.5, 3}, got = {0, 0};
    OK(shmq_queue_put(queue, &put, sizeof put));
    OK(shmq_queue_get(same, &got, sizeof got, NULL));
    CHECK(got.price == 9.5 && got.volume == 3);

    /* Both layouts in words. */
    shmq_queue *other = NULL;
    shmq_queue_options wrong = queue_of(0, 0, 3);
    wrong.structure = "{price@0: f64, volume@8: i64}";
    EXPECT(SHMQ_ERROR_MISMATCH, shmq_queue_open(name, &wrong, SHMQ_TRY, &other));
    CHECK(strstr(shmq_error_wanted(), "i64") && strstr(shmq_error_found(), "u64") && strstr(shmq_error_message(), "volume"));
    EXPECT(SHMQ_ERROR_MISMATCH, shmq_queue_open_or_create(name, &wrong, &other));
    CHECK(other == NULL);
    EXPECT(SHMQ_ERROR_BAD_NAME, shmq_queue_create("a/b", &options, &other));
    CHECK(shmq_error_wanted() == NULL && shmq_error_found() == NULL);
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_open(NULL, NULL, SHMQ_TRY, &other));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_open("\xff", NULL, SHMQ_TRY, &other));

    OK(shmq_queue_unlink(name, NULL));
    EXPECT(SHMQ_ERROR_NOT_FOUND, shmq_queue_open(name, NULL, SHMQ_TRY, &other));
    OK(shmq_queue_free(queue));
    OK(shmq_queue_free(same));
    OK(shmq_queue_free(again));
}

static void a_layout_may_be_wrong(void) {
    shmq_queue *queue = NULL;
    shmq_queue_options options = queue_of(24, 3, 8);
    EXPECT(SHMQ_ERROR_LAYOUT, shmq_queue_create(NULL, &options, &queue));
    options = queue_of(8, 8, 8);
    options.structure = "[f64; 2]";
    EXPECT(SHMQ_ERROR_LAYOUT, shmq_queue_create(NULL, &options, &queue));
    CHECK(shmq_error_length() == 16 && shmq_error_maximum() == 8);
    options = queue_of(0, 0, 8);
    EXPECT(SHMQ_ERROR_LAYOUT, shmq_queue_create(NULL, &options, &queue));
    options = queue_of(8, 8, 0);
    EXPECT(SHMQ_ERROR_OUT_OF_RANGE, shmq_queue_create(NULL, &options, &queue));
    options = queue_of(8, 8, 1);
    options.form = SHMQ_FORM_ENCODED;
    EXPECT(SHMQ_ERROR_OPTIONS, shmq_queue_create(NULL, &options, &queue));
    CHECK(queue == NULL);
}

static void the_four_forms(void) {
    shmq_queue *queue = numbers(1);
    uint64_t number = 1;
    size_t length = 77;
    EXPECT(SHMQ_ERROR_EMPTY, shmq_queue_try_get(queue, &number, 8, &length));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_get_timeout(queue, &number, 8, &length, 0));
    uint64_t before = shmq_now();
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_get_timeout(queue, &number, 8, &length, 2 * MS));
    CHECK(shmq_now() - before >= 2 * MS);
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_get_deadline(queue, &number, 8, &length, 1));
    uint64_t deadline = shmq_after(2 * MS);
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_get_deadline(queue, &number, 8, &length, deadline));
    CHECK(shmq_now() >= deadline);
    CHECK(length == 77 && number == 1);

    OK(shmq_queue_put(queue, &number, 8));
    EXPECT(SHMQ_ERROR_FULL, shmq_queue_try_put(queue, &number, 8));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_put_timeout(queue, &number, 8, 2 * MS));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_put_deadline(queue, &number, 8, shmq_after(2 * MS)));
    OK(shmq_queue_get(queue, &number, 8, &length));
    CHECK(length == 8);
    OK(shmq_queue_try_put(queue, &number, 8));
    OK(shmq_queue_try_get(queue, &number, 8, &length));
    OK(shmq_queue_put_timeout(queue, &number, 8, SECOND));
    OK(shmq_queue_get_timeout(queue, &number, 8, NULL, SHMQ_FOREVER));
    OK(shmq_queue_put_deadline(queue, &number, 8, SHMQ_FOREVER));
    OK(shmq_queue_get_deadline(queue, &number, 8, NULL, shmq_after(SECOND)));

    EXPECT(SHMQ_ERROR_WRONG_LENGTH, shmq_queue_put(queue, &number, 7));
    CHECK(shmq_error_length() == 7 && shmq_error_maximum() == 8);
    OK(shmq_queue_put(queue, &number, 8));
    EXPECT(SHMQ_ERROR_TOO_SMALL, shmq_queue_get(queue, &number, 4, &length));
    CHECK(shmq_error_length() == 4 && shmq_error_maximum() == 8);
    CHECK(taken(queue) == 1);
    OK(shmq_queue_free(queue));
}

static void batches(void) {
    shmq_queue *queue = numbers(4);
    uint64_t in[6] = {1, 2, 3, 4, 5, 6}, out[8] = {0};
    size_t done = 99;
    OK(shmq_queue_put_many(queue, in, 3, SHMQ_FOREVER, &done));
    CHECK(done == 3);
    OK(shmq_queue_put_many(queue, in + 3, 3, SHMQ_TRY, &done));
    CHECK(done == 1);
    EXPECT(SHMQ_ERROR_FULL, shmq_queue_put_many(queue, in + 4, 2, SHMQ_TRY, &done));
    CHECK(done == 0);
    OK(shmq_queue_get_many(queue, out, 8, shmq_after(SECOND), &done));
    CHECK(done == 4 && memcmp(in, out, 32) == 0);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_queue_get_many(queue, out, 8, SHMQ_TRY, NULL));
    EXPECT(SHMQ_ERROR_ARGUMENT, shmq_queue_put_many(queue, in, SIZE_MAX, SHMQ_TRY, NULL));
    OK(shmq_queue_free(queue));

    shmq_queue_options options = bytes_of(4096);
    OK(shmq_queue_create(NULL, &options, &queue));
    EXPECT(SHMQ_ERROR_NOT_OF_ONE_SIZE, shmq_queue_put_many(queue, in, 2, SHMQ_TRY, NULL));
    OK(shmq_queue_free(queue));
}

static void in_place(void) {
    shmq_queue_options options = bytes_of(4096);
    options.capacity = 2;
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(NULL, &options, &queue));
    shmq_loan *loan = NULL, *second = NULL;
    void *data = NULL;
    OK(shmq_queue_loan(queue, 100, SHMQ_TRY, &loan, &data));
    memset(data, 'a', 100);
    OK(shmq_loan_commit_length(loan, 40));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_loan_commit(loan));
    OK(shmq_queue_loan(queue, 10, SHMQ_TRY, &second, &data));
    CHECK(second != loan);
    EXPECT(SHMQ_ERROR_FULL, shmq_queue_loan(queue, 10, SHMQ_TRY, &loan, &data));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_loan(queue, 10, shmq_after(2 * MS), &loan, &data));
    OK(shmq_loan_abort(second));
    EXPECT(SHMQ_ERROR_TOO_LARGE, shmq_queue_loan(queue, 1 << 20, SHMQ_TRY, &loan, &data));
    CHECK(shmq_error_length() == 1 << 20 && shmq_error_maximum() < 4096);
    OK(shmq_queue_loan(queue, 10, SHMQ_TRY, &loan, &data));
    EXPECT(SHMQ_ERROR_TOO_LARGE, shmq_loan_commit_length(loan, 11));

    shmq_lease *lease = NULL;
    size_t length = 0;
    uint32_t deliveries = 0;
    shmq_message_id id, id_again;
    uint32_t fate = 99;
    OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, &length));
    CHECK(length == 40 && ((char *)data)[39] == 'a');
    OK(shmq_lease_deliveries(lease, &deliveries));
    CHECK(deliveries == 1);
    OK(shmq_lease_id(lease, &id));
    ((char *)data)[0] = 'b';
    OK(shmq_lease_give_back(lease));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_lease_release(lease));
    OK(shmq_queue_fate(queue, &id, &fate));
    CHECK(fate == SHMQ_FATE_PENDING);
    OK(shmq_queue_lease(queue, SHMQ_FOREVER, &lease, &data, NULL));
    CHECK(((char *)data)[0] == 'b');
    OK(shmq_lease_deliveries(lease, &deliveries));
    OK(shmq_lease_id(lease, &id_again));
    CHECK(deliveries == 2 && memcmp(&id, &id_again, sizeof id) == 0);
    OK(shmq_lease_release(lease));
    OK(shmq_queue_fate(queue, &id, &fate));
    CHECK(fate == SHMQ_FATE_DONE);
    EXPECT(SHMQ_ERROR_EMPTY, shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_lease(queue, shmq_after(2 * MS), &lease, &data, NULL));

    /* Guards keep the queue. */
    OK(shmq_queue_put(queue, "kept", 4));
    OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, &length));
    OK(shmq_queue_free(queue));
    CHECK(length == 4 && memcmp(data, "kept", 4) == 0);
    OK(shmq_lease_release(lease));
}

static void encoded_objects(void) {
    shmq_queue_options options = queue_of(0, 0, 0);
    options.form = SHMQ_FORM_ENCODED;
    options.schema = "job/1";
    options.capacity_bytes = 4096;
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(NULL, &options, &queue));
    size_t large = 100000, length = 0;
    char *text = malloc(large), *back = malloc(large);
    memset(text, 'x', large);
    OK(shmq_queue_put(queue, text, large)); /* into a file of its own */
    OK(shmq_queue_put(queue, "{}", 2));
    OK(shmq_queue_put(queue, NULL, 0));
    OK(shmq_queue_get(queue, back, large, &length));
    CHECK(length == large && memcmp(text, back, large) == 0);
    OK(shmq_queue_get(queue, back, large, &length));
    CHECK(length == 2);
    OK(shmq_queue_get(queue, NULL, 0, &length));
    CHECK(length == 0);
    free(text);
    free(back);
    OK(shmq_queue_free(queue));
}

static void ends_and_counts(void) {
    shmq_queue *queue = numbers(4);
    uint64_t number = 5;
    bool closed = true;
    OK(shmq_queue_is_closed(queue, &closed));
    CHECK(!closed);
    OK(shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_put(queue, &number, 8));
    size_t count = 0;
    OK(shmq_queue_len(queue, &count));
    CHECK(count == 2);
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_queue_join(queue, shmq_after(MS)));
    CHECK(shmq_error_lag() == 2);
    CHECK(taken(queue) == 5);
    OK(shmq_queue_task_done(queue));
    EXPECT(SHMQ_ERROR_TOO_MANY_DONE, shmq_queue_task_done(queue));
    shmq_lease *lease = NULL;
    void *data = NULL;
    OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
    OK(shmq_lease_release(lease));
    OK(shmq_queue_join(queue, SHMQ_FOREVER));

    OK(shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_close(queue));
    OK(shmq_queue_is_closed(queue, &closed));
    CHECK(closed);
    EXPECT(SHMQ_ERROR_CLOSED, shmq_queue_put(queue, &number, 8));
    CHECK(taken(queue) == 5);
    EXPECT(SHMQ_ERROR_CLOSED, shmq_queue_get(queue, &number, 8, NULL));

    shmq_queue_counters counters;
    memset(&counters, 0x55, sizeof counters);
    counters.size = sizeof counters;
    OK(shmq_queue_stats(queue, &counters));
    CHECK(counters.size == sizeof counters && counters.puts == 3 && counters.gets == 3 && counters.bytes_put == 24);
    /* An older program knows fewer of them. */
    memset(&counters, 0x55, sizeof counters);
    counters.size = offsetof(shmq_queue_counters, gets);
    OK(shmq_queue_stats(queue, &counters));
    CHECK(counters.puts == 3 && counters.gets == 0x5555555555555555);
    uint64_t dead = 9;
    OK(shmq_queue_recover(queue, &dead));
    CHECK(dead == 0);
    OK(shmq_queue_free(queue));
}

static void persists(void) {
    const char *name = name_of("persists");
    shmq_queue_options options = queue_of(8, 8, 4);
    options.flags = SHMQ_PERSIST;
    options.mode = 0600;
    shmq_queue *queue = NULL;
    OK(shmq_queue_create(name, &options, &queue));
    uint64_t number = 6;
    OK(shmq_queue_put(queue, &number, 8));
    OK(shmq_queue_free(queue));
    OK(shmq_queue_open(name, NULL, SHMQ_TRY, &queue));
    CHECK(taken(queue) == 6);
    OK(shmq_queue_free(queue));
    OK(shmq_queue_unlink(name, NULL));
}

static void gives_up(void) {
    shmq_queue_options options = queue_of(8, 8, 4);
    options.max_deliveries = 1;
    uint64_t number = 6;
    shmq_lease *lease = NULL;
    void *data = NULL;
    shmq_message_id id;
    uint32_t fate = 99;
    for (int has_letters = 0; has_letters < 2; has_letters++) {
        shmq_queue *queue = NULL;
        options.dead_letters = has_letters ? name_of("no-letters") : NULL;
        OK(shmq_queue_create(NULL, &options, &queue));
        OK(shmq_queue_put(queue, &number, 8));
        OK(shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
        OK(shmq_lease_id(lease, &id));
        OK(shmq_lease_give_back(lease));
        EXPECT(SHMQ_ERROR_EMPTY, shmq_queue_lease(queue, SHMQ_TRY, &lease, &data, NULL));
        OK(shmq_queue_fate(queue, &id, &fate));
        shmq_queue_counters counters;
        counters.size = sizeof counters;
        OK(shmq_queue_stats(queue, &counters));
        if (has_letters) {
            /* There is no queue of that name: the message waits for one. */
            CHECK(fate == SHMQ_FATE_PENDING && counters.dead_letters == 0 && counters.dead_letters_refused >= 1);
        } else {
            CHECK(fate == SHMQ_FATE_GIVEN_UP && counters.given_up == 1);
        }
        OK(shmq_queue_free(queue));
    }
}

int main(void) {
    begin();
    makes_and_opens();
    a_layout_may_be_wrong();
    the_four_forms();
    batches();
    in_place();
    encoded_objects();
    ends_and_counts();
    persists();
    gives_up();
    return 0;
}
