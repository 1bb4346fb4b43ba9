//! Leaving a queue for certain, by a handle of any kind.

use super::{Consumer, Producer, Queue, Receiver, Sender};
use crate::attachment::detachable;
use crate::message::Message;
use crate::raw::RawQueue;
use std::sync::Arc;

impl<T: ?Sized> Producer<T> {
    pub(crate) fn shared(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }
}

impl<T: ?Sized> Consumer<T> {
    pub(crate) fn shared(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }
}

detachable! {
    [T: ?Sized + Message] Queue<T>, |queue| [queue.raw()],
    "# let name = format!(\"doc-detach-{}\", std::process::id());"
    "use shmq::{OpenError, Queue};"
    ""
    "let queue = Queue::<u64>::create(&name, 4)?;"
    "queue.detach()?;"
    "assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::NotFound { .. }))); // it was the last"
}
detachable! {
    [T: ?Sized] Producer<T>, |producer| [producer.shared()],
    "let producer = shmq::Queue::<u64>::new(4)?.producer()?; // the only handle"
    "producer.put(&1)?;"
    "producer.detach()?;"
}
detachable! {
    [T: ?Sized] Consumer<T>, |consumer| [consumer.shared()],
    "let queue = shmq::Queue::<u64>::new(4)?;"
    "let consumer = queue.consumer()?.detach().unwrap_err().into_handle(); // `queue` is in the way"
    "drop(queue);"
    "consumer.detach()?;"
}
detachable! {
    [T: ?Sized] Sender<T>, |sender| [sender.shared()],
    "let queue = shmq::Queue::<u64>::builder().capacity(4).close_when_unused(true).create()?;"
    "let other = shmq::Queue::<u64>::open(queue.name())?.receiver();"
    "let sender = queue.sender();"
    "drop(queue);"
    "sender.put(&1)?;"
    "sender.detach()?; // the last one: it ends the stream"
    "assert_eq!(other.get()?, 1);"
    "assert!(matches!(other.get(), Err(shmq::GetError::Closed)));"
}
detachable! {
    [T: ?Sized] Receiver<T>, |receiver| [receiver.shared()],
    "let receiver = shmq::Queue::<u64>::new(4)?.receiver();"
    "assert!(receiver.try_get().is_err());"
    "receiver.detach()?;"
}
