//! What may be a message: plain data, one value or a slice of values.

#[cfg(feature = "object")]
pub(crate) mod bytewise;
pub(crate) mod copy;
mod in_place;
mod scalars;
pub(crate) mod schema;

pub(crate) use in_place::assert_plain;

use crate::message::schema::Layout;
pub(crate) use sealed::{Visitor, Way};
use std::ptr;

/// What may be sent through a [`Queue`](crate::Queue): plain data whose bytes are all of it,
/// without pointers or padding.
///
/// Numbers, `bool`, `char`, `NonZero`, arrays of messages, and each struct and enum with
#[cfg_attr(feature = "derive", doc = "[`#[shmq::message]`](macro@crate::message) on it.")]
#[cfg_attr(not(feature = "derive"), doc = "`#[shmq::message]` on it (feature `derive`).")]
/// Slices `[X]` are messages of varying length, where `X` is [`Plain`] as well.
///
/// A message is copied byte by byte, so nothing in it may point to memory of one process. Types
/// with pointers in them (`String`, `Vec`, `Box`, references) are encoded and sent through an
/// `ObjectQueue`.
///
#[cfg_attr(feature = "derive", doc = "```")]
#[cfg_attr(not(feature = "derive"), doc = "```ignore")]
/// #[shmq::message]
/// #[derive(Debug, PartialEq)]
/// struct Tick {
///     price: f64,
///     volume: u64,
/// }
///
/// let queue = shmq::Queue::<Tick>::new(16)?;
/// queue.put(&Tick { price: 1.5, volume: 3 })?;
/// assert_eq!(queue.get()?, Tick { price: 1.5, volume: 3 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Safety
/// Implemented by the attribute; do not implement it by hand. What it promises of each value of a
/// sized type:
///
/// 1. All of its `size_of` bytes are initialised: there is no padding. None of them is a pointer or
///    a reference, and none changes behind a shared reference (no `Cell`).
/// 2. `is_value` is true of bytes that are a value and of no others, so that a message from another
///    process can be checked before it is used.
/// 3. `LAYOUT` is that of the type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between processes as it lies in memory: `Queue` and `Topic` carry plain data, `ObjectQueue` anything that serde encodes",
    label = "not plain data",
    note = "a struct or an enum of your own: put `#[shmq::message]` on it",
    note = "`String`, `Vec`, `Option`, maps, and all that serde can encode: use `ObjectQueue<{Self}>` instead of `Queue<{Self}>`, and `ObjectTopic<{Self}>` to reach all subscribers",
    note = "bytes of varying length: use `Queue<[u8]>` or `Topic<[u8]>`"
)]
pub unsafe trait Message {
    /// What `get` returns: the value itself, or a `Vec` of a slice's elements.
    type Owned;

    /// How messages of this type are got: as one value, or as the elements of a slice.
    #[doc(hidden)]
    type Way: Way<Self, Owned = Self::Owned>;
    /// The fields and bytes of the message, or of an element of a slice.
    #[doc(hidden)]
    const LAYOUT: &'static Layout;
    /// Are these bytes a value of the message, or of an element of a slice?
    ///
    /// # Safety
    /// `LAYOUT.bytes` bytes can be read at `bytes`, which no process changes meanwhile.
    #[doc(hidden)]
    unsafe fn is_value(bytes: *const u8) -> bool;

