//! Messages that are written in place.

use crate::support::harness::Case;
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE, Rng, matches_pattern, pattern};
use shmq::{GetError, PutError, SubscribeError, Topic, TopicLoan};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        what_is_published_behind_a_loan_waits_for_its_end,
        loans_that_end_in_any_order_are_read_in_order,
        a_commit_and_a_drop_wake_what_waits_behind_the_loan,
        a_shorter_commit_gives_the_rest_back,
        a_commit_of_more_than_was_lent_panics_and_aborts,
        a_publisher_waits_for_a_loan_and_is_woken_by_its_end,
        loans_of_an_endpoint_outlive_nothing_but_the_endpoint,
        a_loan_of_an_old_message_shows_no_reader_a_half,
        latest_passes_open_loans,
        latest_of_slices_finds_loans_that_were_committed_late,
        loans_and_lossy_readers_exclude_each_other_in_one_process_only,
        samples_of_values_and_slices,
    ]
}

fn what_is_published_behind_a_loan_waits_for_its_end() {
    for commits in [false, true] {
        let topic = Topic::<u64>::new(8).unwrap();
        let subscribers: Vec<_> = (0..3).map(|_| topic.subscribe().unwrap()).collect();
        topic.publish(&1).unwrap();
        let mut loan = topic.loan().unwrap();
        *loan = 2;
        topic.publish(&3).unwrap();
        topic.publish_slice(&[4, 5]).unwrap();
        for every in &subscribers {
            assert_eq!(every.next().unwrap(), 1);
            assert!(every.try_next().unwrap_err().is_empty());
            assert!(every.try_next_slice(&mut [0; 8]).unwrap_err().is_empty());
            assert!(every.next_timeout(Duration::from_millis(2)).unwrap_err().is_timeout());
            assert_eq!(every.lag(), 4);
        }
        assert_eq!(*loan, 2);
        if commits {
            loan.commit().unwrap()
        } else {
            drop(loan)
        }
        for every in &subscribers {
            let mut rest = [0; 8];
            let mut count = 0;
            while let Ok(more) = every.try_next_slice(&mut rest[count..]) {
                count += more;
            }
            let expected: &[u64] = if commits { &[2, 3, 4, 5] } else { &[3, 4, 5] };
            assert_eq!(&rest[..count], expected);
            assert_eq!((every.received() + every.missed(), every.missed()), (5, u64::from(!commits)));
        }
        assert_eq!((topic.stats().published, topic.stats().aborted), (5, u64::from(!commits)));
    }
}

fn loans_that_end_in_any_order_are_read_in_order() {
    let mut rng = Rng::new("ends of loans");
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    let values = Topic::<u64>::new(64).unwrap();
    let (every, every_value) = (topic.subscribe().unwrap(), values.subscribe().unwrap());
    let mut missed = 0;
    for round in 0..100u64 {
        let count = 1 + rng.below(20);
        let mut loans: Vec<(u64, TopicLoan<'_, [u8]>, TopicLoan<'_, u64>)> = (0..count)
            .map(|n| {
                let tag = round * 100 + n;
                let mut loan = topic.try_loan_len(rng.below(900) as usize).unwrap();
                let length = loan.len();
                loan.copy_from_slice(&pattern(tag, length));
                let mut value = values.try_loan().unwrap();
                *value = tag;
                (tag, loan, value)
            })
            .collect();
        let mut committed = Vec::new();
        while !loans.is_empty() {
            let (tag, loan, value) = loans.swap_remove(rng.below(loans.len() as u64) as usize);
            if rng.chance(70) {
                committed.push((tag, loan.len()));
                loan.commit().unwrap();
                value.commit().unwrap();
            } else {
                missed += 1;
            }
        }
        committed.sort();
        for (tag, length) in committed {
            let got = every.try_next().unwrap();
            assert!(got.len() == length && matches_pattern(tag, &got), "message {tag}: {got:?}");
            assert_eq!(every_value.try_next().unwrap(), tag);
        }
        assert!(every.try_next().unwrap_err().is_empty() && every_value.try_next().unwrap_err().is_empty());
        assert_eq!((every.missed(), every_value.missed(), every.lag(), every_value.lag()), (missed, missed, 0, 0));
    }
    assert_eq!((topic.stats().aborted, values.stats().aborted), (missed, missed));
}

fn a_commit_and_a_drop_wake_what_waits_behind_the_loan() {
    for commits in [false, true] {
        let topic = Topic::<u64>::new(8).unwrap();
        let every = topic.subscribe().unwrap();
        let mut loan = topic.loan().unwrap();
        *loan = 1;
        topic.publish(&2).unwrap();
        let sleeper = start_and_wait_until_asleep("a subscriber behind a loan", move || every.next_timeout(BY_ITSELF));
        if commits {
            loan.commit().unwrap()
        } else {
            drop(loan)
        }
        assert_eq!(sleeper.join().unwrap(), if commits { 1 } else { 2 });
    }
}

