//! Loans and leases: what committing, dropping, giving back, forgetting and panicking do to a
//! message.

use super::{SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{GetError, PutError, Queue};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_committed_loan_is_a_message_in_the_place_that_it_took() {
    let queue: Queue<u32> = queue(4);
    queue.put(&1).unwrap();
    let mut loan = queue.loan().unwrap();
    queue.put(&3).unwrap();
    *loan = 2;
    loan.commit().unwrap();
    assert_eq!(drain(&queue), [1, 2, 3]);
}

#[test]
fn an_open_loan_holds_back_everything_behind_it() {
    let queue: Queue<u32> = queue(4);
    let mut loan = queue.loan().unwrap();
    queue.put(&2).unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(super::A_WHILE), Err(GetError::Timeout)));
    assert!(matches!(queue.lease_timeout(super::A_WHILE), Err(GetError::Timeout)));
    let getter = start_and_wait_until_asleep("a getter behind a loan", {
        let queue = queue.clone();
        move || (queue.get_timeout(SOON), queue.get_timeout(SOON))
    });
    *loan = 1;
    loan.commit().unwrap();
    let (first, second) = getter.join();
    assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
}

#[test]
fn a_dropped_loan_is_skipped_and_lets_those_behind_it_go() {
    let queue: Queue<u32> = queue(4);
    let loan = queue.loan().unwrap();
    queue.put(&2).unwrap();
    let getter = start_and_wait_until_asleep("a getter behind a loan", {
        let queue = queue.clone();
        move || queue.get_timeout(SOON)
    });
    drop(loan);
    assert_eq!(getter.join().unwrap(), 2);
    assert_eq!((queue.len(), queue.stats().aborted), (0, 1));
}

#[test]
fn a_loan_dropped_by_a_panic_is_skipped() {
    let queue: Queue<u32> = queue(2);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut loan = queue.loan().unwrap();
        *loan = 9;
        panic!("in the middle of writing");
    }));
    assert!(panicked.is_err());
    queue.try_put(&1).unwrap();
    queue.try_put(&2).unwrap();
    assert_eq!(drain(&queue), [1, 2]);
}

#[test]
fn loans_end_in_any_order() {
    let queue: Queue<u32> = queue(6);
    let mut loans: Vec<_> = (0..6).map(|_| Some(queue.loan().unwrap())).collect();
    for (place, commits) in [(5, true), (1, false), (3, true), (0, true), (4, false), (2, true)] {
        let mut loan = loans[place].take().unwrap();
        *loan = place as u32;
        if commits { loan.commit().unwrap() } else { drop(loan) }
    }
    assert_eq!(drain(&queue), [0, 2, 3, 5]);
    assert_eq!(queue.try_put_slice(&[0; 10]).unwrap(), 6);
}

#[test]
fn a_shortened_loan_is_as_long_as_was_committed() {
    let queue = slices::<u16>(512);
    for lent in 0..=queue.max_len() {
        for kept in [0, lent / 3, lent.saturating_sub(1), lent] {
            let mut loan = queue.try_loan_len(lent).unwrap();
            loan.iter_mut().enumerate().for_each(|(place, word)| *word = (place + lent) as u16);
            loan.commit_len(kept).unwrap();
            queue.try_put(&[0xbeef]).unwrap_or_else(|error| assert!(matches!(error, PutError::Full), "{error}"));
            let message = queue.try_get().unwrap();
            assert_eq!(message, (lent..lent + kept).map(|word| word as u16).collect::<Vec<_>>());
            while queue.try_get().is_ok_and(|message| message == [0xbeef]) {}
            assert!(queue.is_empty());
        }
    }
}

#[test]
#[should_panic(expected = "commit_len")]
fn a_loan_cannot_grow() {
    let queue = slices::<u8>(512);
    let _ = queue.loan_len(3).unwrap().commit_len(4);
}

#[test]
fn a_loan_of_a_failed_commit_len_is_dropped() {
    let queue = slices::<u8>(512);
    let panicked = catch_unwind(AssertUnwindSafe(|| queue.loan_len(3).unwrap().commit_len(4)));
    assert!(panicked.is_err());
    queue.put(b"next").unwrap();
    assert_eq!(queue.get_timeout(SOON).unwrap(), b"next");
}

