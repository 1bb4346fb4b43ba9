//! Leaving a queue or a topic of objects for certain, by a handle of any kind.

use super::{
    ObjectConsumer, ObjectProducer, ObjectPublisher, ObjectQueue, ObjectReceiver, ObjectSender, ObjectSubscriber, ObjectTopic,
};
use crate::attachment::detachable;

detachable! {
    [T, C] ObjectQueue<T, C>, |queue| [queue.bytes().raw()],
    "let queue = shmq::ObjectQueue::<String>::new(4)?;"
    "queue.put(\"one\")?;"
    "let object = queue.lease_owned()?;"
    "let queue = queue.detach().unwrap_err().into_handle(); // the lease is in the way"
    "object.release();"
    "queue.detach()?;"
}
detachable! {
    [T, C] ObjectProducer<T, C>, |producer| [producer.bytes().shared()],
    "let producer = shmq::ObjectQueue::<String>::new(4)?.producer()?; // the only handle"
    "producer.put(\"one\")?;"
    "producer.detach()?;"
}
detachable! {
    [T, C] ObjectConsumer<T, C>, |consumer| [consumer.bytes().shared()],
    "let consumer = shmq::ObjectQueue::<String>::new(4)?.consumer()?; // the only handle"
    "assert!(consumer.try_get().is_err());"
    "consumer.detach()?;"
}
detachable! {
    [T, C] ObjectSender<T, C>, |sender| [sender.bytes.shared()],
    "let sender = shmq::ObjectQueue::<String>::new(4)?.sender(); // the only handle"
    "sender.put(\"one\")?;"
    "sender.detach()?;"
}
detachable! {
    [T, C] ObjectReceiver<T, C>, |receiver| [receiver.bytes.shared()],
    "let receiver = shmq::ObjectQueue::<String>::new(4)?.receiver(); // the only handle"
    "assert!(receiver.try_get().is_err());"
    "receiver.detach()?;"
}
detachable! {
    [T, C] ObjectTopic<T, C>, |topic| [topic.bytes().raw()],
    "let topic = shmq::ObjectTopic::<String>::new()?;"
    "topic.publish(\"one\")?;"
    "topic.detach()?;"
}
detachable! {
    [T, C] ObjectPublisher<T, C>, |publisher| [publisher.bytes().shared()],
    "let publisher = shmq::ObjectTopic::<String>::new()?.publisher()?; // the only handle"
    "publisher.publish(\"one\")?;"
    "publisher.detach()?;"
}
detachable! {
    [T, C] ObjectSubscriber<T, C>, |subscriber| [subscriber.bytes().raw().raw_to_leave()],
    "let topic = shmq::ObjectTopic::<String>::new()?;"
    "let subscriber = shmq::ObjectTopic::<String>::open(topic.name())?.subscribe()?;"
    "subscriber.detach()?; // the only handle of its open"
    "assert!(topic.subscribers().is_empty());"
}
