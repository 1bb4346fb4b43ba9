//! The four forms of each verb: waiting, at once, with a timeout, until a deadline. None is early.

use crate::support::harness::Case;
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, Topic};
use std::cell::RefCell;
use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        publishing_into_a_full_topic_in_every_form,
        publishing_into_a_topic_with_room_in_every_form,
        reading_an_empty_topic_in_every_form,
        reading_what_is_there_in_every_form,
        a_waiting_reader_of_each_form_is_woken,
        a_waiting_publisher_of_each_form_is_woken,
        a_batch_larger_than_the_capacity_goes_through,
        a_batch_that_cannot_go_on_says_how_many_went,
        batches_of_any_length_are_read_in_order,
        a_buffer_that_is_too_small_leaves_the_message,
        iterators_end_at_closed,
        an_iterator_goes_on_after_lagged_and_evicted,
    ]
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Waits,
    Tries,
    Timeout(Duration),
    Deadline(Instant),
}

/// Calls one of the four forms of a verb.
macro_rules! in_form {
    ($form:expr, $on:expr, $waits:ident $tries:ident $timeout:ident $deadline:ident ($($argument:expr),*)) => {
        match $form {
            Form::Waits => $on.$waits($($argument),*).map(drop),
            Form::Tries => $on.$tries($($argument),*).map(drop),
            Form::Timeout(timeout) => $on.$timeout($($argument,)* timeout).map(drop),
            Form::Deadline(deadline) => $on.$deadline($($argument,)* deadline).map(drop),
        }
    };
}

type Verb<'a, E> = (&'static str, Box<dyn Fn(Form) -> Result<(), E> + 'a>);

/// The verbs that publish one value, by lock.
fn by_lock<'a>(topic: &'a Topic<u64>) -> Vec<Verb<'a, PutError>> {
    vec![
        ("publish", Box::new(|form| in_form!(form, topic, publish try_publish publish_timeout publish_deadline(&7)))),
        (
            "publish_slice",
            Box::new(
                |form| in_form!(form, topic, publish_slice try_publish_slice publish_slice_timeout publish_slice_deadline(&[7])),
            ),
        ),
        ("loan", Box::new(|form| in_form!(form, topic, loan try_loan loan_timeout loan_deadline()))),
    ]
}

fn by_endpoint<'a>(publisher: &'a shmq::Publisher<u64>) -> Vec<Verb<'a, PutError>> {
    vec![
        (
            "Publisher::publish",
            Box::new(|form| in_form!(form, publisher, publish try_publish publish_timeout publish_deadline(&7))),
        ),
        (
            "Publisher::publish_slice",
            Box::new(
                |form| in_form!(form, publisher, publish_slice try_publish_slice publish_slice_timeout publish_slice_deadline(&[7])),
            ),
        ),
        ("Publisher::loan", Box::new(|form| in_form!(form, publisher, loan try_loan loan_timeout loan_deadline()))),
    ]
}

/// The same, of messages that take a half of the ring.
fn slices_by_lock<'a>(topic: &'a Topic<[u8]>, message: &'a [u8]) -> Vec<Verb<'a, PutError>> {
    vec![
        (
            "publish of a slice",
            Box::new(|form| in_form!(form, topic, publish try_publish publish_timeout publish_deadline(message))),
        ),
        (
            "loan_len",
            Box::new(|form| in_form!(form, topic, loan_len try_loan_len loan_len_timeout loan_len_deadline(message.len()))),
        ),
    ]
}

fn slices_by_endpoint<'a>(publisher: &'a shmq::Publisher<[u8]>, message: &'a [u8]) -> Vec<Verb<'a, PutError>> {
    vec![
        (
            "Publisher::publish of a slice",
            Box::new(|form| in_form!(form, publisher, publish try_publish publish_timeout publish_deadline(message))),
        ),
        (
            "Publisher::loan_len",
            Box::new(|form| in_form!(form, publisher, loan_len try_loan_len loan_len_timeout loan_len_deadline(message.len()))),
        ),
    ]
}

/// A verb that cannot succeed: at once where it tries, and never before its time.
#[track_caller]
fn gives_up<E: Debug>((name, verb): &Verb<'_, E>, is_at_once: fn(&E) -> bool, is_timeout: fn(&E) -> bool) {
    let error = verb(Form::Tries).unwrap_err();
    assert!(is_at_once(&error), "try of {name}: {error:?}");
    for asked in [0, 1, 7, 30].map(Duration::from_millis) {
        for by_deadline in [false, true] {
            let began = Instant::now();
            let form = if by_deadline { Form::Deadline(began + asked) } else { Form::Timeout(asked) };
            let error = verb(form).unwrap_err();
            let took = began.elapsed();
            assert!(is_timeout(&error), "{name} {form:?}: {error:?}");
            assert!(took >= asked && took < asked + BY_ITSELF, "{name} {form:?} took {took:?}");
        }
    }
    let past = Form::Deadline(Instant::now() - Duration::from_secs(1));
    let error = verb(past).unwrap_err();
    assert!(is_timeout(&error), "{name}, a deadline that has passed: {error:?}");
}