#[test]
fn a_lease_ends_its_message_when_dropped_or_released() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    drop(queue.lease().unwrap());
    queue.lease().unwrap().release();
    assert_eq!(drain(&queue), [3]);
}

#[test]
fn a_message_given_back_comes_before_newer_ones() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let lease = queue.lease().unwrap();
    assert_eq!((*lease, lease.deliveries(), queue.len()), (1, 1, 2));
    lease.give_back();
    assert_eq!(queue.len(), 3);
    for delivery in 2..10 {
        let lease = queue.lease().unwrap();
        assert_eq!((*lease, lease.deliveries()), (1, delivery));
        lease.give_back();
    }
    assert_eq!(drain(&queue), [1, 2, 3]);
    assert_eq!(queue.stats().redelivered, 9, "eight leases, and the copy");
}

#[test]
fn messages_given_back_come_oldest_first() {
    let queue: Queue<u32> = queue(8);
    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5]).unwrap(), 5);
    let mut leases: Vec<_> = (0..4).map(|_| Some(queue.lease().unwrap())).collect();
    for place in [2, 0, 3, 1] {
        leases[place].take().unwrap().give_back();
    }
    assert_eq!(queue.len(), 5);
    let mut again = Vec::new();
    for _ in 0..5 {
        let lease = queue.lease().unwrap();
        again.push((*lease, lease.deliveries()));
        lease.release();
    }
    assert_eq!(again, [(1, 2), (2, 2), (3, 2), (4, 2), (5, 1)]);
    assert!(queue.is_empty());
}

#[test]
fn a_message_given_back_wakes_a_getter() {
    let queue: Queue<u32> = queue(2);
    queue.put(&1).unwrap();
    let lease = queue.lease().unwrap();
    let getter = start_and_wait_until_asleep("a getter", {
        let queue = queue.clone();
        move || queue.get_timeout(SOON)
    });
    lease.give_back();
    assert_eq!(getter.join().unwrap(), 1);
}

#[test]
fn a_panic_gives_a_lease_back() {
    let queue: Queue<u32> = queue(2);
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    for delivery in 1..4 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let lease = queue.lease().unwrap();
            assert_eq!((*lease, lease.deliveries()), (1, delivery));
            panic!("in the middle of reading");
        }));
        assert!(panicked.is_err());
    }
    assert_eq!(drain(&queue), [1, 2]);
}

/// Only a lease that was held when the panic began is given back. A destructor that takes messages
/// while it unwinds does take them.
#[test]
fn a_lease_that_is_taken_while_a_panic_unwinds_ends_as_ever() {
    struct Drains<'q>(&'q Queue<u32>, &'q RefCell<Vec<u32>>);
    impl Drop for Drains<'_> {
        fn drop(&mut self) {
            let mut drained = self.1.borrow_mut();
            (0..2).for_each(|_| drained.extend(self.0.try_lease().map(|lease| *lease)));
            drained.extend(self.0.lease_owned().map(|lease| *lease));
        }
    }
    let drained = RefCell::default();
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        // Dropped after `_drains`, so the message that comes back is not among those it drains.
        let _held = queue.lease().unwrap();
        let _drains = Drains(&queue, &drained);
        panic!("of something else");
    }));
    assert!(panicked.is_err());
    assert_eq!(drained.into_inner(), [2, 3, 4]);
    assert_eq!(drain(&queue), [1]);
}

#[test]
fn leases_end_in_any_order() {
    let queue: Queue<u32> = queue(6);
    for round in 0..20 {
        assert_eq!(queue.put_slice(&[0, 1, 2, 3, 4, 5]).unwrap(), 6);
        let mut leases: Vec<_> = (0..6).map(|_| Some(queue.lease().unwrap())).collect();
        assert_eq!((queue.len(), queue.is_full()), (0, true));
        let mut order = [0, 1, 2, 3, 4, 5];
        order.rotate_left(round % 6);
        if round % 2 == 1 {
            order.reverse();
        }
        for place in order {
            let lease = leases[place].take().unwrap();
            assert_eq!(*lease, place as u32);
            lease.release();
        }
        assert_eq!((queue.len(), queue.is_full()), (0, false));
    }
}

