//! Getting and leasing messages of a type that is one value or a slice: which call of the raw queue
//! each of the two needs, for handles and for a [`Consumer`](super::Consumer).

use crate::error::GetError;
use crate::message::{Message, Plain, Visitor};
use crate::raw::{BY_LOCK, BY_OWNER, LeasedRecord, MessageId, RawQueue, SideOwner};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::participant::Id;
use crate::wait::Wait;

/// Gets by copy.
pub(super) struct Get<'a>(pub &'a RawQueue, pub Wait);

impl Visitor for Get<'_> {
    type Output<O> = Result<O, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<T, GetError> {
        self.0.get_value::<T>(self.1)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<Vec<X>, GetError> {
        self.0.get_vec::<BY_LOCK, X>(self.0.me_in_both_roles()?, self.1)
    }
}

/// Gets by copy, by a receiver, which knows its participant.
pub(super) struct GetAs<'a>(pub &'a RawQueue, pub Id, pub Wait);

impl Visitor for GetAs<'_> {
    type Output<O> = Result<O, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<T, GetError> {
        self.0.get_value_slowly::<BY_LOCK, T>(self.1, self.2)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<Vec<X>, GetError> {
        self.0.get_vec::<BY_LOCK, X>(self.1, self.2)
    }
}

/// Gets by copy, by the endpoint that owns the get side.
pub(super) struct GetOwned<'a>(pub &'a RawQueue, pub &'a SideOwner, pub Wait);

impl Visitor for GetOwned<'_> {
    type Output<O> = Result<O, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<T, GetError> {
        self.0.get_owned::<T>(self.1, self.2)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<Vec<X>, GetError> {
        self.0.get_vec::<BY_OWNER, X>(self.0.check(self.1)?, self.2)
    }
}

/// Gets by copy, with the message's id.
pub(super) struct GetWithId<'a, const OWNED: bool>(pub &'a RawQueue, pub Id, pub Wait);

impl<const OWNED: bool> Visitor for GetWithId<'_, OWNED> {
    type Output<O> = Result<(O, MessageId), GetError>;

    fn value<T: Message>(self) -> Result<(T, MessageId), GetError> {
        self.0.get_value_with_id::<OWNED, T>(self.1, self.2)
    }

    fn slice<X: Plain>(self) -> Result<(Vec<X>, MessageId), GetError> {
        self.0.get_vec_with_id::<OWNED, X>(self.1, self.2)
    }
}

/// Leases.
pub(super) struct TakeLease<'a>(pub &'a RawQueue, pub Wait);

impl Visitor for TakeLease<'_> {
    type Output<O> = Result<LeasedRecord, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease::<BY_LOCK, SIZED_RING>(self.0.me_in_both_roles()?, self.1)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease::<BY_LOCK, SLICE_RING>(self.0.me_in_both_roles()?, self.1)
    }
}

/// Leases, by a receiver, which knows its participant.
pub(super) struct TakeLeaseAs<'a>(pub &'a RawQueue, pub Id, pub Wait);

impl Visitor for TakeLeaseAs<'_> {
    type Output<O> = Result<LeasedRecord, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease::<BY_LOCK, SIZED_RING>(self.1, self.2)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease::<BY_LOCK, SLICE_RING>(self.1, self.2)
    }
}

/// Leases, by the endpoint that owns the get side.
pub(super) struct TakeLeaseOwned<'a>(pub &'a RawQueue, pub &'a SideOwner, pub Wait);

impl Visitor for TakeLeaseOwned<'_> {
    type Output<O> = Result<LeasedRecord, GetError>;

    #[inline(always)]
    fn value<T: Message>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease_owned::<T>(self.1, self.2)
    }

    #[inline(always)]
    fn slice<X: Plain>(self) -> Result<LeasedRecord, GetError> {
        self.0.lease::<BY_OWNER, SLICE_RING>(self.0.check(self.1)?, self.2)
    }
}
