/* shmq_schema.h: the fields of a struct as text, which programs in C, C++, Rust and Python compare.
 *
 *     typedef struct tick { double price; uint32_t sizes[2]; uint64_t volume; } tick;
 *     SHMQ_SCHEMA(tick, (f64, price), (u32, sizes, 2), (u64, volume));
 *
 * makes `shmq_schema_tick`, an array of char with the text
 * "{price@0: f64, sizes@8: [u32; 2], volume@16: u64}": what `#[shmq::message] struct Tick` has in Rust and
 * a StructQueue of that dtype in Python. Give it to `options.structure`: a process with another struct is
 * refused, with both texts. `shmq schema NAME --c` prints such a struct from a live segment.
 *
 * What stands there is checked when the program is compiled: the list has every field, in order and with its
 * type, and the fields cover `sizeof`: there is no padding, whose bytes would travel unwritten.
 *
 * A field is (type, name), (type, name, count) for an array, or (type, name, rows, columns) for an array of
 * arrays. A type is u8 u16 u32 u64 u128 i8 .. i128 f32 f64 bool, char (Rust's: 4 bytes, a Unicode scalar
 * value), one of these with `be` behind it if its bytes are big-endian (u16be; bytes are not swapped), a
 * struct that has a SHMQ_SCHEMA before this one, or an enum:
 *
 *     SHMQ_SCHEMA_ENUM(side, u8, "Buy=1, Sell=2");     (side, bid)     the field is a uint8_t
 *
 * The struct is called by one word (a typedef), at file scope; in C++ in the namespace of the struct. Up to
 * 48 fields. The text is written before `main`, in each source file that has the macro; it needs no library.
 * GCC and clang, C99 and later, C++11 and later.
 */
#ifndef SHMQ_SCHEMA_H
#define SHMQ_SCHEMA_H

#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <type_traits>
#else
#include <stdbool.h>
#endif

/* A field as the writer of the text takes it. Not for programs. */
typedef struct shmq_schema_field {
    const char *name; /* NULL: a type that is written as `text` */
    const char *text;
    const struct shmq_schema_field *type;
    size_t fields; /* of `type` */
    size_t offset;
    size_t rows;    /* 0: no array */
    size_t columns; /* 0: no array of arrays */
} shmq_schema_field;

/* Each type NAME has shmq_type_NAME, shmq_fields_NAME (a table), shmq_count_NAME (its rows) and
 * shmq_room_NAME (bytes of its text, at most). */