#[test]
fn leased_messages_stay_what_they_are_while_others_come_and_go() {
    let queue = slices::<u8>(1024);
    queue.put(b"the oldest").unwrap();
    let oldest = queue.lease().unwrap();
    let mut puts = 0;
    for round in 0..200u8 {
        match queue.try_put(&[round; 11]) {
            Ok(()) => puts += 1,
            Err(PutError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(queue.get().unwrap(), [round; 11]);
        assert_eq!(&oldest[..], b"the oldest");
    }
    // Its room and all the room behind it is held: the ring is full with one message in it.
    assert!(puts < 200 && queue.is_empty(), "{puts} puts");
    while queue.try_put(&[]).is_ok() {}
    assert!(queue.is_full());
    oldest.release();
    assert!(!queue.is_full());
    while queue.try_get().is_ok() {}
    queue.try_put(&[1; 11]).unwrap();
    assert_eq!(queue.try_get().unwrap(), [1; 11]);
}

#[test]
fn a_forgotten_lease_holds_its_record() {
    let queue: Queue<u32> = queue(2);
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    std::mem::forget(queue.lease().unwrap());
    assert_eq!(queue.get().unwrap(), 2);
    assert!(queue.is_full() && queue.is_empty());
    assert!(matches!(queue.try_put(&3), Err(PutError::Full)));
    // Not even a recovery frees it, since its process is alive.
    let report = queue.recover();
    assert_eq!((report.redelivered, report.dead_participants), (0, 0));
    assert!(matches!(queue.get_timeout(4 * super::A_WHILE), Err(GetError::Timeout)));
    assert!(matches!(queue.put_timeout(&3, 4 * super::A_WHILE), Err(PutError::Timeout)));
}

#[test]
fn a_forgotten_loan_holds_its_record() {
    let queue: Queue<u32> = queue(3);
    queue.put(&1).unwrap();
    std::mem::forget(queue.loan().unwrap());
    queue.put(&2).unwrap();
    assert!(queue.is_full());
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.recover().aborted, 0);
    assert!(matches!(queue.get_timeout(4 * super::A_WHILE), Err(GetError::Timeout)));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
}

#[test]
fn a_message_is_given_up_after_its_last_delivery() {
    let queue = Queue::<u32>::builder().capacity(4).max_deliveries(3).create().unwrap();
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    for delivery in 1..=3 {
        let lease = queue.lease().unwrap();
        assert_eq!((*lease, lease.deliveries()), (1, delivery));
        lease.give_back();
    }
    assert_eq!(queue.get_timeout(SOON).unwrap(), 2);
    assert_eq!((queue.stats().given_up, queue.len()), (1, 0));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    queue.task_done().unwrap();
    queue.join_timeout(SOON).unwrap();
    assert_eq!(queue.try_put_slice(&[0; 9]).unwrap(), 4);
}

#[test]
fn guards_go_to_other_threads() {
    let queue: Queue<u32> = queue(2);
    let loan = queue.loan().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut loan = loan;
            *loan = 5;
            loan.commit().unwrap();
        });
    });
    let lease = queue.lease().unwrap();
    std::thread::scope(|scope| {
        let shared = &lease;
        (0..2).for_each(|_| drop(scope.spawn(move || assert_eq!(**shared, 5))));
    });
    std::thread::scope(|scope| drop(scope.spawn(move || lease.give_back())));
    assert_eq!(queue.get().unwrap(), 5);
}

#[test]
fn an_owned_lease_keeps_the_segment() {
    let queue: Queue<u32> = queue(2);
    let handle = serde_json::to_string(&queue).unwrap();
    queue.put(&5).unwrap();
    let lease = queue.lease_owned().unwrap();
    drop(queue);
    let again: Queue<u32> = serde_json::from_str(&handle).expect("a lease is a participant");
    assert_eq!((*lease, again.len(), again.is_empty()), (5, 0, true));
    lease.give_back();
    assert_eq!(again.get().unwrap(), 5);
}

#[test]
fn loans_and_leases_work_through_endpoints() {
    let queue: Queue<u32> = queue(2);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for round in 0..10 {
        drop(producer.try_loan().unwrap());
        let mut loan = producer.try_loan().unwrap();
        *loan = round;
        loan.commit().unwrap();
        let lease = consumer.lease_timeout(SOON).unwrap();
        assert_eq!((*lease, lease.deliveries()), (round, 1));
        lease.give_back();
        let lease = consumer.lease_timeout(SOON).unwrap();
        assert_eq!((*lease, lease.deliveries()), (round, 2));
        drop(lease);
    }
}
