//! Recognises a sequence of bytes where serde shows a type only as a parameter, so that it is moved
//! as a whole and not one byte at a time.
//!
//! Invariant 1: two types with the same [`TypeId`] differ in lifetimes at most. A value of one is
//! then a value of the other for as long as it is borrowed here, and a `Vec<u8>` has no lifetimes.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, transmute, transmute_copy};

/// Gives the id of a type that is not known to be `'static`.
trait Typed {
    fn id(&self) -> TypeId
    where
        Self: 'static;
}

impl<T: ?Sized> Typed for PhantomData<T> {
    fn id(&self) -> TypeId
    where
        Self: 'static,
    {
        TypeId::of::<T>()
    }
}

/// The id of a type with all of its lifetimes made `'static`.
#[inline]
fn id_of<T: ?Sized>() -> TypeId {
    let typed = PhantomData::<T>;
    let typed: &dyn Typed = &typed;
    // SAFETY: the two types differ in a lifetime bound only, which is not in a vtable; `id` reads
    // nothing through `self`.
    let typed = unsafe { transmute::<&dyn Typed, &(dyn Typed + 'static)>(typed) };
    typed.id()
}

/// The bytes of what serde is to collect, if it is a reference to a vector or a slice of bytes.
#[inline]
pub(crate) fn bytes_of<I>(collected: &I) -> Option<&[u8]> {
    let id = id_of::<I>();
    if id == TypeId::of::<&'static Vec<u8>>() {
        // SAFETY: Invariant 1: `I` is a `&Vec<u8>`, which outlives the borrow of `collected`.
        Some(unsafe { transmute::<&I, &&Vec<u8>>(collected) })
    } else if id == TypeId::of::<&'static [u8]>() {
        // SAFETY: Invariant 1: `I` is a `&[u8]`, which outlives the borrow of `collected`.
        Some(unsafe { transmute::<&I, &&[u8]>(collected) })
    } else {
        None
    }
}

/// Is `S` the plain seed of a `Vec<u8>`, which does nothing but deserialise one?
#[inline]
pub(crate) fn is_seed_of_bytes<S>() -> bool {
    id_of::<S>() == TypeId::of::<PhantomData<Vec<u8>>>()
}

/// The vector as a `T`, if that is what a `T` is.
#[inline]
pub(crate) fn as_vec_of_bytes<T>(bytes: Vec<u8>) -> Option<T> {
    if id_of::<T>() != TypeId::of::<Vec<u8>>() {
        return None;
    }
    let bytes = ManuallyDrop::new(bytes);
    // SAFETY: Invariant 1: `T` is `Vec<u8>`. The vector is not dropped here, so it has one owner.
    Some(unsafe { transmute_copy::<ManuallyDrop<Vec<u8>>, T>(&bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_vectors_and_slices_of_bytes_are_seen_as_bytes() {
        let vector = vec![1u8, 2];
        assert_eq!(bytes_of(&&vector), Some(&[1u8, 2][..]));
        assert_eq!(bytes_of(&&vector[1..]), Some(&[2u8][..]));
        assert_eq!(bytes_of(&vector), None);
        assert_eq!(bytes_of(&&vec![1i8]), None);
        assert_eq!(bytes_of(&&[1u8, 2]), None);
        assert_eq!(bytes_of(&vector.iter()), None);
    }

    #[test]
    fn only_a_vector_of_bytes_is_made_of_one() {
        assert!(is_seed_of_bytes::<PhantomData<Vec<u8>>>() && !is_seed_of_bytes::<PhantomData<Vec<i8>>>());
        assert!(!is_seed_of_bytes::<PhantomData<Box<[u8]>>>());
        assert_eq!(as_vec_of_bytes::<Vec<u8>>(vec![7]), Some(vec![7]));
        assert_eq!(as_vec_of_bytes::<Vec<i8>>(vec![7]), None);
        assert_eq!(as_vec_of_bytes::<String>(vec![7]), None);
    }
}
