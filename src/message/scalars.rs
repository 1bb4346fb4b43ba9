//! Messages of the language's own types: numbers, `bool`, `char`, and arrays of messages.

use super::sealed::ByValue;
use super::{Message, Plain};
use crate::message::schema::{Form, Layout};
use std::marker::PhantomData;
use std::num::{NonZero, Saturating, Wrapping};

/// The name of a scalar in schemas; the suffix marks big-endian order.
macro_rules! scalar {
    ($scalar:ty, $name:literal) => {
        Form::Scalar(if cfg!(target_endian = "big") && size_of::<$scalar>() > 1 { concat!($name, "be") } else { $name })
    };
}

macro_rules! numbers {
    ($($number:ty = $name:literal),*) => {$(
        // SAFETY: a number has no padding, no pointer and no cell, and any bits are one.
        unsafe impl Message for $number {
            type Owned = $number;
            type Way = ByValue;
            const LAYOUT: &'static Layout = &Layout {
                bytes: size_of::<$number>(),
                align: align_of::<$number>(),
                is_checked: false,
                form: scalar!($number, $name),
            };

            #[inline(always)]
            unsafe fn is_value(_: *const u8) -> bool {
                true
            }
        }

        // SAFETY: any bits are a number.
        unsafe impl Plain for $number {}
    )*};
}

macro_rules! integers {
    ($($number:ty = $name:literal),*) => {
        numbers! { $($number = $name),* }
        $(
            // SAFETY: it has the layout of the number; `is_value` rejects zero, the only bits that
            // are no value.
            unsafe impl Message for NonZero<$number> {
                type Owned = NonZero<$number>;
                type Way = ByValue;
                const LAYOUT: &'static Layout = &Layout { is_checked: true, form: scalar!($number, $name), ..*<$number>::LAYOUT };

                #[inline(always)]
                unsafe fn is_value(bytes: *const u8) -> bool {
                    // SAFETY: the caller lends `LAYOUT.bytes` bytes, which is the size of the
                    // number.
                    unsafe { bytes.cast::<$number>().read_unaligned() != 0 }
                }
            }

            // SAFETY: it has the layout of the number, and zero is `None`.
            unsafe impl Message for Option<NonZero<$number>> {
                type Owned = Option<NonZero<$number>>;
                type Way = ByValue;
                const LAYOUT: &'static Layout = <$number>::LAYOUT;

                #[inline(always)]
                unsafe fn is_value(_: *const u8) -> bool {
                    true
                }
            }

            // SAFETY: any bits are a number or `None`.
            unsafe impl Plain for Option<NonZero<$number>> {}
        )*
    };
}

integers! {
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64", u128 = "u128",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64", i128 = "i128"
}
numbers! { f32 = "f32", f64 = "f64" }

#[cfg(target_pointer_width = "64")]
integers! { usize = "u64", isize = "i64" }
#[cfg(target_pointer_width = "32")]
integers! { usize = "u32", isize = "i32" }

// SAFETY: one byte without padding; `is_value` rejects all bits but those of `false` and `true`.
unsafe impl Message for bool {
    type Owned = bool;
    type Way = ByValue;
    const LAYOUT: &'static Layout =
        &Layout { bytes: size_of::<bool>(), align: align_of::<bool>(), is_checked: true, form: scalar!(bool, "bool") };

    #[inline(always)]
    unsafe fn is_value(bytes: *const u8) -> bool {
        // SAFETY: the caller lends `LAYOUT.bytes` bytes: one.
        unsafe { bytes.read() <= 1 }
    }
}

// SAFETY: four bytes without padding; `is_value` rejects what is no Unicode scalar value.
unsafe impl Message for char {
    type Owned = char;
    type Way = ByValue;
    const LAYOUT: &'static Layout =
        &Layout { bytes: size_of::<char>(), align: align_of::<char>(), is_checked: true, form: scalar!(char, "char") };

    #[inline(always)]
    unsafe fn is_value(bytes: *const u8) -> bool {
        // SAFETY: the caller lends `LAYOUT.bytes` bytes: four.
        char::from_u32(unsafe { bytes.cast::<u32>().read_unaligned() }).is_some()
    }
}