fn publishing_into_a_full_topic_in_every_form() {
    let topic = Topic::<u64>::new(3).unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2, 3]).unwrap();
    let check = |verb: Verb<'_, PutError>| {
        gives_up(
            &verb,
            |error| error.is_full() && matches!(error, PutError::Gated { timed_out: false, .. }),
            |error| error.is_timeout() && matches!(error, PutError::Gated { timed_out: true, .. }),
        );
    };
    by_lock(&topic).into_iter().for_each(check);
    by_endpoint(&topic.publisher().unwrap()).into_iter().for_each(check);
    assert_eq!((topic.stats().published, slow.lag()), (3, 3));
    assert_eq!([slow.next().unwrap(), slow.next().unwrap(), slow.next().unwrap()], [1, 2, 3]);

    let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let _slow = topic.subscribe().unwrap();
    let message = vec![1; topic.max_len()];
    while topic.try_publish(&message).is_ok() {}
    slices_by_lock(&topic, &message).into_iter().for_each(check);
    slices_by_endpoint(&topic.publisher().unwrap(), &message).into_iter().for_each(check);
}

fn publishing_into_a_topic_with_room_in_every_form() {
    let topic = Topic::<u64>::new(64).unwrap();
    let every = topic.subscribe().unwrap();
    let check = |(name, verb): Verb<'_, PutError>| {
        for form in [Form::Waits, Form::Tries, Form::Timeout(Duration::ZERO), Form::Deadline(Instant::now())] {
            verb(form).unwrap_or_else(|error| panic!("{name} {form:?}: {error}"));
        }
    };
    by_lock(&topic).into_iter().for_each(check);
    by_endpoint(&topic.publisher().unwrap()).into_iter().for_each(check);
    // The loans were dropped.
    assert_eq!((topic.stats().published, topic.stats().aborted), (24, 8));
    let mut all = [0; 64];
    while every.try_next_slice(&mut all).is_ok() {}
    assert_eq!((every.received(), every.missed(), every.lag()), (16, 8, 0));

    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    slices_by_lock(&topic, b"message").into_iter().for_each(check);
    slices_by_endpoint(&topic.publisher().unwrap(), b"message").into_iter().for_each(check);
    assert_eq!(topic.stats().published, 16);
}

fn reads<'a>(every: &'a RefCell<shmq::Subscriber<u64>>) -> Vec<Verb<'a, GetError>> {
    vec![
        ("next", Box::new(|form| in_form!(form, every.borrow(), next try_next next_timeout next_deadline()))),
        (
            "next_slice",
            Box::new(
                |form| in_form!(form, every.borrow(), next_slice try_next_slice next_slice_timeout next_slice_deadline(&mut [0])),
            ),
        ),
        (
            "next_boxed",
            Box::new(|form| in_form!(form, every.borrow(), next_boxed try_next_boxed next_boxed_timeout next_boxed_deadline())),
        ),
        ("read", Box::new(|form| in_form!(form, every.borrow_mut(), read try_read read_timeout read_deadline()))),
    ]
}

fn slice_reads<'a>(every: &'a RefCell<shmq::Subscriber<[u8]>>) -> Vec<Verb<'a, GetError>> {
    vec![
        ("next of a slice", Box::new(|form| in_form!(form, every.borrow(), next try_next next_timeout next_deadline()))),
        (
            "next_into",
            Box::new(
                |form| in_form!(form, every.borrow(), next_into try_next_into next_into_timeout next_into_deadline(&mut [0; 64])),
            ),
        ),
        ("read of a slice", Box::new(|form| in_form!(form, every.borrow_mut(), read try_read read_timeout read_deadline()))),
    ]
}

