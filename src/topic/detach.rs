//! Leaving a topic for certain, by a handle of any kind.

use super::{Publisher, Subscriber, Topic};
use crate::attachment::detachable;
use crate::raw::RawQueue;
use std::sync::Arc;

impl<T: ?Sized> Publisher<T> {
    pub(crate) fn shared(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }
}

detachable! {
    [T: ?Sized] Topic<T>, |topic| [topic.raw()],
    "let topic = shmq::Topic::<u64>::new(4)?;"
    "let subscriber = topic.subscribe()?;"
    "let topic = topic.detach().unwrap_err().into_handle(); // the subscriber is in the way"
    "drop(subscriber);"
    "topic.detach()?;"
}
detachable! {
    [T: ?Sized] Publisher<T>, |publisher| [publisher.shared()],
    "let publisher = shmq::Topic::<u64>::new(4)?.publisher()?; // the only handle"
    "publisher.publish(&1)?;"
    "publisher.detach()?;"
}
detachable! {
    [T: ?Sized] Subscriber<T>, |subscriber| [subscriber.raw().raw_to_leave()],
    "let topic = shmq::Topic::<u64>::new(4)?;"
    "let subscriber = shmq::Topic::<u64>::open(topic.name())?.subscribe()?; // the only handle of its open"
    "topic.publish(&1)?;"
    "assert_eq!(subscriber.next()?, 1);"
    "subscriber.detach()?;"
    "assert!(topic.subscribers().is_empty());"
}