#define SHMQ_SCHEMA_SCALAR_(name, word, c_type, room) \
    __extension__ typedef c_type shmq_type_##name; \
    enum { shmq_count_##name = 1, shmq_room_##name = room }; \
    __attribute__((unused)) static const shmq_schema_field shmq_fields_##name[1] = {{0, word, 0, 0, 0, 0, 0}}

SHMQ_SCHEMA_SCALAR_(u8, "u8", uint8_t, 8);
SHMQ_SCHEMA_SCALAR_(u16, "u16", uint16_t, 8);
SHMQ_SCHEMA_SCALAR_(u32, "u32", uint32_t, 8);
SHMQ_SCHEMA_SCALAR_(u64, "u64", uint64_t, 8);
SHMQ_SCHEMA_SCALAR_(i8, "i8", int8_t, 8);
SHMQ_SCHEMA_SCALAR_(i16, "i16", int16_t, 8);
SHMQ_SCHEMA_SCALAR_(i32, "i32", int32_t, 8);
SHMQ_SCHEMA_SCALAR_(i64, "i64", int64_t, 8);
SHMQ_SCHEMA_SCALAR_(f32, "f32", float, 8);
SHMQ_SCHEMA_SCALAR_(f64, "f64", double, 8);
SHMQ_SCHEMA_SCALAR_(char, "char", uint32_t, 8);
SHMQ_SCHEMA_SCALAR_(u16be, "u16be", uint16_t, 8);
SHMQ_SCHEMA_SCALAR_(u32be, "u32be", uint32_t, 8);
SHMQ_SCHEMA_SCALAR_(u64be, "u64be", uint64_t, 8);
SHMQ_SCHEMA_SCALAR_(i16be, "i16be", int16_t, 8);
SHMQ_SCHEMA_SCALAR_(i32be, "i32be", int32_t, 8);
SHMQ_SCHEMA_SCALAR_(i64be, "i64be", int64_t, 8);
SHMQ_SCHEMA_SCALAR_(f32be, "f32be", float, 8);
SHMQ_SCHEMA_SCALAR_(f64be, "f64be", double, 8);
SHMQ_SCHEMA_SCALAR_(u128, "u128", unsigned __int128, 8);
SHMQ_SCHEMA_SCALAR_(i128, "i128", __int128, 8);
#ifdef __cplusplus
SHMQ_SCHEMA_SCALAR_(bool, "bool", bool, 8);
#else
/* <stdbool.h> of C makes `bool` a macro. */
SHMQ_SCHEMA_SCALAR_(_Bool, "bool", _Bool, 8);
SHMQ_SCHEMA_SCALAR_(bool, "bool", _Bool, 8);
#endif

/* An enum whose numbers are of that scalar type; `variants` as in "Buy=1, Sell=2". */
#define SHMQ_SCHEMA_ENUM(name, scalar, variants) \
    typedef shmq_type_##scalar shmq_type_##name; \
    enum { shmq_count_##name = 1, shmq_room_##name = sizeof("enum " #scalar " {" variants "}") }; \
    __attribute__((unused)) static const shmq_schema_field shmq_fields_##name[1] = { \
        {0, "enum " #scalar " {" variants "}", 0, 0, 0, 0, 0}}

/* The writer */

__attribute__((unused)) static char *shmq_schema_put_text_(char *at, const char *text) {
    while (*text) {
        *at++ = *text++;
    }
    return at;
}

__attribute__((unused)) static char *shmq_schema_put_number_(char *at, size_t number) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

__attribute__((unused)) static char *shmq_schema_put_type_(char *at, const shmq_schema_field *fields, size_t count) {
    size_t i;
    if (!fields[0].name) {
        return shmq_schema_put_text_(at, fields[0].text);
    }
    *at++ = '{';
    for (i = 0; i < count; i++) {
        const shmq_schema_field *field = &fields[i];
        at = shmq_schema_put_text_(at, i ? ", " : "");
        at = shmq_schema_put_text_(at, field->name);
        *at++ = '@';
        at = shmq_schema_put_number_(at, field->offset);
        at = shmq_schema_put_text_(at, field->columns ? ": [[" : field->rows ? ": [" : ": ");
        at = shmq_schema_put_type_(at, field->type, field->fields);
        if (field->columns) {
            at = shmq_schema_put_text_(at, "; ");
            at = shmq_schema_put_number_(at, field->columns);
            *at++ = ']';
        }
        if (field->rows) {
            at = shmq_schema_put_text_(at, "; ");
            at = shmq_schema_put_number_(at, field->rows);
            *at++ = ']';
        }
    }
    *at++ = '}';
    return at;
}

/* Checks, at compile time */

#ifdef __cplusplus
extern "C++" {
namespace shmq_schema_detail {
template <typename T> struct bare { using type = T; };
template <typename T, size_t N> struct bare<T[N]> { using type = typename bare<T>::type; };
template <typename A, typename B> constexpr bool same_kind() {
    using a = typename bare<A>::type;
    using b = typename bare<B>::type;
    return sizeof(A) == sizeof(B) && sizeof(a) == sizeof(b) && std::rank<A>::value == std::rank<B>::value &&
           std::extent<A>::value == std::extent<B>::value && std::extent<A, 1>::value == std::extent<B, 1>::value &&
           (std::is_same<a, b>::value ||
            (sizeof(a) == 1 && (std::is_integral<a>::value || std::is_enum<a>::value) && !std::is_same<a, bool>::value &&
             !std::is_same<b, bool>::value) ||
            ((std::is_enum<a>::value || std::is_integral<a>::value) && std::is_integral<b>::value &&
             !std::is_same<a, bool>::value && !std::is_same<b, bool>::value &&
             (std::is_enum<a>::value || std::is_signed<a>::value == std::is_signed<b>::value)));
}
} // namespace shmq_schema_detail
}
#define SHMQ_SCHEMA_SAME_(a, b) shmq_schema_detail::same_kind<a, b>()
#define SHMQ_SCHEMA_ASSERT_(what, text) static_assert(what, text)
#define SHMQ_SCHEMA_TYPEOF_(s, field) decltype(static_cast<s *>(nullptr)->field)
#else
/* Compatible; or one byte each; or of one size where C has two names for it (`long`, `long long`, an enum). */
#define SHMQ_SCHEMA_IS_(a, t) (__builtin_types_compatible_p(a, t) || __builtin_types_compatible_p(a, t[]))
#define SHMQ_SCHEMA_IS_BYTE_(a) (SHMQ_SCHEMA_IS_(a, char) || SHMQ_SCHEMA_IS_(a, signed char) || SHMQ_SCHEMA_IS_(a, unsigned char))
#define SHMQ_SCHEMA_SAME_(a, b) \
    (sizeof(a) == sizeof(b) && \
     (__builtin_types_compatible_p(a, b) || (SHMQ_SCHEMA_IS_BYTE_(a) && SHMQ_SCHEMA_IS_BYTE_(b)) || \
      (SHMQ_SCHEMA_IS_(a, long long) && SHMQ_SCHEMA_IS_(b, long)) || \
      (SHMQ_SCHEMA_IS_(a, unsigned long long) && SHMQ_SCHEMA_IS_(b, unsigned long))))
#define SHMQ_SCHEMA_ASSERT_(what, text) __extension__ _Static_assert(what, text)
#define SHMQ_SCHEMA_TYPEOF_(s, field) __typeof__(((s *)0)->field)
#endif

/* Rows: (type, name[, rows[, columns]]) */
#define SHMQ_SCHEMA_PICK_(a, b, c, d, chosen, ...) chosen
#define SHMQ_SCHEMA_UNPACK_(...) __VA_ARGS__
#define SHMQ_SCHEMA_CALL_(macro, arguments) macro arguments
#define SHMQ_SCHEMA_BY_COUNT_(m2, m3, m4, ...) SHMQ_SCHEMA_PICK_(__VA_ARGS__, m4, m3, m2, m2, m2)

#define SHMQ_SCHEMA_MIRROR_(s, ...) SHMQ_SCHEMA_BY_COUNT_(SHMQ_SCHEMA_MIRROR2_, SHMQ_SCHEMA_MIRROR3_, SHMQ_SCHEMA_MIRROR4_, __VA_ARGS__)(s, __VA_ARGS__)
#define SHMQ_SCHEMA_MIRROR2_(s, t, f) shmq_type_##t f;
#define SHMQ_SCHEMA_MIRROR3_(s, t, f, n) shmq_type_##t f[n];
#define SHMQ_SCHEMA_MIRROR4_(s, t, f, n, m) shmq_type_##t f[n][m];

#define SHMQ_SCHEMA_ROW_(s, ...) SHMQ_SCHEMA_BY_COUNT_(SHMQ_SCHEMA_ROW2_, SHMQ_SCHEMA_ROW3_, SHMQ_SCHEMA_ROW4_, __VA_ARGS__)(s, __VA_ARGS__)
#define SHMQ_SCHEMA_ROW2_(s, t, f) SHMQ_SCHEMA_ROW4_(s, t, f, 0, 0)
#define SHMQ_SCHEMA_ROW3_(s, t, f, n) SHMQ_SCHEMA_ROW4_(s, t, f, n, 0)
#define SHMQ_SCHEMA_ROW4_(s, t, f, n, m) {#f, 0, shmq_fields_##t, shmq_count_##t, offsetof(s, f), n, m},

#define SHMQ_SCHEMA_ROOM_(s, ...) SHMQ_SCHEMA_BY_COUNT_(SHMQ_SCHEMA_ROOM2_, SHMQ_SCHEMA_ROOM3_, SHMQ_SCHEMA_ROOM4_, __VA_ARGS__)(s, __VA_ARGS__)
#define SHMQ_SCHEMA_ROOM2_(s, t, f) +(int)sizeof(#f) + (int)shmq_room_##t + 32
#define SHMQ_SCHEMA_ROOM3_(s, t, f, n) SHMQ_SCHEMA_ROOM2_(s, t, f) + 32
#define SHMQ_SCHEMA_ROOM4_(s, t, f, n, m) SHMQ_SCHEMA_ROOM2_(s, t, f) + 64

#define SHMQ_SCHEMA_COUNT_ONE_(s, ...) +1

#define SHMQ_SCHEMA_CHECK_(s, ...) SHMQ_SCHEMA_BY_COUNT_(SHMQ_SCHEMA_CHECK2_, SHMQ_SCHEMA_CHECK3_, SHMQ_SCHEMA_CHECK4_, __VA_ARGS__)(s, __VA_ARGS__)
#define SHMQ_SCHEMA_CHECK2_(s, t, f) SHMQ_SCHEMA_CHECK4_(s, t, f, 0, 0)
#define SHMQ_SCHEMA_CHECK3_(s, t, f, n) SHMQ_SCHEMA_CHECK4_(s, t, f, n, 0)
#define SHMQ_SCHEMA_CHECK4_(s, t, f, n, m) \
    SHMQ_SCHEMA_ASSERT_(sizeof(((s *)0)->f) == sizeof(((struct shmq_mirror_##s *)0)->f), \
                        "shmq: the field " #s "." #f " has another size than " #t " in the list of its fields"); \
    SHMQ_SCHEMA_ASSERT_(SHMQ_SCHEMA_SAME_(SHMQ_SCHEMA_TYPEOF_(s, f), SHMQ_SCHEMA_TYPEOF_(struct shmq_mirror_##s, f)), \
                        "shmq: the field " #s "." #f " has another type than " #t " in the list of its fields"); \
    SHMQ_SCHEMA_ASSERT_(offsetof(s, f) == offsetof(struct shmq_mirror_##s, f), \
                        "shmq: there is padding before " #s "." #f ", or the list leaves a field out before it: " \
                        "sort the fields by falling alignment, or fill the gap with a field of bytes");

#define SHMQ_SCHEMA(s, ...) \
    typedef s shmq_type_##s; \
    struct shmq_mirror_##s { \
        SHMQ_SCHEMA_EACH_(SHMQ_SCHEMA_MIRROR_, s, __VA_ARGS__) \
    } __attribute__((packed)); \
    SHMQ_SCHEMA_EACH_(SHMQ_SCHEMA_CHECK_, s, __VA_ARGS__) \
    SHMQ_SCHEMA_ASSERT_(sizeof(s) == sizeof(struct shmq_mirror_##s), \
                        "shmq: the fields do not cover " #s ": there is padding at its end, or the list leaves its last field out"); \
    enum { \
        shmq_count_##s = 0 SHMQ_SCHEMA_EACH_(SHMQ_SCHEMA_COUNT_ONE_, s, __VA_ARGS__), \
        shmq_room_##s = 4 SHMQ_SCHEMA_EACH_(SHMQ_SCHEMA_ROOM_, s, __VA_ARGS__) \
    }; \
    __attribute__((unused)) static const shmq_schema_field shmq_fields_##s[shmq_count_##s] = { \
        SHMQ_SCHEMA_EACH_(SHMQ_SCHEMA_ROW_, s, __VA_ARGS__)}; \
    __attribute__((unused)) static char shmq_schema_##s[shmq_room_##s]; \
    __attribute__((constructor)) static void shmq_schema_write_##s(void) { \
        *shmq_schema_put_type_(shmq_schema_##s, shmq_fields_##s, shmq_count_##s) = 0; \
    } \
    SHMQ_SCHEMA_OF_(s) \
    typedef s shmq_schema_done_##s

/* In C++, so that a template finds the text of a type (by its namespace). */
#ifdef __cplusplus
#define SHMQ_SCHEMA_OF_(s) \
    __attribute__((unused)) static inline const char *shmq_schema_of(const s *) { return shmq_schema_##s; } \
    __attribute__((unused)) static inline const char *shmq_name_of(const s *) { return #s; }
#else
#define SHMQ_SCHEMA_OF_(s)
#endif

#define SHMQ_SCHEMA_EACH_(macro, s, ...) \
    SHMQ_SCHEMA_NTH_(__VA_ARGS__, SHMQ_SCHEMA_E48_, SHMQ_SCHEMA_E47_, SHMQ_SCHEMA_E46_, SHMQ_SCHEMA_E45_, SHMQ_SCHEMA_E44_, SHMQ_SCHEMA_E43_, SHMQ_SCHEMA_E42_, SHMQ_SCHEMA_E41_, SHMQ_SCHEMA_E40_, SHMQ_SCHEMA_E39_, SHMQ_SCHEMA_E38_, SHMQ_SCHEMA_E37_, SHMQ_SCHEMA_E36_, SHMQ_SCHEMA_E35_, SHMQ_SCHEMA_E34_, SHMQ_SCHEMA_E33_, SHMQ_SCHEMA_E32_, SHMQ_SCHEMA_E31_, SHMQ_SCHEMA_E30_, SHMQ_SCHEMA_E29_, SHMQ_SCHEMA_E28_, SHMQ_SCHEMA_E27_, SHMQ_SCHEMA_E26_, SHMQ_SCHEMA_E25_, SHMQ_SCHEMA_E24_, SHMQ_SCHEMA_E23_, SHMQ_SCHEMA_E22_, SHMQ_SCHEMA_E21_, SHMQ_SCHEMA_E20_, SHMQ_SCHEMA_E19_, SHMQ_SCHEMA_E18_, SHMQ_SCHEMA_E17_, SHMQ_SCHEMA_E16_, SHMQ_SCHEMA_E15_, SHMQ_SCHEMA_E14_, SHMQ_SCHEMA_E13_, SHMQ_SCHEMA_E12_, SHMQ_SCHEMA_E11_, SHMQ_SCHEMA_E10_, SHMQ_SCHEMA_E9_, SHMQ_SCHEMA_E8_, SHMQ_SCHEMA_E7_, SHMQ_SCHEMA_E6_, SHMQ_SCHEMA_E5_, SHMQ_SCHEMA_E4_, SHMQ_SCHEMA_E3_, SHMQ_SCHEMA_E2_, SHMQ_SCHEMA_E1_, 0)(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_NTH_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39, a40, a41, a42, a43, a44, a45, a46, a47, a48, chosen, ...) chosen
#define SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_CALL_(macro, (s, SHMQ_SCHEMA_UNPACK_ x))
#define SHMQ_SCHEMA_E1_(macro, s, x) SHMQ_SCHEMA_ONE_(macro, s, x)
#define SHMQ_SCHEMA_E2_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E1_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E3_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E2_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E4_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E3_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E5_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E4_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E6_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E5_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E7_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E6_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E8_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E7_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E9_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E8_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E10_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E9_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E11_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E10_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E12_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E11_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E13_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E12_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E14_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E13_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E15_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E14_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E16_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E15_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E17_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E16_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E18_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E17_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E19_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E18_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E20_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E19_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E21_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E20_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E22_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E21_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E23_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E22_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E24_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E23_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E25_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E24_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E26_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E25_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E27_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E26_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E28_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E27_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E29_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E28_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E30_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E29_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E31_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E30_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E32_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E31_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E33_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E32_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E34_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E33_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E35_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E34_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E36_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E35_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E37_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E36_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E38_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E37_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E39_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E38_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E40_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E39_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E41_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E40_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E42_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E41_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E43_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E42_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E44_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E43_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E45_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E44_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E46_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E45_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E47_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E46_(macro, s, __VA_ARGS__)
#define SHMQ_SCHEMA_E48_(macro, s, x, ...) SHMQ_SCHEMA_ONE_(macro, s, x) SHMQ_SCHEMA_E47_(macro, s, __VA_ARGS__)

#endif