fn a_shorter_commit_gives_the_rest_back() {
    let topic = Topic::<[u64]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let every = topic.subscribe().unwrap();
    let largest = topic.max_len();
    for round in 0..100usize {
        let mut loan = topic.try_loan_len(largest).unwrap();
        let length = round * 13 % largest;
        loan[..length].iter_mut().enumerate().for_each(|(at, word)| *word = (round * at) as u64);
        loan.commit_len(length).unwrap();
        assert!(every.try_next().unwrap().into_iter().eq((0..length).map(|at| (round * at) as u64)));
        topic.try_publish(&[round as u64]).unwrap();
        assert_eq!(every.try_next().unwrap(), [round as u64]);
    }
    assert_eq!((every.received(), every.missed()), (200, 0));
}

fn a_commit_of_more_than_was_lent_panics_and_aborts() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let every = topic.subscribe().unwrap();
    let loan = topic.loan_len(5).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loan.commit_len(6)));
    assert!(panicked.is_err());
    topic.publish(b"next").unwrap();
    assert_eq!((every.next().unwrap(), every.missed()), (b"next".to_vec(), 1));
}

fn a_publisher_waits_for_a_loan_and_is_woken_by_its_end() {
    for owned in [false, true] {
        let topic = Topic::<u64>::new(4).unwrap();
        let publisher = owned.then(|| topic.publisher().unwrap());
        let loan = match &publisher {
            Some(publisher) => publisher.loan().unwrap(),
            None => topic.loan().unwrap(),
        };
        let full = loop {
            let put = match &publisher {
                Some(publisher) => publisher.try_publish(&1),
                None => topic.try_publish(&1),
            };
            if let Err(error) = put {
                break error;
            }
        };
        let me = std::process::id();
        assert!(matches!(full, PutError::BehindLoan { pid, timed_out: false } if pid == me), "{full:?}");
        let wait = Duration::from_millis(20);
        let late = match &publisher {
            Some(publisher) => publisher.publish_timeout(&1, wait),
            None => topic.publish_timeout(&1, wait),
        };
        assert!(matches!(late, Err(PutError::BehindLoan { pid, timed_out: true }) if pid == me), "{late:?}");
        assert!(late.unwrap_err().to_string().contains(&format!("a loan of process {me} is still open")));
        if owned {
            continue;
        }
        let publishing = topic.clone();
        let sleeper = start_and_wait_until_asleep("a publisher", move || publishing.publish_timeout(&1, BY_ITSELF));
        loan.commit().unwrap();
        sleeper.join().unwrap();
    }
}

fn loans_of_an_endpoint_outlive_nothing_but_the_endpoint() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    let every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    let mut loans: Vec<_> = (0..5u8)
        .map(|n| {
            let mut loan = publisher.loan_len(10_000).unwrap();
            loan.fill(n);
            loan
        })
        .collect();
    assert!(matches!(topic.loan_len(1).map(drop), Err(PutError::Held { .. })));
    assert!(every.try_next().unwrap_err().is_empty());
    loans.drain(..).rev().for_each(|loan| loan.commit().unwrap());
    drop(loans);
    drop(publisher);
    for n in 0..5 {
        assert_eq!(every.next().unwrap(), vec![n; 10_000]);
    }
}

/// What lies in the ring is last lap's: a subscriber must not see any of it through an open loan.
fn a_loan_of_an_old_message_shows_no_reader_a_half() {
    let topic = Topic::<[u64; 16]>::new(2).unwrap();
    let mut every = topic.subscribe().unwrap();
    for n in 0..100u64 {
        let mut loan = topic.loan().unwrap();
        loan[..8].fill(n);
        assert!(every.try_next().unwrap_err().is_empty());
        assert!(every.try_read().map(drop).unwrap_err().is_empty());
        assert!(every.latest().unwrap_err().is_empty());
        loan[8..].fill(n);
        loan.commit().unwrap();
        match n % 3 {
            0 => assert_eq!(every.next().unwrap(), [n; 16]),
            1 => assert_eq!(*every.read().unwrap(), [n; 16]),
            _ => assert_eq!(every.latest().unwrap(), [n; 16]),
        }
    }
    assert_eq!((every.received(), every.missed()), (100, 0));
}

fn latest_passes_open_loans() {
    let topic = Topic::<u64>::new(16).unwrap();
    let every = topic.subscribe().unwrap();
    let first = topic.loan().unwrap();
    assert!(every.latest().unwrap_err().is_empty());
    topic.publish_slice(&[1, 2]).unwrap();
    let mut second = topic.loan().unwrap();
    *second = 3;
    assert_eq!(every.latest().unwrap(), 2);
    assert_eq!((every.received(), every.missed(), every.lag()), (1, 2, 1));
    // It has passed the first one, whatever becomes of it.
    first.commit().unwrap();
    assert!(every.latest().unwrap_err().is_empty() && every.try_next().unwrap_err().is_empty());
    let third = topic.loan().unwrap();
    second.commit().unwrap();
    assert_eq!(every.latest().unwrap(), 3);
    drop(third);
    assert!(every.latest().unwrap_err().is_empty());
    topic.publish(&4).unwrap();
    assert_eq!(every.next().unwrap(), 4);
    assert_eq!((every.received(), every.missed(), every.lag()), (3, 3, 0));

    // A loan that was open at the close may be committed still.
    let last = topic.loan().unwrap();
    topic.close();
    let pending = every.latest().unwrap_err();
    assert!(pending.is_empty(), "{pending:?}: a loan is open");
    assert!(every.try_next().unwrap_err().is_empty());
    last.commit().unwrap();
    assert_eq!(every.latest().unwrap(), 0);
    assert!(every.latest().unwrap_err().is_closed());
    assert!(every.try_next().unwrap_err().is_closed());
}

