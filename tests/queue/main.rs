//! What the verbs promise, within one process: each module is a chapter of the promises, each test
//! one of them.

#[path = "../support/mod.rs"]
mod support;

mod ack;
mod attribute;
mod batches;
mod bounds;
mod boxed;
mod closing;
mod counting;
mod dropped_loans;
mod endpoints;
mod forwarding;
mod identity;
mod in_place;
mod inspecting;
mod iterating;
mod lengths;
mod messages;
mod names;
mod owned;
mod roles;
mod straight;
mod timeouts;
mod types;
mod views;

use shmq::{Message, Queue};
use std::time::Duration;
use support::PATIENCE;
use support::threads::watch_for_hangs;

/// An anonymous queue for `capacity` messages of one size.
fn queue<T: Message>(capacity: usize) -> Queue<T> {
    watch_for_hangs();
    Queue::new(capacity).unwrap()
}

/// An anonymous queue for slices, bounded in bytes only.
fn slices<X>(capacity_bytes: usize) -> Queue<[X]>
where
    [X]: Message,
{
    watch_for_hangs();
    Queue::<[X]>::builder().capacity_bytes(capacity_bytes).create().unwrap()
}

/// Long enough for a call to have gone to sleep, short enough for a test.
const A_WHILE: Duration = Duration::from_millis(30);

/// Takes all messages by copy.
fn drain<T: Message>(queue: &Queue<T>) -> Vec<T::Owned> {
    std::iter::from_fn(|| match queue.try_get() {
        Ok(message) => Some(message),
        Err(shmq::GetError::Empty | shmq::GetError::Closed) => None,
        Err(error) => panic!("{error}"),
    })
    .collect()
}

/// Closes its queue when it is dropped. For scopes whose threads only a close ends: a scope waits
/// for them after a failed assertion too, so the failure would become a hang.
struct ClosesAtEnd<'a, T: Message + ?Sized>(&'a Queue<T>);

impl<T: Message + ?Sized> Drop for ClosesAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Bound on calls that need not wait. A call that exceeds it has failed.
const SOON: Duration = PATIENCE;
