//! Guards that keep their queue by themselves: they outlive the handle, the endpoint and the role
//! that they come from, and end from any thread.

use super::{SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{GetError, Lease, LeaseMut, Loan, PutError, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

#[test]
fn an_owned_loan_outlives_its_handle_and_commits_from_another_thread() {
    let kept: Queue<u32> = queue(4);
    for deliver in [true, false] {
        let own = Queue::<u32>::open(kept.name()).unwrap();
        let mut loan: Loan<'static, u32> = own.loan_owned().unwrap();
        kept.put(&2).unwrap();
        drop(own);
        std::thread::spawn(move || {
            *loan = 1;
            if deliver { loan.commit().unwrap() } else { drop(loan) }
        })
        .join()
        .unwrap();
        assert_eq!(drain(&kept), if deliver { vec![1, 2] } else { vec![2] });
    }
    assert_eq!(kept.stats().aborted, 1);
}

#[test]
fn each_handle_that_puts_lends_owned_loans_in_four_forms() {
    let queue: Queue<u32> = queue(1);
    let soon = || std::time::Instant::now() + SOON;
    let slot = queue.loan_owned().unwrap();
    assert!(matches!(queue.try_loan_owned(), Err(PutError::Full)));
    assert!(matches!(queue.loan_owned_timeout(super::A_WHILE), Err(PutError::Timeout)));
    drop(slot);
    drop(queue.loan_owned_timeout(SOON).unwrap());
    drop(queue.loan_owned_deadline(soon()).unwrap());
    drop(queue.sender().loan_owned().unwrap());
    drop(queue.sender().loan_owned_deadline(soon()).unwrap());
    let producer = queue.producer().unwrap();
    drop(producer.try_loan_owned().unwrap());
    drop(producer.loan_owned_timeout(SOON).unwrap());
    assert!(matches!(queue.try_loan_owned(), Err(PutError::Held { .. })));
    drop(producer);
    assert!(queue.is_empty());

    let bytes = slices::<u8>(512);
    let too_large = bytes.max_len() + 1;
    assert!(matches!(bytes.loan_len_owned(too_large), Err(PutError::TooLarge { .. })));
    assert!(matches!(bytes.sender().try_loan_len_owned(too_large), Err(PutError::TooLarge { .. })));
    for mut loan in [
        bytes.loan_len_owned(9).unwrap(),
        bytes.sender().loan_len_owned(9).unwrap(),
        bytes.producer().unwrap().loan_len_owned(9).unwrap(),
    ] {
        loan[..5].copy_from_slice(b"hello");
        loan.commit_len(5).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(bytes.try_get().unwrap(), b"hello");
    }
}

/// The side is given up, others put, laps of the ring pass up to the loan: it keeps its place.
#[test]
fn a_loan_of_a_producer_that_is_gone_keeps_its_place_under_other_producers() {
    for deliver in [true, false] {
        let queue: Queue<u32> = queue(8);
        let first = queue.producer().unwrap();
        first.put(&0).unwrap();
        let mut loan = first.loan_owned().unwrap();
        first.put(&2).unwrap();
        drop(first);
        queue.put(&3).unwrap();
        let second = queue.producer().unwrap();
        for number in 4..8 {
            second.put(&number).unwrap();
        }
        assert!(matches!(second.try_put(&8), Err(PutError::Full)));
        assert_eq!(queue.try_get().unwrap(), 0);
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "the rest is behind the loan");
        second.put(&8).unwrap();
        *loan = 1;
        if deliver {
            loan.commit().unwrap()
        } else {
            drop(loan)
        }
        let expected: Vec<u32> = (if deliver { 1 } else { 2 }..9).collect();
        assert_eq!(drain(&queue), expected);
        for round in 0..50 {
            second.put(&round).unwrap();
            assert_eq!(queue.try_get().unwrap(), round);
        }
        drop(second);
        assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 8, "the whole capacity is back");
    }
}

