//! [`Putter`]: the queue's put side, owned for the bridge's life, or shared with others.

use crate::failure::Failure;
use shmq::{DynProducer, DynQueue, MessageId, PutError};
use std::time::Duration;

/// The way into the queue.
pub enum Putter {
    /// The bridge's alone.
    Owner(DynProducer),
    /// Other processes put, too.
    Shared(DynQueue),
}

/// What a put came to.
pub enum Attempt {
    /// It is in the queue.
    Put,
    /// There is no room.
    NoRoom,
    /// The queue can never take it: why not.
    Refused(String),
}

impl Putter {
    /// Takes the put side, unless it is shared.
    ///
    /// # Errors
    /// [`Failure::Held`] while another process owns it.
    pub fn of(queue: &DynQueue, is_shared: bool) -> Result<Putter, Failure> {
        if is_shared {
            return Ok(Putter::Shared(queue.clone()));
        }
        queue.producer().map(Putter::Owner).map_err(|error| match error {
            PutError::Held { pid } => Failure::Held {
                queue: queue.name().to_owned(),
                why: format!(
                    "process {pid} owns the put side. The bridge must own it, to know after a kill what it has put; end that process, \
                     or start the bridge with --shared"
                ),
            },
            error => fatal(queue, &error),
        })
    }

    /// Does this bridge own the put side?
    pub fn is_owner(&self) -> bool {
        matches!(self, Putter::Owner(_))
    }

    /// Puts, or waits for room for so long. `announce` hears the message's id before it can be seen
    /// in the queue; where others put, too, it is not called.
    ///
    /// # Errors
    /// [`Failure::Queue`] if the queue is closed, or poisoned.
    pub fn put(
        &self,
        queue: &DynQueue,
        bytes: &[u8],
        wait: Duration,
        announce: impl FnOnce(MessageId),
    ) -> Result<Attempt, Failure> {
        let put = match self {
            Putter::Owner(producer) if wait.is_zero() => producer.try_put_with_id(bytes, announce).map(drop),
            Putter::Owner(producer) => producer.put_with_id_timeout(bytes, announce, wait).map(drop),
            Putter::Shared(queue) if wait.is_zero() => queue.try_put(bytes),
            Putter::Shared(queue) => queue.put_timeout(bytes, wait),
        };
        match put {
            Ok(()) => Ok(Attempt::Put),
            Err(PutError::Full | PutError::Timeout | PutError::Busy | PutError::NoSpace { .. }) => Ok(Attempt::NoRoom),
            Err(error @ (PutError::TooLarge { .. } | PutError::WrongLength { .. } | PutError::NotWhole { .. })) => {
                Ok(Attempt::Refused(error.to_string()))
            }
            // Another process became the owner; it may leave again.
            Err(PutError::Held { .. }) if !self.is_owner() => Ok(Attempt::NoRoom),
            Err(error) => Err(fatal(queue, &error)),
        }
    }
}

fn fatal(queue: &DynQueue, error: &PutError) -> Failure {
    Failure::Queue { queue: queue.name().to_owned(), why: format!("{error}; what was not put is still in the stream") }
}