// SAFETY: the elements follow each other without padding, and each is a message.
unsafe impl<T: Message, const N: usize> Message for [T; N] {
    type Owned = [T; N];
    type Way = ByValue;
    const LAYOUT: &'static Layout = &Layout {
        bytes: size_of::<[T; N]>(),
        align: align_of::<[T; N]>(),
        is_checked: T::LAYOUT.is_checked && N > 0,
        form: Form::Array(T::LAYOUT, N),
    };

    #[inline(always)]
    unsafe fn is_value(bytes: *const u8) -> bool {
        // SAFETY: the caller lends the bytes of N elements, so `at` is inside them.
        !Self::LAYOUT.is_checked || (0..N).all(|at| unsafe { T::is_value(bytes.add(at * size_of::<T>())) })
    }
}

// SAFETY: any bits are N elements (`T` is Plain).
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

macro_rules! nothings {
    ($([$($parameter:tt)*] $nothing:ty),*) => {$(
        // SAFETY: it has no bytes, so nothing is uninitialised.
        unsafe impl<$($parameter)*> Message for $nothing {
            type Owned = $nothing;
            type Way = ByValue;
            const LAYOUT: &'static Layout = &Layout { bytes: 0, align: 1, is_checked: false, form: Form::Struct(&[]) };

            #[inline(always)]
            unsafe fn is_value(_: *const u8) -> bool {
                true
            }
        }

        // SAFETY: it has no bytes, and one value.
        unsafe impl<$($parameter)*> Plain for $nothing {}
    )*};
}

nothings! { [] (), [T: ?Sized] PhantomData<T> }

macro_rules! wrappers {
    ($($wrapper:ident),*) => {$(
        // SAFETY: it is `repr(transparent)`, so points 1 to 3 of `Message` hold as they do for T.
        unsafe impl<T: Message> Message for $wrapper<T> {
            type Owned = $wrapper<T>;
            type Way = ByValue;
            const LAYOUT: &'static Layout = T::LAYOUT;

            #[inline(always)]
            unsafe fn is_value(bytes: *const u8) -> bool {
                // SAFETY: the caller lends the bytes of a wrapper, which are those of a T
                // (`repr(transparent)`).
                unsafe { T::is_value(bytes) }
            }
        }

        // SAFETY: `repr(transparent)`, and any bits are a T (Plain).
        unsafe impl<T: Plain> Plain for $wrapper<T> {}
    )*};
}

wrappers! { Wrapping, Saturating }

#[cfg(test)]
mod tests {
    use super::*;

    fn is_value<T: Message>(bits: u32) -> bool {
        assert_eq!((T::LAYOUT.bytes, T::LAYOUT.align), (size_of::<T>(), align_of::<T>()));
        // SAFETY: no T of these tests has more bytes than `bits`.
        unsafe { T::is_value((&raw const bits).cast()) }
    }

    #[test]
    fn bits_that_are_no_value_are_found() {
        for bits in [0, 1, 2, 0x80, 0xff] {
            assert_eq!(is_value::<bool>(bits), bits < 2, "{bits}");
            assert_eq!(is_value::<NonZero<u8>>(bits), bits != 0, "{bits}");
            assert!(is_value::<Option<NonZero<u8>>>(bits) && is_value::<u8>(bits) && is_value::<()>(bits));
            assert_eq!(is_value::<[bool; 2]>(bits << 8), bits < 2, "{bits}");
            assert_eq!(is_value::<Wrapping<[bool; 4]>>(bits << 24), bits < 2, "{bits}");
            assert!(is_value::<[bool; 0]>(bits));
        }
        for bits in [0, 0xd7ff, 0xd800, 0xdfff, 0xe000, 0x10_ffff, 0x11_0000, u32::MAX] {
            assert_eq!(is_value::<char>(bits), char::from_u32(bits).is_some(), "{bits:#x}");
        }
    }

    #[test]
    fn schemas_of_the_languages_own_types() {
        assert_eq!(<[[u8; 3]; 2]>::schema(), "[[u8; 3]; 2]");
        assert_eq!(<[u8]>::schema(), "u8");
        assert_eq!(<PhantomData<str>>::schema(), "{}");
        assert_eq!(<Wrapping<i8>>::schema(), "i8");
        if cfg!(target_endian = "little") {
            assert_eq!(<[Option<NonZero<usize>>; 9]>::schema(), if usize::BITS == 64 { "[u64; 9]" } else { "[u32; 9]" });
            assert_eq!(<char>::schema(), "char");
        }
    }
}