fn reading_an_empty_topic_in_every_form() {
    let check = |verb: Verb<'_, GetError>| gives_up(&verb, GetError::is_empty, GetError::is_timeout);
    let topic = Topic::<u64>::new(3).unwrap();
    topic.publish(&1).unwrap();
    reads(&RefCell::new(topic.subscribe().unwrap())).into_iter().for_each(check);
    let lossy = RefCell::new(topic.subscribe_lossy().unwrap());
    reads(&lossy).into_iter().take(3).for_each(check);
    let refused = lossy.borrow_mut().read_timeout(Duration::ZERO).map(drop);
    assert!(matches!(refused, Err(GetError::NotGating)));
    drop(lossy);

    let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    topic.publish(&[1]).unwrap();
    slice_reads(&RefCell::new(topic.subscribe().unwrap())).into_iter().for_each(check);
    let lossy = RefCell::new(topic.subscribe_lossy().unwrap());
    slice_reads(&lossy).into_iter().take(2).for_each(check);
    assert!(topic.stats().read_timeouts > 0);
}

fn reading_what_is_there_in_every_form() {
    let check = |(name, verb): Verb<'_, GetError>| {
        for form in [Form::Waits, Form::Tries, Form::Timeout(Duration::ZERO), Form::Deadline(Instant::now())] {
            verb(form).unwrap_or_else(|error| panic!("{name} {form:?}: {error}"));
        }
    };
    let topic = Topic::<u64>::new(64).unwrap();
    let every = RefCell::new(topic.subscribe().unwrap());
    topic.publish_slice(&(0..16).collect::<Vec<_>>()).unwrap();
    reads(&every).into_iter().for_each(check);
    assert_eq!((every.borrow().received(), every.borrow().lag()), (16, 0));
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    let every = RefCell::new(topic.subscribe().unwrap());
    (0..12).for_each(|n| topic.publish(&[n; 9]).unwrap());
    slice_reads(&every).into_iter().for_each(check);
    assert_eq!((every.borrow().received(), every.borrow().lag()), (12, 0));
}

fn a_waiting_reader_of_each_form_is_woken() {
    let topic = Topic::<u64>::new(3).unwrap();
    for place in 0..4 {
        for form in [Form::Waits, Form::Timeout(PATIENCE), Form::Deadline(Instant::now() + PATIENCE)] {
            let subscriber = topic.subscribe().unwrap();
            let sleeper = start_and_wait_until_asleep("a subscriber", move || {
                let every = RefCell::new(subscriber);
                let (name, verb) = reads(&every).swap_remove(place);
                verb(form).map_err(|error| format!("{name} {form:?}: {error}"))
            });
            assert!(!sleeper.has_finished());
            topic.publish(&9).unwrap();
            sleeper.join().unwrap();
        }
    }
    assert!(topic.stats().blocked_reads >= 12);
}

fn a_waiting_publisher_of_each_form_is_woken() {
    for place in 0..6 {
        for form in [Form::Waits, Form::Timeout(PATIENCE), Form::Deadline(Instant::now() + PATIENCE)] {
            let topic = Topic::<u64>::new(2).unwrap();
            let slow = topic.subscribe().unwrap();
            topic.publish_slice(&[1, 2]).unwrap();
            let publishing = topic.clone();
            let sleeper = start_and_wait_until_asleep("a publisher", move || {
                if place < 3 {
                    by_lock(&publishing).swap_remove(place).1(form)
                } else {
                    by_endpoint(&publishing.publisher().unwrap()).swap_remove(place - 3).1(form)
                }
            });
            assert!(!sleeper.has_finished());
            assert_eq!(slow.next().unwrap(), 1);
            sleeper.join().unwrap();
            assert_eq!((topic.stats().published, topic.stats().blocked_publishes), (3, 1), "verb {place} {form:?}");
        }
    }
}

fn a_batch_larger_than_the_capacity_goes_through() {
    for capacity in [1, 2, 7, 64] {
        for owned in [false, true] {
            let topic = Topic::<u64>::new(capacity).unwrap();
            let batch: Vec<u64> = (0..10 * capacity as u64 + 3).collect();
            let subscribers: Vec<_> = (0..3).map(|_| topic.subscribe().unwrap()).collect();
            thread::scope(|scope| {
                for subscriber in subscribers {
                    let batch = &batch;
                    scope.spawn(move || {
                        for expected in batch {
                            assert_eq!(subscriber.next_timeout(PATIENCE).unwrap(), *expected);
                        }
                        assert!(subscriber.try_next().unwrap_err().is_empty());
                    });
                }
                let moved = if owned {
                    topic.publisher().unwrap().publish_slice_timeout(&batch, PATIENCE)
                } else {
                    topic.publish_slice_timeout(&batch, PATIENCE)
                };
                assert_eq!(moved.unwrap(), batch.len());
            });
        }
    }
}

