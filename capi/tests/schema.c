/* SHMQ_SCHEMA: the text is what Rust has of the same struct, and what cannot travel does not compile. */
#include "check.h"
#include "shmq_schema.h"

typedef struct leg {
    int64_t id;
    char venue[8];
} leg;
SHMQ_SCHEMA(leg, (i64, id), (u8, venue, 8));

SHMQ_SCHEMA_ENUM(side, u8, "Buy=1, Sell=2");

typedef struct tick {
    double price;
    uint32_t sizes[2];
    leg legs[2];
    uint16_t grid[2][3];
    uint8_t side;
    bool live;
    uint16_t port;
    unsigned long long count;
    float ratio;
    int32_t code;
} tick;
SHMQ_SCHEMA(tick, (f64, price), (u32, sizes, 2), (leg, legs, 2), (u16, grid, 2, 3), (side, side), (bool, live), (u16be, port),
            (u64, count), (f32, ratio), (i32, code));

#define EXPECTED                                                                                     \
    "{price@0: f64, sizes@8: [u32; 2], legs@16: [{id@0: i64, venue@8: [u8; 8]}; 2], grid@48: [[u16; 3]; 2], " \
    "side@60: enum u8 {Buy=1, Sell=2}, live@61: bool, port@62: u16be, count@64: u64, ratio@72: f32, code@76: i32}"

static void the_text(void) {
    CHECK(strcmp(shmq_schema_tick, EXPECTED) == 0);
    CHECK(sizeof shmq_schema_tick > sizeof EXPECTED);
}

static void a_mismatch_says_both_schemas(void) {
    const char *name = name_of("schema");
    shmq_queue_options options = queue_of(sizeof(tick), _Alignof(tick), 4);
    options.structure = shmq_schema_tick;
    shmq_queue *queue = NULL, *other = NULL;
    OK(shmq_queue_create(name, &options, &queue));
    OK(shmq_queue_open(name, &options, SHMQ_TRY, &other));
    OK(shmq_queue_free(other));
    options.message_size = sizeof(leg);
    options.message_align = _Alignof(leg);
    options.structure = shmq_schema_leg;
    EXPECT(SHMQ_ERROR_MISMATCH, shmq_queue_open(name, &options, SHMQ_TRY, &other));
    CHECK(strstr(shmq_error_wanted(), "{id@0: i64, venue@8: [u8; 8]}"));
    CHECK(strstr(shmq_error_found(), EXPECTED));
    CHECK(strstr(shmq_error_message(), EXPECTED) && strstr(shmq_error_message(), shmq_schema_leg));
    OK(shmq_queue_free(queue));
}

/* Compiles a program, and finds the words in what the compiler says against it. */
static void is_refused_by(const char *compiler, const char *source, const char *words) {
    char file[64], command[512], line[1024];
    snprintf(file, sizeof file, "/tmp/shmq-schema-%ld.c", (long)getpid());
    FILE *out = fopen(file, "w");
    CHECK(out);
    fprintf(out, "#include \"shmq_schema.h\"\n%s\n", source);
    fclose(out);
    snprintf(command, sizeof command, "%s -Iinclude -fsyntax-only %s 2>&1", compiler, file);
    FILE *said = popen(command, "r");
    CHECK(said);
    int is_found = words == NULL;
    while (fgets(line, sizeof line, said)) {
        is_found |= words && strstr(line, words) != NULL;
    }
    int status = pclose(said);
    unlink(file);
    if (!is_found || (status == 0) != (words == NULL)) {
        fprintf(stderr, "%s\n%s: %s, status %d\n", source, compiler, words ? words : "compiles", status);
        abort();
    }
}

/* In C and in C++. */
static void is_refused(const char *source, const char *words) {
    is_refused_by("${CC:-cc}", source, words);
    is_refused_by("${CXX:-c++} -std=c++17 -x c++", source, words);
}

static void what_cannot_travel_does_not_compile(void) {
    if (access("include/shmq_schema.h", R_OK) != 0) {
        puts("skipped: the tests run outside of capi/");
        return;
    }
    is_refused("typedef struct a { uint32_t x; uint32_t y; } a; SHMQ_SCHEMA(a, (u32, x), (u32, y));", NULL);
    is_refused("typedef struct a { uint32_t x; uint64_t y; } a; SHMQ_SCHEMA(a, (u32, x), (u64, y));", "there is padding before a.y");
    is_refused("typedef struct a { uint64_t x; uint32_t y; } a; SHMQ_SCHEMA(a, (u64, x), (u32, y));", "the fields do not cover a");
    is_refused("typedef struct a { uint32_t x; uint32_t y; } a; SHMQ_SCHEMA(a, (u32, x));", "the fields do not cover a");
    is_refused("typedef struct a { uint32_t x; uint32_t y; } a; SHMQ_SCHEMA(a, (u32, y), (u32, x));", "the list leaves a field out");
    is_refused("typedef struct a { float x; } a; SHMQ_SCHEMA(a, (u32, x));", "a.x has another type than u32");
    is_refused("typedef struct a { int32_t x; } a; SHMQ_SCHEMA(a, (u32, x));", "a.x has another type than u32");
    is_refused("typedef struct a { uint16_t x; } a; SHMQ_SCHEMA(a, (u32, x));", "a.x has another size than u32");
    is_refused("typedef struct a { uint32_t x[3]; } a; SHMQ_SCHEMA(a, (u32, x, 2));", "a.x has another size than u32");
    is_refused("typedef struct a { uint32_t x[6]; } a; SHMQ_SCHEMA(a, (u32, x, 3, 2));", "a.x has another type than u32");
    is_refused("typedef struct a { uint32_t x[2][3]; } a; SHMQ_SCHEMA(a, (u32, x, 3, 2));", "a.x has another type than u32");
    is_refused("typedef struct a { uint32_t x[2][3]; } a; SHMQ_SCHEMA(a, (u32, x, 2, 3));", NULL);
}

int main(void) {
    begin();
    the_text();
    a_mismatch_says_both_schemas();
    what_cannot_travel_does_not_compile();
}
