//! Messages that are given up: they go to the queue for dead letters, whatever happens to the
//! processes in between, or stay on lease.

use crate::deaths::victim;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork};
use crate::support::{BY_ITSELF, PATIENCE, unique_name, wait_at_most};
use shmq::inspect::Inspector;
use shmq::letters::Reason;
use shmq::{DeadLetter, DeadLetters, GetError, Message, PutError, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_message_that_kills_what_visits_it_is_given_up,
        a_message_that_kills_its_holders_goes_to_the_dead_letters,
        a_waiting_getter_hands_over_what_the_dead_held,
        slices_and_endpoints_hand_over,
        several_processes_hand_over_each_message_once,
        a_letter_that_no_queue_takes_stays_on_lease_and_is_tried_again,
        a_letter_waits_for_a_queue_of_its_kind,
        a_letter_whose_keeper_dies_is_tried_by_the_next_process,
        a_message_that_is_no_value_goes_to_the_dead_letters,
        a_child_forked_beside_a_kept_letter_does_not_touch_it,
        a_mutable_lease_comes_back_as_it_stands,
        many_that_no_queue_takes_hold_up_no_getter,
        threads_that_keep_letters_at_once_lose_none,
        what_is_kept_goes_before_the_last_user,
        a_busy_consumer_tries_again,
        a_forwarder_killed_at_random_leaves_the_message_in_one_queue_or_in_both,
    ]
}

/// A queue for dead letters, removed with its test.
struct PostBox(DeadLetters);

impl PostBox {
    fn new(bytes: usize) -> PostBox {
        PostBox(DeadLetters::create(unique_name("letters"), bytes).unwrap())
    }
}

impl Drop for PostBox {
    fn drop(&mut self) {
        DeadLetters::unlink(self.0.name()).unwrap();
    }
}

fn worn_after<T: ?Sized + Message>(deliveries: u32, letters: &str) -> Queue<T> {
    Queue::<T>::builder().name(unique_name("worn")).capacity(8).max_deliveries(deliveries).dead_letters(letters).create().unwrap()
}

/// Leases the next message and is killed while it holds the lease.
fn die_with_a_lease(queue: &Queue<u64>) {
    victim("a holder that the message kills", |wait| {
        let _lease = queue.lease_timeout(PATIENCE).unwrap();
        wait();
    })
    .kill();
}

fn expect_letter(letter: &DeadLetter, queue: &str, reason: &Reason, deliveries: u32, bytes: &[u8]) {
    let found = (letter.queue.as_str(), &letter.reason, letter.deliveries, letter.bytes.as_slice());
    assert_eq!(found, (queue, reason, deliveries, bytes));
}

fn a_message_that_kills_its_holders_goes_to_the_dead_letters() {
    let letters = PostBox::new(4096);
    let queue = worn_after::<u64>(2, letters.0.name());
    queue.put_slice(&[13, 1]).unwrap();
    die_with_a_lease(&queue);
    assert_eq!((queue.recover().redelivered, letters.0.len()), (1, 0));
    die_with_a_lease(&queue);
    let report = queue.recover();
    assert_eq!((report.given_up, letters.0.len()), (1, 1), "{report:?}");
    assert_eq!((queue.try_get().unwrap(), queue.stats().dead_letters, queue.stats().given_up), (1, 1, 0));
    let letter = letters.0.try_get().unwrap();
    expect_letter(&letter, queue.name(), &Reason::TooManyDeliveries, 2, &13u64.to_ne_bytes());
    assert_eq!((letter.type_name.as_str(), letter.value::<u64>(), letter.value::<u32>()), ("u64", Some(13), None));
    // Everything is done: one copy, and the letter.
    queue.task_done().unwrap();
    queue.join_timeout(PATIENCE).unwrap();
    assert_eq!(Inspector::open(queue.name()).unwrap().about().dead_letters.as_deref(), Some(letters.0.name()));
}

