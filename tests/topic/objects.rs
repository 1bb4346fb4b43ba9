//! Topics of objects: encoded once, decoded by each subscriber.

use crate::support::harness::Case;
use serde::{Deserialize, Serialize};
use shmq::{
    CreateError, GetError, ObjectQueue, ObjectTopic, OpenError, Postcard, PutError, Queue, Receiver, Sender, Start, Topic,
    wait_any,
};
use std::cell::Cell;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        every_subscriber_sees_every_value_with_both_codecs,
        a_large_value_goes_by_copy_beside_a_lossy_subscriber_of_its_process,
        what_does_not_fit_or_cannot_be_encoded_is_not_published,
        a_message_that_cannot_be_decoded_is_passed_by_each_with_its_bytes,
        it_is_opened_as_what_it_is,
        a_handle_that_counts_is_refused_and_others_travel_to_all,
        a_value_may_publish_another_while_it_is_encoded,
        a_refusal_ends_with_its_publish,
        a_full_topic_names_the_laggard_and_an_eviction_frees_it,
    ]
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
enum News {
    Text(String),
    Numbers { of: u32, all: Vec<u64> },
    Nothing,
}

fn all() -> Vec<News> {
    vec![News::Text("a".repeat(300)), News::Numbers { of: 3, all: (0..100).collect() }, News::Nothing]
}

fn every_subscriber_sees_every_value_with_both_codecs() {
    fn expect<C: shmq::Codec>() {
        let topic = ObjectTopic::<News, C>::new().unwrap();
        let subscribers = [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap(), topic.subscribe().unwrap()];
        for round in 0..200 {
            if round % 2 == 0 {
                topic.publish_slice(&all()).unwrap();
            } else {
                topic.publisher().unwrap().publish_slice(&all()).unwrap();
            }
            for subscriber in &subscribers {
                for expected in all() {
                    assert_eq!(subscriber.next().unwrap(), expected);
                }
            }
        }
        topic.close();
        for subscriber in &subscribers {
            assert!(subscriber.iter().next().is_none());
            assert_eq!((subscriber.received(), subscriber.missed(), subscriber.lag()), (600, 0, 0));
        }
    }
    expect::<shmq::MessagePack>();
    expect::<Postcard>();
}

fn a_large_value_goes_by_copy_beside_a_lossy_subscriber_of_its_process() {
    let topic = ObjectTopic::<Vec<u64>>::builder().capacity_bytes(8 << 20).create().unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let large: Vec<u64> = (0..100_000).map(|n| n * 0x0101_0101_0101).collect();
    for _ in 0..5 {
        topic.publish(&large).unwrap();
        topic.publisher().unwrap().publish(&large).unwrap();
        for _ in 0..2 {
            assert_eq!(every.next().unwrap(), large);
        }
    }
    assert_eq!(live.latest().unwrap(), large);
    assert_eq!(live.received() + live.missed(), 10);
    // And no subscriber of this process is refused meanwhile.
    let _more = topic.subscribe_lossy().unwrap();
}

fn what_does_not_fit_or_cannot_be_encoded_is_not_published() {
    #[derive(Debug)]
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    impl<'de> Deserialize<'de> for Refuses {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            unreachable!("nothing was published")
        }
    }
    let topic = ObjectTopic::<Refuses>::new().unwrap();
    let every = topic.subscribe().unwrap();
    let error = topic.publish(&Refuses).unwrap_err();
    assert!(matches!(error, PutError::Encode { .. }) && error.to_string().contains("not today"), "{error}");
    assert!(every.try_next().unwrap_err().is_empty());

    let topic = ObjectTopic::<Vec<u8>>::builder().capacity_bytes(4096).create().unwrap();
    let every = topic.subscribe().unwrap();
    let longest = topic.max_len();
    let Err(PutError::TooLarge { len, max }) = topic.publish(&vec![0; longest + 1]) else { panic!("it never fits") };
    assert!(max == longest && len > longest);
    topic.publish(&vec![7; 1000]).unwrap();
    assert_eq!(every.next().unwrap(), vec![7; 1000]);
    assert!(matches!(ObjectTopic::<u8>::builder().capacity(8).create(), Err(CreateError::OutOfRange { option: "capacity", .. })));
}

mod of_one_program {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Message(pub u32, pub String);
}

mod of_another {
    #[derive(serde::Serialize, serde::Deserialize, Debug)]
    pub struct Message(pub u32);
}

fn a_message_that_cannot_be_decoded_is_passed_by_each_with_its_bytes() {
    let sent = ObjectTopic::<of_one_program::Message, Postcard>::new().unwrap();
    let read = ObjectTopic::<of_another::Message, Postcard>::open(sent.name()).unwrap();
    let subscribers = [read.subscribe().unwrap(), read.subscribe_lossy().unwrap()];
    let last = read.subscribe_lossy().unwrap();
    sent.publish(&of_one_program::Message(7, "more".into())).unwrap();
    read.publish(&of_another::Message(8)).unwrap();
    for subscriber in &subscribers {
        let Err(GetError::Decode { bytes, .. }) = subscriber.next() else { panic!("bytes are left over") };
        assert_eq!(bytes, b"\x07\x04more");
        assert_eq!(subscriber.next().unwrap().0, 8);
        assert_eq!((subscriber.received(), subscriber.missed()), (2, 0));
    }
    assert_eq!((last.latest().unwrap().0, last.missed()), (8, 1));
    // An iterator goes on behind it.
    sent.publish(&of_one_program::Message(7, "more".into())).unwrap();
    read.publish(&of_another::Message(9)).unwrap();
    read.close();
    let items: Vec<_> = subscribers[0].iter().collect();
    assert!(matches!(&items[..], [Err(GetError::Decode { .. }), Ok(of_another::Message(9))]), "{items:?}");
}