fn a_batch_that_cannot_go_on_says_how_many_went() {
    for capacity in [1usize, 5, 100] {
        let topic = Topic::<u64>::new(capacity).unwrap();
        let slow = topic.subscribe().unwrap();
        let batch: Vec<u64> = (0..capacity as u64 + 9).collect();
        assert_eq!(topic.try_publish_slice(&batch).unwrap(), capacity);
        assert!(topic.try_publish_slice(&batch).unwrap_err().is_full());
        assert_eq!(topic.try_publish_slice(&[]).unwrap(), 0, "nothing needs no room");
        slow.next().unwrap();
        let began = Instant::now();
        let publisher = topic.publisher().unwrap();
        assert_eq!(publisher.publish_slice_timeout(&batch, Duration::from_millis(20)).unwrap(), 1);
        assert!(began.elapsed() >= Duration::from_millis(20));
        let late = publisher.publish_slice_deadline(&batch, Instant::now()).unwrap_err();
        assert!(matches!(late, PutError::Gated { timed_out: true, lag, .. } if lag == capacity as u64), "{late:?}");
    }
}

fn batches_of_any_length_are_read_in_order() {
    let topic = Topic::<u64>::new(50).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let (mut published, mut buffer) = (0u64, [0; 70]);
    for round in 0..400usize {
        let batch: Vec<u64> = (published..published + (round % 51) as u64).collect();
        assert_eq!(topic.try_publish_slice(&batch).unwrap(), batch.len());
        published += batch.len() as u64;
        for subscriber in [&every, &live] {
            let length = 1 + round * 7 % 70;
            loop {
                let next = subscriber.received();
                match subscriber.try_next_slice(&mut buffer[..length]) {
                    Ok(count) => {
                        assert!((1..=length).contains(&count));
                        assert!(buffer[..count].iter().copied().eq(next..next + count as u64), "{buffer:?} from {next}");
                    }
                    Err(error) => break assert!(error.is_empty(), "{error}"),
                }
            }
            assert_eq!((subscriber.received(), subscriber.missed(), subscriber.lag()), (published, 0, 0));
            assert_eq!(subscriber.try_next_slice(&mut []).unwrap(), 0);
        }
    }
}

fn a_buffer_that_is_too_small_leaves_the_message() {
    let topic = Topic::<[u16]>::builder().capacity_bytes(4096).create().unwrap();
    let subscribers = [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()];
    topic.publish(&[1, 2, 3]).unwrap();
    topic.publish(&[]).unwrap();
    for subscriber in subscribers {
        for _ in 0..3 {
            let error = subscriber.next_into(&mut [0; 2]).unwrap_err();
            assert!(matches!(error, GetError::TooSmall { needed: 3, given: 2 }), "{error:?}");
            assert_eq!((subscriber.received(), subscriber.lag()), (0, 2));
        }
        let mut exact = [0; 3];
        assert_eq!((subscriber.next_into(&mut exact).unwrap(), exact), (3, [1, 2, 3]));
        assert_eq!(subscriber.next_into(&mut []).unwrap(), 0, "an empty message needs no room");
        assert!(subscriber.try_next_into(&mut []).unwrap_err().is_empty());
    }
}

fn iterators_end_at_closed() {
    let topic = Topic::<u64>::new(8).unwrap();
    let (first, second) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    topic.publish_slice(&[1, 2, 3]).unwrap();
    assert_eq!(first.iter().take(1).map(Result::unwrap).sum::<u64>(), 1);
    let sleeper = start_and_wait_until_asleep("an iterating subscriber", move || {
        second.into_iter().collect::<Result<Vec<u64>, _>>().unwrap()
    });
    topic.publish(&4).unwrap();
    topic.close();
    assert_eq!(sleeper.join(), [1, 2, 3, 4]);
    let mut rest = first.iter();
    assert_eq!(rest.by_ref().map(Result::unwrap).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(rest.next().is_none() && rest.next().is_none());
}

fn an_iterator_goes_on_after_lagged_and_evicted() {
    let topic = Topic::<u64>::new(2).unwrap();
    let every = topic.subscribe().unwrap();
    assert!(topic.evict(every.id()).unwrap());
    (0..100).for_each(|n| topic.try_publish(&n).unwrap());
    topic.close();
    let items: Vec<_> = every.iter().collect();
    assert!(matches!(items[0], Err(GetError::Evicted)), "{items:?}");
    assert!(matches!(items[1], Err(GetError::Lagged { .. })), "{items:?}");
    let rest: Vec<u64> = items.into_iter().skip(2).map(Result::unwrap).collect();
    assert_eq!(rest.last(), Some(&99));
    assert_eq!(every.received() + every.missed(), 100);
}