/// The endpoint puts on in its thread while another thread ends loans of it, early and late.
#[test]
fn loans_of_a_producer_end_in_another_thread_beside_its_puts() {
    const ROUNDS: u64 = 20_000;
    let queue: Queue<u64> = queue(16);
    let (sender, receiver) = mpsc::channel::<(u64, Loan<'static, u64>)>();
    let ender = std::thread::spawn(move || {
        for (number, mut loan) in receiver {
            *loan = number;
            if number % 3 == 0 { drop(loan) } else { loan.commit().unwrap() }
        }
    });
    let getter = std::thread::spawn({
        let queue = queue.clone();
        move || queue.iter().map(Result::unwrap).collect::<Vec<u64>>()
    });
    for piece in 0..ROUNDS / 100 {
        let producer = queue.producer().unwrap();
        for number in piece * 100..(piece + 1) * 100 {
            if number % 2 == 0 {
                producer.put_timeout(&number, SOON).unwrap();
            } else {
                sender.send((number, producer.loan_owned_timeout(SOON).unwrap())).unwrap();
            }
        }
    }
    drop(sender);
    ender.join().unwrap();
    queue.close();
    let expected: Vec<u64> = (0..ROUNDS).filter(|number| number % 2 == 0 || number % 3 != 0).collect();
    assert_eq!(getter.join().unwrap(), expected);
}

#[test]
fn leases_of_a_consumer_that_is_gone_end_under_another() {
    let queue: Queue<u32> = queue(8);
    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5]).unwrap(), 5);
    let consumer = queue.consumer().unwrap();
    let first: Lease<'static, u32> = consumer.lease_owned().unwrap();
    let mut second: LeaseMut<'static, u32> = consumer.lease_mut_owned_timeout(SOON).unwrap();
    let third = consumer.try_lease_owned().unwrap();
    drop(consumer);
    let other = queue.consumer().unwrap();
    assert_eq!(other.get().unwrap(), 4);
    std::thread::spawn(move || {
        *second += 20;
        second.give_back();
    })
    .join()
    .unwrap();
    assert_eq!(other.get_timeout(SOON).unwrap(), 22);
    third.give_back();
    first.release();
    assert_eq!((other.get().unwrap(), other.get().unwrap()), (3, 5));
    assert!(matches!(other.try_get(), Err(GetError::Empty)));
    drop(other);
    assert!(matches!(queue.try_lease_mut_owned(), Err(GetError::Empty)));
    assert!(matches!(queue.receiver().try_lease_mut_owned(), Err(GetError::Empty)));
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 8);
}

#[test]
fn a_panic_in_the_thread_that_was_given_them_gives_a_lease_back_and_aborts_a_loan() {
    let queue: Queue<u32> = queue(4);
    queue.put(&1).unwrap();
    let lease = queue.lease_owned().unwrap();
    let mut loan = queue.loan_owned().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _lease = lease;
        *loan = 2;
        panic!("of the test's own");
    }));
    assert!(panicked.is_err());
    queue.put(&3).unwrap();
    assert_eq!(drain(&queue), [1, 3]);
    assert_eq!((queue.stats().redelivered, queue.stats().aborted), (1, 1));
}

/// A getter of a closed queue waits for a loan that is open, whichever handle it came from.
#[test]
fn an_owned_loan_is_no_sender_and_is_waited_for() {
    let queue = Queue::<u32>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let (sender, receiver) = (queue.sender(), queue.receiver());
    drop(queue);
    let mut loan = sender.loan_owned().unwrap();
    drop(sender);
    let getter = start_and_wait_until_asleep("a getter of a closed queue, behind a loan", move || {
        (receiver.get_timeout(SOON), receiver.get_timeout(SOON))
    });
    *loan = 7;
    loan.commit().unwrap();
    let (first, second) = getter.join();
    assert_eq!(first.unwrap(), 7);
    assert!(matches!(second, Err(GetError::Closed)));
}

#[test]
fn an_owned_lease_is_no_receiver() {
    let queue = Queue::<u32>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let (sender, receiver) = (queue.sender(), queue.receiver());
    drop(queue);
    sender.put(&1).unwrap();
    let lease = receiver.lease_mut_owned().unwrap();
    sender.put(&2).unwrap();
    drop(receiver);
    assert!(matches!(sender.put(&3), Err(PutError::Closed)));
    assert_eq!(*lease, 1);
    lease.release();
}