fn a_waiting_getter_hands_over_what_the_dead_held() {
    let letters = PostBox::new(4096);
    let queue = worn_after::<u64>(1, letters.0.name());
    queue.put(&13).unwrap();
    let holder = victim("a holder that the message kills", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let mut getter = fork("a getter", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 14));
    getter.wait_until_asleep();
    holder.kill();
    // Another process sees it there, before any message wakes the getter.
    let letter = letters.0.get_timeout(PATIENCE).unwrap();
    expect_letter(&letter, queue.name(), &Reason::TooManyDeliveries, 1, &13u64.to_ne_bytes());
    queue.put(&14).unwrap();
    getter.expect_success_within(BY_ITSELF);
}

fn slices_and_endpoints_hand_over() {
    let letters = PostBox::new(1 << 16);
    let queue = Queue::<[u32]>::builder().name(unique_name("worn-slices")).capacity_bytes(1 << 15).max_deliveries(1);
    let queue = queue.dead_letters(letters.0.name()).create().unwrap();
    for length in [0, 3, 2000] {
        queue.put(&vec![7; length]).unwrap();
    }
    let consumer = queue.consumer().unwrap();
    let all = [(); 3].map(|()| consumer.try_lease().unwrap());
    all.into_iter().for_each(|lease| lease.give_back());
    assert!(matches!(consumer.try_get(), Err(GetError::Empty)));
    for length in [0, 3, 2000] {
        let letter = letters.0.lease().unwrap();
        assert_eq!((letter.elements::<u32>().unwrap(), letter.queue.as_str()), (vec![7; length], queue.name()));
        letter.release();
    }
    assert!(letters.0.is_empty());
}

