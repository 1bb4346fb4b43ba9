//! Every verb of a topic, whatever its segment holds. Any error and any value is accepted. What
//! must not happen is a signal, a panic, a hang, or bytes from outside the mapping.
//!
//! Depends on `shmq` and the other verbs alone, so that `fuzz/` uses it too.

use crate::verbs::Stage;
use shmq::{GetError, Plain, Publisher, Start, Subscriber, Topic};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Longest wait of one verb; none waits without a deadline.
const PATIENCE: Duration = Duration::from_micros(200);

/// A message type, with the verbs that only its kind of topic has.
pub trait Broadcasts: Plain {
    fn publish_more(topic: &Topic<Self>, value: &Self, stage: &mut Stage<'_>);
    fn through(publisher: &mut Publisher<Self>, value: &Self, stage: &mut Stage<'_>);
    fn next_more(subscriber: &mut Subscriber<Self>, value: &Self, stage: &mut Stage<'_>);
    /// Reads in place for ever.
    fn pin(subscriber: &mut Subscriber<Self>);
}

impl<T: Plain + Copy> Broadcasts for T {
    fn publish_more(topic: &Topic<T>, value: &T, stage: &mut Stage<'_>) {
        (stage.step)("publish_slice_timeout");
        match topic.publish_slice_timeout(&[*value; 5], PATIENCE) {
            Ok(count) => assert!((1..=5).contains(&count), "{count} of 5 messages"),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("loan_timeout");
        if let Ok(mut loan) = topic.loan_timeout(PATIENCE) {
            stage.read_all(&*loan);
            *loan = *value;
            if (stage.choose)(3) > 0 {
                (stage.step)("commit");
                drop(loan.commit());
            } else {
                (stage.step)("dropping a loan");
            }
        }
    }

    fn through(publisher: &mut Publisher<T>, value: &T, stage: &mut Stage<'_>) {
        (stage.step)("Publisher::try_publish_slice");
        drop(publisher.try_publish_slice(&[*value; 3]));
        (stage.step)("Publisher::loan_timeout");
        if let Ok(loan) = publisher.loan_timeout(PATIENCE) {
            stage.read_all(&*loan);
            (stage.step)("Publisher: commit");
            drop(loan.commit());
        }
    }

    fn next_more(subscriber: &mut Subscriber<T>, value: &T, stage: &mut Stage<'_>) {
        (stage.step)("try_next_slice");
        match subscriber.try_next_slice(&mut [*value; 5]) {
            Ok(count) => assert!((1..=5).contains(&count), "{count} messages in a buffer of 5"),
            Err(error) => drop(error.to_string()),
        }
        (stage.step)("read_timeout");
        if let Ok(sample) = subscriber.read_timeout(PATIENCE) {
            stage.read_all(&*sample);
            (stage.step)("dropping a Sample");
        }
    }

    fn pin(subscriber: &mut Subscriber<Self>) {
        std::mem::forget(subscriber.try_read().expect("a message"));
    }
}

impl<X> Broadcasts for [X]
where
    X: Plain + Copy,
{
    fn publish_more(topic: &Topic<[X]>, value: &[X], stage: &mut Stage<'_>) {
        let max = topic.max_len();
        for len in [0, (stage.choose)(max as u64 + 1) as usize, max, max + 1, usize::MAX] {
            (stage.step)("loan_len_timeout");
            if let Ok(mut loan) = topic.loan_len_timeout(len, PATIENCE) {
                assert_eq!(loan.len(), len);
                stage.read_all(&*loan);
                let some = value.len().min(loan.len());
                loan[..some].copy_from_slice(&value[..some]);
                if (stage.choose)(2) == 0 {
                    (stage.step)("dropping a loan");
                } else {
                    (stage.step)("commit");
                    drop(loan.commit());
                }
            }
        }
        (stage.step)("publish_timeout of other lengths");
        drop(topic.publish_timeout(&value[..(stage.choose)(value.len() as u64 + 1) as usize], PATIENCE));
        drop(topic.try_publish(&[]));
    }

    fn through(publisher: &mut Publisher<[X]>, value: &[X], stage: &mut Stage<'_>) {
        (stage.step)("Publisher::loan_len_timeout");
        let len = (stage.choose)(value.len() as u64 + 1) as usize;
        if let Ok(loan) = publisher.loan_len_timeout(len, PATIENCE) {
            stage.read_all(&*loan);
            (stage.step)("Publisher: commit");
            drop(loan.commit());
        }
    }

    fn next_more(subscriber: &mut Subscriber<[X]>, value: &[X], stage: &mut Stage<'_>) {
        let mut buffer = value.to_vec();
        for len in [buffer.len(), 1] {
            (stage.step)("try_next_into");
            match subscriber.try_next_into(&mut buffer[..len]) {
                Ok(count) => assert!(count <= len, "{count} elements in a buffer of {len}"),
                Err(error) => drop(error.to_string()),
            }
        }
        (stage.step)("read_timeout");
        if let Ok(sample) = subscriber.read_timeout(PATIENCE) {
            stage.read_all(&*sample);
            (stage.step)("dropping a Sample");
        }
    }

    fn pin(subscriber: &mut Subscriber<Self>) {
        std::mem::forget(subscriber.try_read().expect("a message"));
    }
}

/// Calls every verb `rounds` times in an order that the stage chooses, and at last those that end a
/// topic.
pub fn every_topic_verb<T: ?Sized + Broadcasts>(topic: Topic<T>, value: &T, rounds: u64, stage: &mut Stage<'_>) {
    let mut subscribers: Vec<Subscriber<T>> = Vec::new();
    for _ in 0..rounds {
        let first = (stage.choose)(VERBS);
        for verb in 0..VERBS {
            // All of them: the step is prime to their number.
            one_verb((first + verb * 5) % VERBS, &topic, value, &mut subscribers, stage);
        }
    }
    (stage.step)("close of a topic");
    topic.close();
    for verb in [1, 2, 7, 8] {
        one_verb(verb, &topic, value, &mut subscribers, stage);
    }
    (stage.step)("dropping subscribers of a closed topic");
    drop(subscribers);
    let name = topic.name().to_owned();
    if stage.names && (stage.choose)(5) == 0 {
        (stage.step)("unlink of a topic");
        drop(Topic::<T>::unlink(&name));
    }
    (stage.step)("dropping the topic");
    drop(topic);
}

const VERBS: u64 = 12;

fn one_verb<T: ?Sized + Broadcasts>(
    verb: u64,
    topic: &Topic<T>,
    value: &T,
    subscribers: &mut Vec<Subscriber<T>>,
    stage: &mut Stage<'_>,
) {
    match verb {
        0 => {
            (stage.step)("subscribe");
            subscribers.extend(topic.subscribe());
            (stage.step)("subscribe_from");
            let start = [Start::Now, Start::Oldest, Start::Back((stage.choose)(1 << 40))][(stage.choose)(3) as usize];
            subscribers.extend(topic.subscribe_from(start));
        }
        1 => {
            (stage.step)("try_publish");
            drop(topic.try_publish(value));
            (stage.step)("publish_timeout");
            drop(topic.publish_timeout(value, PATIENCE));
            (stage.step)("publish_deadline");
            drop(topic.publish_deadline(value, Instant::now() + PATIENCE));
        }
        2 | 3 => subscribers.iter_mut().for_each(|subscriber| read_all(subscriber, value, stage)),
        4 => T::publish_more(topic, value, stage),
        5 => {
            (stage.step)("publisher");
            if let Ok(mut publisher) = topic.publisher() {
                (stage.step)("Publisher::publish");
                (0..(stage.choose)(40)).for_each(|_| drop(publisher.try_publish(value)));
                drop(publisher.publish_timeout(value, PATIENCE));
                T::through(&mut publisher, value, stage);
                (stage.step)("publish beside a Publisher");
                drop(topic.try_publish(value));
                (stage.step)("dropping a Publisher");
            }
        }
        6 => {
            (stage.step)("subscribe_lossy");
            subscribers.extend(topic.subscribe_lossy());
            (stage.step)("subscribe_lossy_from");
            let start = [Start::Now, Start::Oldest, Start::Back(3)][(stage.choose)(3) as usize];
            subscribers.extend(topic.subscribe_lossy_from(start));
        }
        7 => {
            (stage.step)("subscribers");
            let all = topic.subscribers();
            assert!(all.len() <= 1000, "{} subscribers", all.len());
            black_box(format!("{all:?}"));
            (stage.step)("stats of a topic");
            black_box(topic.stats());
            (stage.step)("Debug of a topic");
            black_box(format!("{topic:?}"));
            black_box(topic.is_closed());
            (stage.step)("wait_subscribers");
            drop(topic.wait_subscribers(2, PATIENCE));
        }
        8 => {
            (stage.step)("recover of a topic");
            black_box(topic.recover());
        }
        9 => {
            (stage.step)("evict");
            for one in topic.subscribers() {
                if (stage.choose)(2) == 0 {
                    drop(topic.evict(one.id));
                }
            }
            // A publisher finds it then, where the ring is full.
            (0..(stage.choose)(300)).for_each(|_| drop(topic.try_publish(value)));
        }
        10 => {
            (stage.step)("dropping a subscriber");
            if !subscribers.is_empty() {
                drop(subscribers.swap_remove((stage.choose)(subscribers.len() as u64) as usize));
            }
            subscribers.truncate(4);
        }
        _ => {
            (stage.step)("open of a topic by name");
            match Topic::<T>::open(topic.name()) {
                Ok(second) => {
                    (stage.step)("verbs of a second attachment of a topic");
                    drop(second.try_publish(value));
                    drop(second.subscribe_from(Start::Oldest).map(|subscriber| drop(subscriber.try_next())));
                }
                Err(error) => drop(error.to_string()),
            }
        }
    }
}

fn read_all<T: ?Sized + Broadcasts>(subscriber: &mut Subscriber<T>, value: &T, stage: &mut Stage<'_>) {
    (stage.step)("try_next");
    for _ in 0..(stage.choose)(300) {
        if matches!(subscriber.try_next(), Err(GetError::Empty | GetError::Closed)) {
            break;
        }
    }
    (stage.step)("next_timeout");
    drop(subscriber.next_timeout(PATIENCE));
    (stage.step)("next_deadline");
    drop(subscriber.next_deadline(Instant::now()));
    T::next_more(subscriber, value, stage);
    (stage.step)("latest");
    drop(subscriber.latest());
    (stage.step)("counts of a subscriber");
    black_box((subscriber.id(), subscriber.lag(), subscriber.received(), subscriber.missed(), subscriber.is_gating()));
    black_box(format!("{subscriber:?}"));
}