fn latest_of_slices_finds_loans_that_were_committed_late() {
    let mut rng = Rng::new("newest of slices");
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let every = topic.subscribe().unwrap();
    for round in 0..300u64 {
        // In the order of their claims; some end late, some never, and the newest that is there
        // counts.
        let mut open = Vec::new();
        let mut newest = None;
        for n in 0..1 + rng.below(6) {
            let tag = round * 10 + n;
            let length = rng.below(700) as usize;
            if rng.chance(50) {
                let mut loan = topic.try_loan_len(length).unwrap();
                loan.copy_from_slice(&pattern(tag, length));
                open.push((tag, loan));
            } else {
                topic.try_publish(&pattern(tag, length)).unwrap();
                newest = Some((tag, length));
            }
        }
        while !open.is_empty() && rng.chance(80) {
            let (tag, loan) = open.swap_remove(rng.below(open.len() as u64) as usize);
            if rng.chance(70) {
                newest = newest.max(Some((tag, loan.len())));
                loan.commit().unwrap();
            }
        }
        match (newest, every.latest()) {
            (Some((tag, length)), Ok(got)) => {
                assert!(got.len() == length && matches_pattern(tag, &got), "round {round}: {tag} of {length}, {got:?}");
                assert!(every.latest().unwrap_err().is_empty());
            }
            (None, Err(GetError::Empty)) => {}
            (newest, got) => panic!("round {round}: {newest:?}, {got:?}"),
        }
        drop(open);
        while every.try_next().is_ok() {}
        assert_eq!((every.received() + every.missed(), every.lag()), (topic.stats().published, 0));
    }
}

fn loans_and_lossy_readers_exclude_each_other_in_one_process_only() {
    let topic = Topic::<u64>::new(8).unwrap();
    let name = crate::support::unique_name("excluded");
    let other = Topic::<u64>::create(&name, 8).unwrap();
    let loan = topic.loan().unwrap();
    // Another topic of the process does not count.
    let _live = other.subscribe_lossy().unwrap();
    let refused = topic.subscribe_lossy().unwrap_err();
    assert!(matches!(refused, SubscribeError::LoansHere) && refused.to_string().contains("open loan"), "{refused}");
    // Nothing is left of what was refused.
    assert!(topic.subscribers().is_empty());
    crate::support::process::fork("a process with a lossy subscriber", || {
        let live = topic.subscribe_lossy().unwrap();
        let refused = topic.loan().unwrap_err();
        assert!(matches!(refused, PutError::LossyHere) && refused.to_string().contains("lossy subscriber"), "{refused}");
        topic.publish(&2).unwrap();
        assert_eq!(live.try_next().unwrap(), 2, "it began behind its parent's loan");
        drop(live);
        topic.loan().unwrap().commit().unwrap();
    })
    .expect_success();
    loan.commit().unwrap();
    let live = topic.subscribe_lossy().unwrap();
    let second = topic.subscribe_lossy().unwrap();
    // Its own handle of the same topic counts, by whatever name it came.
    assert!(matches!(topic.clone().loan(), Err(PutError::LossyHere)));
    drop(live);
    assert!(matches!(topic.try_loan(), Err(PutError::LossyHere)), "one is left");
    assert!(matches!(topic.publisher().unwrap().loan_timeout(PATIENCE).map(drop), Err(PutError::LossyHere)));
    drop(second);
    topic.loan().unwrap().commit().unwrap();
}

fn samples_of_values_and_slices() {
    let topic = Topic::<[u32]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let (mut every, other) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    for n in 0..500u32 {
        let message: Vec<u32> = (0..n % 40).map(|at| n * at).collect();
        topic.try_publish(&message).unwrap();
        let sample = every.try_read().unwrap();
        assert_eq!(*sample, *message);
        // Passed when it is dropped.
        assert!(topic.subscribers()[0].has_sample && topic.subscribers()[0].lag == 1);
        assert_eq!(other.try_next().unwrap(), message);
        drop(sample);
        assert_eq!((every.lag(), every.received()), (0, u64::from(n) + 1));
        assert!(!topic.subscribers()[0].has_sample);
    }
    // A sample that is leaked stays: the next read shows the same message.
    topic.publish(&[1, 2]).unwrap();
    topic.publish(&[3]).unwrap();
    std::mem::forget(every.read().unwrap());
    assert_eq!(*every.read().unwrap(), [1, 2]);
    assert_eq!(every.next().unwrap(), [3]);
    // It may move to another thread.
    topic.publish(&[4]).unwrap();
    let sum = std::thread::spawn(move || every.read().unwrap().iter().sum::<u32>()).join().unwrap();
    assert_eq!(sum, 4);
}