fn several_processes_hand_over_each_message_once() {
    const MESSAGES: u64 = 6;
    let letters = PostBox::new(1 << 16);
    let queue = worn_after::<u64>(1, letters.0.name());
    queue.put_slice(&(0..MESSAGES).collect::<Vec<_>>()).unwrap();
    victim("a holder of all", |wait| {
        let _all: Vec<_> = (0..MESSAGES).map(|_| queue.lease().unwrap()).collect();
        wait();
    })
    .kill();
    let getters =
        (0..4).map(|_| fork("a getter", || assert!(matches!(queue.get_timeout(BY_ITSELF / 4), Err(GetError::Timeout)))));
    expect_all_succeed(getters.collect());
    let mut found: Vec<u64> = (0..MESSAGES).map(|_| letters.0.try_get().unwrap().value().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!((letters.0.len(), queue.stats().dead_letters), (0, MESSAGES));
}

fn a_letter_that_no_queue_takes_stays_on_lease_and_is_tried_again() {
    let name = unique_name("late-letters");
    let queue = worn_after::<u64>(1, &name);
    queue.put_slice(&[13, 1]).unwrap();
    queue.lease().unwrap().give_back();
    // The queue for dead letters is missing: getters take the messages behind the letter, and the
    // letter is not lost.
    assert_eq!(queue.try_get().unwrap(), 1);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    let seen = Inspector::open(queue.name()).unwrap().snapshot();
    assert_eq!((seen.on_lease, seen.participants[0].keeps_letters, seen.stats.dead_letters), (1, true, 0));
    assert!(seen.stats.dead_letters_refused >= 1);
    queue.task_done().unwrap();
    assert!(queue.join_timeout(std::time::Duration::ZERO).is_err(), "it is not finished");
    // Full.
    let letters = DeadLetters::create(&name, 4096).unwrap();
    let filler = DeadLetters::open(&name).unwrap();
    let mut fill = letter_of(&queue, &letters);
    fill.bytes = vec![1; 64];
    while filler.try_put(&fill).is_ok() {}
    fill.bytes.clear();
    while filler.try_put(&fill).is_ok() {}
    queue.put(&14).unwrap();
    queue.lease().unwrap().give_back();
    let _ = queue.recover();
    let full = queue.stats();
    assert!(matches!(filler.try_put(&fill), Err(PutError::Full)));
    assert!(full.dead_letters_refused >= 2, "{full:?}");
    // There is room: a getter of the same process hands the letter over in its next call.
    while letters.try_get().is_ok() {}
    wait_at_most(
        BY_ITSELF,
        "the letter",
        || {
            let _ = queue.get_timeout(std::time::Duration::from_millis(20));
            !letters.is_empty()
        },
        || format!("{:?}", queue.stats()),
    );
    assert_eq!(letters.try_get().unwrap().value::<u64>(), Some(14));
    let seen = Inspector::open(queue.name()).unwrap().snapshot();
    assert_eq!((seen.on_lease, seen.participants[0].keeps_letters), (0, false));
    queue.join_timeout(PATIENCE).unwrap();
    DeadLetters::unlink(&name).unwrap();
}

/// The letter that waited for its queue. Callers use it to fill another one.
fn letter_of(queue: &Queue<u64>, letters: &DeadLetters) -> DeadLetter {
    queue.recover();
    let letter = letters.get_timeout(PATIENCE).unwrap();
    expect_letter(&letter, queue.name(), &Reason::TooManyDeliveries, 1, &13u64.to_ne_bytes());
    letter
}

fn worn_out_at_once(letters: &str, messages: u64) -> Queue<u64> {
    let queue = Queue::<u64>::builder().name(unique_name("worn-at-once")).capacity(messages as usize + (1 << 16));
    let queue = queue.max_deliveries(1).dead_letters(letters).create().unwrap();
    queue.put_slice(&(0..messages).collect::<Vec<_>>()).unwrap();
    let leases: Vec<_> = (0..messages).map(|_| queue.lease().unwrap()).collect();
    leases.into_iter().for_each(|lease| lease.give_back());
    queue
}

fn many_that_no_queue_takes_hold_up_no_getter() {
    const MESSAGES: u64 = 5000;
    let name = unique_name("missing-letters");
    let queue = worn_out_at_once(&name, MESSAGES);
    queue.put(&MESSAGES).unwrap();
    assert_eq!(queue.try_get().unwrap(), MESSAGES);
    queue.task_done().unwrap();
    assert!(matches!(queue.get_timeout(std::time::Duration::from_millis(5)), Err(GetError::Timeout)));
    // One was tried, not each.
    let refused = queue.stats().dead_letters_refused;
    assert!((1..20).contains(&refused), "{refused}");
    assert_eq!(Inspector::open(queue.name()).unwrap().snapshot().on_lease, MESSAGES);
    // A child may be forked while letters are kept, and all of them are still there.
    assert!(shmq::Process::spawn(|| {}).unwrap().join().unwrap().success());
    let letters = DeadLetters::create(&name, 1 << 20).unwrap();
    assert_eq!((queue.recover().given_up, letters.len() as u64), (MESSAGES, MESSAGES));
    queue.join_timeout(PATIENCE).unwrap();
    DeadLetters::unlink(&name).unwrap();
}

fn threads_that_keep_letters_at_once_lose_none() {
    const MESSAGES: usize = 4000;
    let name = unique_name("letters-at-once");
    let truths = Queue::<bool>::builder().name(unique_name("truths")).capacity(MESSAGES).schema("one").dead_letters(&name);
    let truths = truths.create().unwrap();
    let bytes = Queue::<u8>::builder().name(truths.name()).schema("one").open().unwrap();
    bytes.put_slice(&[2; MESSAGES]).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                loop {
                    match truths.try_get() {
                        Err(GetError::Empty) => break,
                        // Four threads share the lock: its holder may be descheduled.
                        Err(GetError::Busy) => {}
                        // A task_done for it is due at once, although no queue has the letter.
                        Err(GetError::Invalid) => truths.task_done().unwrap(),
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let letters = DeadLetters::create(&name, 1 << 20).unwrap();
    truths.recover();
    assert_eq!(letters.len(), MESSAGES);
    assert!(!Inspector::open(truths.name()).unwrap().snapshot().participants[0].keeps_letters);
    truths.join_timeout(PATIENCE).unwrap();
    DeadLetters::unlink(&name).unwrap();
}

fn what_is_kept_goes_before_the_last_user() {
    let name = unique_name("last-user");
    let queue = worn_out_at_once(&name, 3);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    let letters = DeadLetters::create(&name, 4096).unwrap();
    drop(queue);
    assert_eq!(letters.len(), 3);
    DeadLetters::unlink(&name).unwrap();
}

fn a_busy_consumer_tries_again() {
    let name = unique_name("busy-consumer");
    let queue = worn_out_at_once(&name, 3);
    let consumer = queue.consumer().unwrap();
    assert!(matches!(consumer.try_get(), Err(GetError::Empty)));
    let letters = DeadLetters::create(&name, 4096).unwrap();
    wait_at_most(
        BY_ITSELF,
        "the letters",
        || {
            // Never without a message. The kept letters also hold the room behind them.
            (0..8).for_each(|n| queue.try_put(&n).unwrap());
            (0..8).for_each(|n| assert_eq!(consumer.get().unwrap(), n));
            letters.len() == 3
        },
        || format!("{:?}", queue.stats()),
    );
    DeadLetters::unlink(&name).unwrap();
}

fn a_letter_waits_for_a_queue_of_its_kind() {
    let name = unique_name("other-kind");
    let other = Queue::<[u8]>::builder().name(&name).capacity_bytes(4096).create().unwrap();
    let queue = worn_after::<u64>(1, &name);
    queue.put(&13).unwrap();
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((queue.recover().given_up, other.len(), queue.stats().dead_letters), (0, 0, 0));
    drop(other);
    let letters = DeadLetters::create(&name, 4096).unwrap();
    assert_eq!((queue.recover().given_up, letters.len()), (1, 1));
    // A closed one, and another one that has taken its name since.
    letters.close();
    queue.put(&14).unwrap();
    queue.lease().unwrap().give_back();
    assert_eq!((queue.recover().given_up, letters.len()), (0, 1));
    DeadLetters::unlink(&name).unwrap();
    let anew = DeadLetters::create(&name, 4096).unwrap();
    assert_eq!((queue.recover().given_up, anew.len()), (1, 1));
    DeadLetters::unlink(&name).unwrap();
}

fn a_letter_whose_keeper_dies_is_tried_by_the_next_process() {
    let name = unique_name("next-process");
    let queue = worn_after::<u64>(1, &name);
    for kills in [true, false] {
        queue.put(&13).unwrap();
        let keep = || {
            queue.lease().unwrap().give_back();
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        };
        if kills {
            victim("one who keeps a letter", |wait| {
                keep();
                wait();
            })
            .kill();
        } else {
            // Leaves in good order, with the letter on lease.
            fork("one who keeps a letter", keep).expect_success();
        }
        drop(queue.get_timeout(std::time::Duration::from_millis(300)));
        let letters = DeadLetters::create(&name, 4096).unwrap();
        wait_at_most(
            BY_ITSELF,
            "the letter",
            || queue.recover().given_up != 0 || !letters.is_empty(),
            || format!("{:?}", queue.stats()),
        );
        let letter = letters.try_get().unwrap();
        assert_eq!((letter.value::<u64>(), &letter.reason), (Some(13), &Reason::TooManyDeliveries));
        DeadLetters::unlink(&name).unwrap();
    }
}

fn a_message_that_is_no_value_goes_to_the_dead_letters() {
    let letters = PostBox::new(1 << 16);
    let name = unique_name("no-value");
    let truths = Queue::<[bool; 3]>::builder().name(&name).capacity(8).schema("three").dead_letters(letters.0.name()).create();
    let truths = truths.unwrap();
    let bytes = Queue::<[u8; 3]>::builder().name(&name).schema("three").open().unwrap();
    bytes.put_slice(&[[1, 2, 3], [1, 0, 1]]).unwrap();
    assert!(matches!(truths.get(), Err(GetError::Invalid)));
    assert_eq!(truths.get().unwrap(), [true, false, true]);
    bytes.put_slice(&[[4, 0, 0], [0, 1, 1], [5, 0, 0]]).unwrap();
    let endpoint = truths.consumer().unwrap();
    assert!(matches!(endpoint.get(), Err(GetError::Invalid)));
    assert_eq!(endpoint.get().unwrap(), [false, true, true]);
    assert!(matches!(endpoint.get_boxed(), Err(GetError::Invalid)));
    drop(endpoint);
    bytes.put_slice(&[[6, 0, 0], [0, 0, 1], [7, 0, 0]]).unwrap();
    let mut three = [[false; 3]; 3];
    let mut taken = 0;
    loop {
        match truths.try_get_slice(&mut three) {
            Ok(count) => taken += count,
            Err(GetError::Invalid) => {}
            Err(GetError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((taken, three[0]), (1, [false, false, true]));
    for first in [1, 4, 5, 6, 7] {
        let letter = letters.0.try_get().unwrap();
        assert_eq!((letter.bytes[0], &letter.reason, letter.deliveries), (first, &Reason::Invalid, 1));
    }
    assert!(letters.0.is_empty());
    // By copy, one for each of them, including those that were not valid values.
    (0..8).for_each(|_| truths.task_done().unwrap());
    truths.join_timeout(PATIENCE).unwrap();
}

fn a_child_forked_beside_a_kept_letter_does_not_touch_it() {
    let name = unique_name("beside");
    let queue = worn_after::<u64>(1, &name);
    queue.put(&13).unwrap();
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    // A letter is not a guard: nothing refers into it.
    let child = shmq::Process::spawn(|| {
        assert_eq!(queue.recover().given_up, 0);
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    })
    .unwrap();
    assert!(child.join().unwrap().success());
    let letters = DeadLetters::create(&name, 4096).unwrap();
    fork("a child", || assert_eq!((queue.recover().given_up, letters.len()), (0, 0))).expect_success();
    assert_eq!((queue.recover().given_up, letters.len()), (1, 1));
    DeadLetters::unlink(&name).unwrap();
}

fn a_mutable_lease_comes_back_as_it_stands() {
    let queue = Queue::<[u8; 8]>::new(4).unwrap();
    queue.put(b"original").unwrap();
    victim("a holder that writes", |wait| {
        let mut lease = queue.lease_mut().unwrap();
        lease[..4].copy_from_slice(b"ORIG");
        wait();
    })
    .kill();
    let lease = queue.lease_mut_timeout(PATIENCE).unwrap();
    assert_eq!((&*lease, lease.deliveries()), (b"ORIGinal", 2));
    lease.release();
    assert!(queue.is_empty());
}

fn a_forwarder_killed_at_random_leaves_the_message_in_one_queue_or_in_both() {
    let mut rng = crate::support::Rng::new("forwarder");
    let mut forwarded = 0;
    for _ in 0..30 {
        let (from, to) = (Queue::<u64>::new(8).unwrap(), Queue::<u64>::new(8).unwrap());
        from.put_slice(&[1, 2, 3, 4, 5, 6]).unwrap();
        let started = crate::support::process::shared_word();
        let forwarder = fork("a forwarder", || {
            started.store(1, std::sync::atomic::Ordering::Release);
            while let Ok(lease) = from.try_lease() {
                lease.forward_timeout(&to, PATIENCE).unwrap();
            }
        });
        crate::support::process::wait_for_count("the forwarder", started, 1);
        std::thread::sleep(rng.duration_below(std::time::Duration::from_micros(300)));
        forwarder.kill_if_running();
        from.recover();
        to.recover();
        let drain = |queue: &Queue<u64>| std::iter::from_fn(|| queue.try_get().ok()).collect::<Vec<_>>();
        let (left, there) = (drain(&from), drain(&to));
        forwarded += there.len();
        assert!(there.iter().copied().eq(1..=there.len() as u64), "{there:?}");
        let lost = (1..=6).find(|n| !left.contains(n) && !there.contains(n));
        let twice = left.iter().filter(|n| there.contains(n)).count();
        assert!(lost.is_none() && twice <= 1, "left {left:?}, there {there:?}");
    }
    assert!(forwarded > 0);
}

/// `get_each` counts deliveries where they are limited: by a lease, since a message of a burst stays
/// READY.
fn a_message_that_kills_what_visits_it_is_given_up() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(2).create().unwrap();
    assert_eq!(queue.put_slice(&[13, 1, 2]).unwrap(), 3);
    for expected in [(1, 0), (0, 1)] {
        victim("a consumer that the message kills", |wait| {
            let mut consumer = queue.consumer().unwrap();
            let _ = consumer.get_each(9, |message| {
                assert_eq!(message, 13);
                wait();
            });
        })
        .kill();
        let report = queue.recover();
        assert_eq!((report.redelivered, report.given_up), expected);
    }
    let mut got = Vec::new();
    assert_eq!(queue.consumer().unwrap().get_each(9, |message| got.push(message)).unwrap(), 2);
    assert_eq!(got, [1, 2]);
    got.iter().for_each(|_| queue.task_done().unwrap());
    queue.join_timeout(PATIENCE).unwrap();
}
