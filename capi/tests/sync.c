/* Events, semaphores, mutexes. */
#include "check.h"

static void events(void) {
    const char *name = name_of("event");
    shmq_event *event = NULL, *same = NULL;
    OK(shmq_event_create(name, NULL, &event));
    OK(shmq_event_open(name, NULL, SHMQ_TRY, &same));
    bool is_set = true;
    OK(shmq_event_is_set(same, &is_set));
    CHECK(!is_set);
    EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_event_wait(same, SHMQ_TRY));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_event_wait(same, shmq_after(MS)));
    OK(shmq_event_set(event));
    OK(shmq_event_wait(same, SHMQ_FOREVER));
    OK(shmq_event_clear(same));
    OK(shmq_event_is_set(event, &is_set));
    CHECK(!is_set);
    const char *its_name = NULL;
    OK(shmq_event_name(same, &its_name));
    CHECK(strcmp(name, its_name) == 0);
    shmq_semaphore *semaphore = NULL;
    EXPECT(SHMQ_ERROR_MISMATCH, shmq_semaphore_open(name, NULL, SHMQ_TRY, &semaphore));
    CHECK(shmq_error_wanted() && shmq_error_found());
    OK(shmq_event_unlink(name, NULL));
    EXPECT(SHMQ_ERROR_NOT_FOUND, shmq_event_open(name, NULL, SHMQ_TRY, &same));
    OK(shmq_event_free(event));
    OK(shmq_event_free(same));
}

static void semaphores(void) {
    shmq_semaphore *semaphore = NULL;
    shmq_primitive_options options = {0};
    options.size = sizeof options;
    options.flags = SHMQ_BOUNDED;
    OK(shmq_semaphore_create(NULL, 2, &options, &semaphore));
    uint64_t permits = 0;
    OK(shmq_semaphore_value(semaphore, &permits));
    CHECK(permits == 2);
    EXPECT(SHMQ_ERROR_TOO_MANY_RELEASES, shmq_semaphore_release(semaphore, 1));
    CHECK(shmq_error_maximum() == 2);
    OK(shmq_semaphore_acquire(semaphore, SHMQ_TRY));
    shmq_permit *permit = NULL, *second = NULL;
    OK(shmq_semaphore_permit(semaphore, SHMQ_FOREVER, &permit));
    EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_semaphore_acquire(semaphore, SHMQ_TRY));
    EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_semaphore_permit(semaphore, SHMQ_TRY, &second));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_semaphore_acquire(semaphore, shmq_after(MS)));
    OK(shmq_permit_give_back(permit));
    EXPECT(SHMQ_ERROR_HANDLE, shmq_permit_give_back(permit));
    OK(shmq_semaphore_release(semaphore, 1));
    OK(shmq_semaphore_value(semaphore, &permits));
    CHECK(permits == 2);
    /* A permit keeps the semaphore. */
    OK(shmq_semaphore_permit(semaphore, SHMQ_TRY, &permit));
    OK(shmq_semaphore_free(semaphore));
    OK(shmq_permit_give_back(permit));
}

typedef struct {
    uint64_t from, to;
} accounts;

static void mutexes(void) {
    const char *name = name_of("mutex");
    shmq_primitive_options options = {0};
    options.size = sizeof options;
    options.data_size = sizeof(accounts);
    options.structure = "{from@0: u64, to@8: u64}";
    accounts first = {70, 30}, *data = NULL;
    shmq_mutex *mutex = NULL, *same = NULL;
    OK(shmq_mutex_create(name, &first, &options, &mutex));
    OK(shmq_mutex_open(name, &options, SHMQ_TRY, &same));
    EXPECT(SHMQ_ERROR_NOT_LOCKED, shmq_mutex_unlock(mutex));
    OK(shmq_mutex_lock(mutex, SHMQ_TRY, (void **)&data));
    CHECK(data->from == 70 && data->to == 30);
    data->from -= 5, data->to += 5;
    EXPECT(SHMQ_ERROR_WOULD_BLOCK, shmq_mutex_lock(same, SHMQ_TRY, (void **)&data));
    EXPECT(SHMQ_ERROR_TIMEOUT, shmq_mutex_lock(same, shmq_after(MS), NULL));
    EXPECT(SHMQ_ERROR_NOT_LOCKED, shmq_mutex_unlock(same));
    OK(shmq_mutex_unlock(mutex));
    OK(shmq_mutex_lock(same, SHMQ_FOREVER, (void **)&data));
    CHECK(data->from == 65 && data->to == 35);
    OK(shmq_mutex_unlock(same));
    shmq_mutex *other = NULL;
    options.structure = "{from@0: i64, to@8: u64}";
    EXPECT(SHMQ_ERROR_MISMATCH, shmq_mutex_open(name, &options, SHMQ_TRY, &other));
    CHECK(strstr(shmq_error_message(), "from"));
    OK(shmq_mutex_free(mutex));
    OK(shmq_mutex_free(same));
    /* Without data. */
    OK(shmq_mutex_create(NULL, NULL, NULL, &mutex));
    OK(shmq_mutex_lock(mutex, SHMQ_TRY, NULL));
    OK(shmq_mutex_free(mutex)); /* unlocks */
}

int main(void) {
    begin();
    events();
    semaphores();
    mutexes();
    return 0;
}
