//! What may travel: plain data, one value or a slice of them a message.

use crate::error::{GetError, PutError};
use crate::layout::kind;
use std::ptr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// What may travel through a [`Queue`](crate::Queue): plain data whose bytes say all, without pointers or padding.
///
/// Implemented for every sized type that is `TryFromBytes + IntoBytes + Immutable + KnownLayout` (integers, floats, `bool`, `NonZero`,
/// arrays, and structs and enums that derive these from [`zerocopy`](crate::zerocopy)), and for slices `[X]` of elements that are `FromBytes`
/// as well, which travel as messages of varying length. It cannot be implemented by hand.
///
/// ```
/// use shmq::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Debug, PartialEq)]
/// #[repr(C)]
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between processes",
    label = "not plain data",
    note = "derive `FromBytes, IntoBytes, Immutable, KnownLayout` of `shmq::zerocopy` with `#[repr(C)]`, or encode it into a `Queue<[u8]>`"
)]
pub trait Message: TryFromBytes + IntoBytes + Immutable + KnownLayout + sealed::Sealed {
    /// What `get` returns: the value itself, or a `Vec` of a slice's elements.
    type Owned;

    /// How a message lies in a record.
    #[doc(hidden)]
    const WIRE: sealed::Wire;
    /// Name of the message or element type, without module paths.
    #[doc(hidden)]
    fn unit_name() -> String;
    /// The message that starts at `payload` and is `length` bytes long.
    #[doc(hidden)]
    fn pointer(payload: *mut u8, length: usize) -> *mut Self;
    #[doc(hidden)]
    fn send(&self, channel: &sealed::Channel, patience: sealed::Patience) -> Result<(), PutError>;
    /// `send` by the endpoint that owns the put side.
    #[doc(hidden)]
    fn send_held(&self, channel: &sealed::Channel, tenure: &sealed::Tenure, patience: sealed::Patience) -> Result<(), PutError>;
    #[doc(hidden)]
    fn receive(channel: &sealed::Channel, patience: sealed::Patience) -> Result<Self::Owned, GetError>;
    /// `receive` by the endpoint that owns the get side.
    #[doc(hidden)]
    fn receive_held(
        channel: &sealed::Channel,
        tenure: &sealed::Tenure,
        patience: sealed::Patience,
    ) -> Result<Self::Owned, GetError>;
    #[doc(hidden)]
    fn lease(channel: &sealed::Channel, patience: sealed::Patience) -> Result<sealed::LeasedRecord, GetError>;
    /// `lease` by the endpoint that owns the get side.
    #[doc(hidden)]
    fn lease_held(
        channel: &sealed::Channel,
        tenure: &sealed::Tenure,
        patience: sealed::Patience,
    ) -> Result<sealed::LeasedRecord, GetError>;
}

impl<T: TryFromBytes + IntoBytes + Immutable + KnownLayout> Message for T {
    type Owned = T;
    const WIRE: sealed::Wire = sealed::Wire { kind: kind::SIZED, unit_bytes: size_of::<T>(), unit_align: align_of::<T>() };

    fn unit_name() -> String {
        without_paths(std::any::type_name::<T>())
    }

    fn pointer(payload: *mut u8, _: usize) -> *mut T {
        payload.cast()
    }

    #[inline(always)]
    fn send(&self, channel: &sealed::Channel, patience: sealed::Patience) -> Result<(), PutError> {
        channel.put_value::<false, T>(None, self, patience)
    }

    #[inline(always)]
    fn send_held(&self, channel: &sealed::Channel, tenure: &sealed::Tenure, patience: sealed::Patience) -> Result<(), PutError> {
        channel.put_held::<T>(tenure, self, patience)
    }

    #[inline(always)]
    fn receive(channel: &sealed::Channel, patience: sealed::Patience) -> Result<T, GetError> {
        channel.get_value::<T>(patience)
    }

    #[inline(always)]
    fn receive_held(channel: &sealed::Channel, tenure: &sealed::Tenure, patience: sealed::Patience) -> Result<T, GetError> {
        channel.get_held::<T>(tenure, patience)
    }

    #[inline(always)]
    fn lease(channel: &sealed::Channel, patience: sealed::Patience) -> Result<sealed::LeasedRecord, GetError> {
        channel.lease::<false, true>(None, patience)
    }

    #[inline(always)]
    fn lease_held(
        channel: &sealed::Channel,
        tenure: &sealed::Tenure,
        patience: sealed::Patience,
    ) -> Result<sealed::LeasedRecord, GetError> {
        channel.lease_held::<T>(tenure, patience)
    }
}

impl<X: FromBytes + IntoBytes + Immutable + KnownLayout> Message for [X] {
    type Owned = Vec<X>;
    const WIRE: sealed::Wire = {
        assert!(size_of::<X>() > 0, "slices of zero-sized elements cannot travel: their length is not in their bytes");
        sealed::Wire { kind: kind::SLICE, unit_bytes: size_of::<X>(), unit_align: align_of::<X>() }
    };

    fn unit_name() -> String {
        without_paths(std::any::type_name::<X>())
    }

    fn pointer(payload: *mut u8, length: usize) -> *mut [X] {
        ptr::slice_from_raw_parts_mut(payload.cast(), length / Self::WIRE.unit_bytes)
    }

    #[inline(always)]
    fn send(&self, channel: &sealed::Channel, patience: sealed::Patience) -> Result<(), PutError> {
        channel.put_elements::<false, X>(None, self, patience)
    }

    #[inline(always)]
    fn send_held(&self, channel: &sealed::Channel, tenure: &sealed::Tenure, patience: sealed::Patience) -> Result<(), PutError> {
        channel.put_elements::<true, X>(channel.tenant(tenure)?, self, patience)
    }

    #[inline(always)]
    fn receive(channel: &sealed::Channel, patience: sealed::Patience) -> Result<Vec<X>, GetError> {
        channel.get_vec::<false, X>(None, patience)
    }

    #[inline(always)]
    fn receive_held(channel: &sealed::Channel, tenure: &sealed::Tenure, patience: sealed::Patience) -> Result<Vec<X>, GetError> {
        channel.get_vec::<true, X>(channel.tenant(tenure)?, patience)
    }

    #[inline(always)]
    fn lease(channel: &sealed::Channel, patience: sealed::Patience) -> Result<sealed::LeasedRecord, GetError> {
        channel.lease::<false, false>(None, patience)
    }

    #[inline(always)]
    fn lease_held(
        channel: &sealed::Channel,
        tenure: &sealed::Tenure,
        patience: sealed::Patience,
    ) -> Result<sealed::LeasedRecord, GetError> {
        channel.lease::<true, false>(channel.tenant(tenure)?, patience)
    }
}

/// What the hidden methods of [`Message`] speak of. Nobody outside can name it, so nobody outside can implement `Message`.
pub(crate) mod sealed {
    pub use crate::channel::{Channel, LeasedRecord, Patience, Tenure};

    pub trait Sealed {}
    impl<T> Sealed for T {}
    impl<X> Sealed for [X] {}

    /// How a message lies in a record.
    #[derive(Clone, Copy, Debug)]
    pub struct Wire {
        /// One of [`kind`](crate::layout::kind).
        pub kind: u32,
        /// `size_of` the message, or of one element of a slice.
        pub unit_bytes: usize,
        /// `align_of` the same.
        pub unit_align: usize,
    }
}

/// `alloc::vec::Vec<app::Tick>` -> `Vec<Tick>`: two programs keep the same type in different modules.
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