    /// The structural schema: the fields, their offsets and types as text that other languages can
    /// make and read as well. A segment carries the one of its messages (of the elements, if they
    /// are slices), and is opened only by programs with the same.
    ///
    /// ```text
    /// type    =  scalar | "[" type "; " count "]" | struct | enum
    /// scalar  =  u8 .. u128 | i8 .. i128 | f32 | f64 | bool | char   (big-endian: u16be, f64be ..)
    /// struct  =  "{" name "@" offset ": " type { ", " name "@" offset ": " type } "}"
    /// enum    =  "enum " scalar " {" variant { ", " variant } "}"
    /// variant =  name "=" value [ " " struct ]
    /// ```
    ///
    /// Offsets count bytes from the beginning of the enclosing struct or enum (whose value comes
    /// first). There is no padding, so sizes follow. Fields without bytes are left out, `usize` is
    /// `u64`, `NonZero` and `Option<NonZero>` are their number, and a `repr(transparent)` struct is
    /// its field: a C program makes the same text of `offsetof`, `sizeof` and the names of scalars.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// use shmq::Message;
    ///
    /// #[shmq::message]
    /// #[repr(u8)]
    /// enum Side { Buy = 1, Sell = 2 }
    ///
    /// #[shmq::message]
    /// struct Order { price: f64, sizes: [u16; 3], side: Side, hidden: bool }
    ///
    /// # if cfg!(target_endian = "little") {
    /// assert_eq!(
    ///     Order::schema(),
    ///     "{price@0: f64, sizes@8: [u16; 3], side@14: enum u8 {Buy=1, Sell=2}, hidden@15: bool}"
    /// );
    /// # }
    /// ```
    fn schema() -> String {
        Self::LAYOUT.to_string()
    }
}

/// A [`Message`] of which any bits are a value, so that it can be read and written in place, in the
/// segment: by [`loan`](crate::Queue::loan) and [`lease`](crate::Queue::lease), as elements of
/// slices (`Queue<[X]>`), and in a [`sync::Mutex`](crate::sync::Mutex),
/// [`Value`](crate::sync::Value) or [`Array`](crate::sync::Array).
///
/// Numbers, `Option<NonZero>`, arrays of plain data, and structs with `#[shmq::message]` whose
/// fields all are. `bool`, `char`, `NonZero` and enums are not: a peer could write bits that are no
/// value of them, so they are copied and checked (`put`, `get`). In place, use a `u8`.
///
#[cfg_attr(feature = "derive", doc = "```")]
#[cfg_attr(not(feature = "derive"), doc = "```ignore")]
/// #[shmq::message]
/// struct Account {
///     number: u64,
///     balance: i64,
/// }
///
/// let account = shmq::sync::Mutex::new(Account { number: 7, balance: 0 })?;
/// account.lock().unwrap().balance += 100;
/// assert_eq!(account.lock().unwrap().balance, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Safety
/// Implemented by the attribute; do not implement it by hand. It promises that any bits are a
/// value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read or written in place: not all bits are a value of it",
    label = "not plain data of which any bits are a value",
    note = "`bool`, `char`, `NonZero` and enums, and structs with such fields, go by `put` and `get`, which check them; in place, use a `u8` or another integer",
    note = "a struct of your own whose fields are numbers: put `#[shmq::message]` on it"
)]
pub unsafe trait Plain: Message {}

// SAFETY: the elements follow each other without padding; any bits are an X (Plain).
unsafe impl<X: Plain> Message for [X] {
    type Owned = Vec<X>;
    type Way = sealed::BySlice;
    const LAYOUT: &'static Layout = X::LAYOUT;

    unsafe fn is_value(bytes: *const u8) -> bool {
        // SAFETY: the caller lends `LAYOUT.bytes` bytes, which are those of an X.
        unsafe { X::is_value(bytes) }
    }
}

// SAFETY: any bits are elements, since they are an X (Plain).
unsafe impl<X: Plain> Plain for [X] {}

/// The internal face of a [`Message`]: its layout and its name.
pub(crate) trait Travel: Message {
    /// One value a message, in a sized ring? Otherwise slices, in a slice ring.
    const IS_SIZED: bool = <Self::Way as Way<Self>>::IS_SIZED;

    /// Name of the message or element type, without module paths.
    fn unit_name() -> String {
        without_paths(<Self::Way as Way<Self>>::type_name())
    }

    /// The message that starts at `payload` and is `length` bytes long.
    fn pointer(payload: *mut u8, length: usize) -> *mut Self {
        Self::Way::pointer(payload, length)
    }
}

impl<T: ?Sized + Message> Travel for T {}

