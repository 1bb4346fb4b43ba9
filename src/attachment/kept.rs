//! What a guard stands on: an attachment that it borrows of a handle, or keeps by itself.

use super::Attached;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Keeps an attachment for a guard that borrows no handle of it (withdraw, Invariant 3).
pub(crate) struct Keeper<A: Attached>(Arc<A>);

impl<A: Attached> Keeper<A> {
    pub fn over(attached: Arc<A>) -> Keeper<A> {
        attached.attachment().note_owned_guard();
        Keeper(attached)
    }
}

impl<A: Attached> Keeper<A> {
    /// For [`from_raw`](Self::from_raw): without that, it keeps the attachment for ever.
    pub fn into_raw(self) -> NonNull<A> {
        let attached = Arc::as_ptr(&self.0).cast_mut();
        std::mem::forget(self);
        // SAFETY: an `Arc` points to something.
        unsafe { NonNull::new_unchecked(attached) }
    }

    /// # Safety
    /// The pointer is that of an [`into_raw`](Self::into_raw), and is taken back once.
    pub unsafe fn from_raw(attached: NonNull<A>) -> Keeper<A> {
        // SAFETY: the reference of the `Arc` that was forgotten there, taken back once (the caller).
        Keeper(unsafe { Arc::from_raw(attached.as_ptr()) })
    }
}

impl<A: Attached> Clone for Keeper<A> {
    fn clone(&self) -> Self {
        Keeper::over(Arc::clone(&self.0))
    }
}

impl<A: Attached> Drop for Keeper<A> {
    fn drop(&mut self) {
        self.0.attachment().forget_owned_guard();
    }
}

impl<A: Attached> Deref for Keeper<A> {
    type Target = A;

    #[inline]
    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A: Attached> fmt::Debug for Keeper<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// What a guard is of: borrowed of a handle, or kept by the guard itself.
pub(crate) enum Kept<'a, A: Attached> {
    Borrowed(&'a A),
    Owned(Keeper<A>),
}

impl<A: Attached> Kept<'static, A> {
    pub fn owned(attached: &Arc<A>) -> Kept<'static, A> {
        Kept::Owned(Keeper::over(Arc::clone(attached)))
    }
}

impl<A: Attached> Clone for Kept<'_, A> {
    fn clone(&self) -> Self {
        match self {
            Kept::Borrowed(attached) => Kept::Borrowed(attached),
            Kept::Owned(keeper) => Kept::Owned(keeper.clone()),
        }
    }
}

impl<A: Attached> Deref for Kept<'_, A> {
    type Target = A;

    #[inline]
    fn deref(&self) -> &A {
        match self {
            Kept::Borrowed(attached) => attached,
            Kept::Owned(keeper) => keeper,
        }
    }
}
