//! Reading messages of a type that is one value or a slice: which call of the raw subscriber each
//! of the two needs.

use crate::error::GetError;
use crate::message::{Message, Plain, Visitor};
use crate::raw::RawSubscriber;
use crate::wait::Wait;

/// The next message by copy.
pub(super) struct Next<'a>(pub &'a RawSubscriber, pub Wait);

impl Visitor for Next<'_> {
    type Output<O> = Result<O, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<T, GetError> {
        self.0.next_value::<T>(self.1)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<Vec<X>, GetError> {
        self.0.next_vec::<X>(self.1)
    }
}

/// The newest message by copy.
pub(super) struct Latest<'a>(pub &'a RawSubscriber);

impl Visitor for Latest<'_> {
    type Output<O> = Result<O, GetError>;

    fn value<T: Message>(self) -> Result<T, GetError> {
        self.0.latest_value::<T>()
    }

    fn slice<X: Plain>(self) -> Result<Vec<X>, GetError> {
        self.0.latest_vec::<X>()
    }
}