/// The bytes of messages.
#[inline(always)]
pub(crate) fn bytes_of<X: Message>(values: &[X]) -> &[u8] {
    // SAFETY: all of their bytes are initialised, and none changes behind a shared reference
    // (Message, 1).
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The types of the hidden items of [`Message`].
pub(crate) mod sealed {
    use super::{Message, Plain, assert_plain, ptr};

    /// What differs between messages of type `T`: one value, or a slice.
    pub trait Way<T: ?Sized> {
        type Owned;
        const IS_SIZED: bool;
        fn type_name() -> &'static str;
        fn pointer(payload: *mut u8, length: usize) -> *mut T;
        fn visit<V: Visitor>(visitor: V) -> V::Output<Self::Owned>;
    }

    /// What a caller does with a message type, in two forms, as a value and a slice need different
    /// code (queues get and lease in this way).
    pub trait Visitor {
        /// For a message that is returned as an `O`.
        type Output<O>;
        fn value<T: Message>(self) -> Self::Output<T>;
        fn slice<X: Plain>(self) -> Self::Output<Vec<X>>;
    }

    /// One value a message.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum ByValue {}

    /// Values of a slice, as many as it has.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum BySlice {}

    impl<T: Message> Way<T> for ByValue {
        type Owned = T;
        const IS_SIZED: bool = true;

        fn type_name() -> &'static str {
            std::any::type_name::<T>()
        }

        fn pointer(payload: *mut u8, _: usize) -> *mut T {
            payload.cast()
        }

        #[inline(always)]
        fn visit<V: Visitor>(visitor: V) -> V::Output<T> {
            visitor.value::<T>()
        }
    }

    impl<X: Plain> Way<[X]> for BySlice {
        type Owned = Vec<X>;
        const IS_SIZED: bool = {
            assert_plain::<X>();
            assert!(size_of::<X>() > 0, "slices of zero-sized elements cannot travel: their length is not in their bytes");
            false
        };

        fn type_name() -> &'static str {
            std::any::type_name::<X>()
        }

        fn pointer(payload: *mut u8, length: usize) -> *mut [X] {
            ptr::slice_from_raw_parts_mut(payload.cast(), length / size_of::<X>())
        }

        #[inline(always)]
        fn visit<V: Visitor>(visitor: V) -> V::Output<Vec<X>> {
            visitor.slice::<X>()
        }
    }
}

/// What `#[shmq::message]` writes into programs. Not part of the public API.
pub mod private {
    use super::Plain;
    pub use super::sealed::ByValue;
    pub use crate::message::schema::{Field, Form, Layout, Sentence, Variant};
    #[cfg(feature = "derive")]
    pub use shmq_derive::MessageImpl;
    use std::marker::PhantomData;

    /// The name, in schemas, of the integer that holds an enum.
    pub const fn tag(integer: &Layout) -> &'static str {
        match integer.form {
            Form::Scalar(name) => name,
            _ => "",
        }
    }

    /// A bound on `T` that the compiler puts off until the impl is used, because of the lifetime: a
    /// struct with a `bool` in it may say so, and is not [`Plain`].
    #[derive(Debug)]
    pub struct Later<'a, T: ?Sized>(PhantomData<(&'a (), *const T)>);

    /// See [`Later`].
    pub trait IsPlain {}
    impl<T: ?Sized + Plain> IsPlain for Later<'_, T> {}
}

/// `alloc::vec::Vec<app::Tick>` -> `Vec<Tick>`: two programs keep the same type in different
/// modules.
pub(crate) fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut word = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            word.clear();
        } else if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            short.push_str(&word);
            word.clear();
            short.push(c);
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::without_paths;

    #[test]
    fn type_names_lose_their_paths_and_nothing_else() {
        for (long, short) in [
            ("u8", "u8"),
            ("app::ticks::Tick", "Tick"),
            ("[app::Tick; 4]", "[Tick; 4]"),
            ("a::Pair<b::Left, [c::d::Right; 2]>", "Pair<Left, [Right; 2]>"),
            ("core::num::nonzero::NonZero<u32>", "NonZero<u32>"),
        ] {
            assert_eq!(without_paths(long), short);
        }
    }
}