fn it_is_opened_as_what_it_is() {
    let topic = ObjectTopic::<String>::new().unwrap();
    let name = topic.name();
    assert!(matches!(ObjectTopic::<u32>::open(name), Err(OpenError::Mismatch { .. })));
    assert!(matches!(ObjectTopic::<String, Postcard>::open(name), Err(OpenError::Mismatch { .. })));
    assert!(matches!(ObjectQueue::<String>::open(name), Err(OpenError::Mismatch { .. })));
    assert!(matches!(Topic::<[u8]>::open(name), Err(OpenError::Mismatch { .. })));
    ObjectTopic::<String>::open(name).unwrap();
}

/// A handle that counts on its way counts until one receiver has it: with several, or none, that
/// would be wrong.
fn a_handle_that_counts_is_refused_and_others_travel_to_all() {
    let closing = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let (sender, receiver) = (closing.sender(), closing.receiver());
    let expect_refusal = |published: Result<(), PutError>| {
        let error = published.unwrap_err();
        assert!(matches!(error, PutError::Encode { .. }) && error.to_string().contains("goes to one receiver"), "{error}");
    };
    expect_refusal(ObjectTopic::<Sender<u64>>::new().unwrap().publish(&sender));
    expect_refusal(ObjectTopic::<Receiver<u64>>::new().unwrap().publish(&receiver));
    expect_refusal(ObjectTopic::<Queue<u64>, Postcard>::new().unwrap().publish(&closing));
    let objects = ObjectQueue::<String>::builder().capacity(4).close_when_unused(true).create().unwrap();
    expect_refusal(ObjectTopic::<ObjectQueue<String>>::new().unwrap().publisher().unwrap().publish(&objects));
    expect_refusal(ObjectTopic::<shmq::ObjectSender<String, shmq::MessagePack>>::new().unwrap().publish(&objects.sender()));
    // It is as before: it may be sent through a queue, and ends when its handles are gone.
    let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
    letters.put(&sender).unwrap();
    drop((closing, sender));
    assert!(!receiver.is_closed());
    drop(letters.get().unwrap());
    assert!(receiver.is_closed());

    // Of a queue that does not close when unused, and of a topic.
    type Handles = (Queue<u64>, Sender<u64>, Topic<u64>, ObjectTopic<String>);
    let topic = ObjectTopic::<Handles>::new().unwrap();
    let subscribers = [topic.subscribe().unwrap(), topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()];
    let (queue, ticks, words) =
        (Queue::<u64>::new(8).unwrap(), Topic::<u64>::new(8).unwrap(), ObjectTopic::<String>::new().unwrap());
    let (tick, word) = (ticks.subscribe().unwrap(), words.subscribe().unwrap());
    topic.publish(&(queue.clone(), queue.sender(), ticks, words)).unwrap();
    for (number, subscriber) in (0..).zip(&subscribers) {
        let (there, sender, ticks, words) = subscriber.next().unwrap();
        there.put(&number).unwrap();
        sender.put(&number).unwrap();
        ticks.publish(&number).unwrap();
        words.publish(&number.to_string()).unwrap();
        assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (number, number));
        assert_eq!((tick.next().unwrap(), word.next().unwrap()), (number, number.to_string()));
    }
}

thread_local! {
    static OTHER: Cell<Option<ObjectTopic<String>>> = const { Cell::new(None) };
}

/// Publishes another value while it is encoded.
struct Nested;

impl Serialize for Nested {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let other = OTHER.take().unwrap();
        other.publish("from within").unwrap();
        OTHER.set(Some(other));
        serializer.serialize_str("without")
    }
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert_eq!(String::deserialize(deserializer)?, "without");
        Ok(Nested)
    }
}

fn a_value_may_publish_another_while_it_is_encoded() {
    let (outer, inner) = (ObjectTopic::<Nested>::new().unwrap(), ObjectTopic::<String>::new().unwrap());
    let (every, within) = (outer.subscribe().unwrap(), inner.subscribe().unwrap());
    OTHER.set(Some(inner));
    outer.publish(&Nested).unwrap();
    every.next().unwrap();
    assert_eq!(within.next().unwrap(), "from within");
    OTHER.take();
}

fn a_refusal_ends_with_its_publish() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("while it is encoded")
        }
    }
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            unreachable!("nothing was published")
        }
    }
    let topic = ObjectTopic::<Panics>::new().unwrap();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| topic.publish(&Panics))).unwrap_err();
    // This thread sends handles through queues as before.
    let closing = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    ObjectQueue::<Sender<u64>>::new(4).unwrap().put(&closing.sender()).unwrap();
}

fn a_full_topic_names_the_laggard_and_an_eviction_frees_it() {
    let topic = ObjectTopic::<u32>::builder().capacity_bytes(4096).history(2).max_subscribers(3).create().unwrap();
    let slow = topic.subscribe().unwrap();
    let mut published = 0;
    let full = loop {
        match topic.publish_timeout(&published, Duration::from_millis(5)) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, PutError::Gated { subscriber, timed_out: true, .. } if *subscriber == slow.id()), "{full}");
    assert!(topic.evict(slow.id()).unwrap());
    topic.publish(&published).unwrap();
    assert_eq!(wait_any(&[&slow], None), Ok(0));
    assert!(matches!(slow.next(), Err(GetError::Evicted)));
    assert_eq!((topic.subscribe().unwrap().next().unwrap(), topic.stats().published), (published - 1, u64::from(published) + 1));
    assert_eq!(topic.subscribe_from(Start::Back(1)).unwrap().next().unwrap(), published);
}
