//! Killed while it holds a loan or a lease, as an endpoint, and while it recovers from a death.

use crate::stepped::contents::{Numbered, holding, kill_in, kill_in_body, put};
use crate::stepped::copies::two_returned;
use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use shmq::Queue;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_loan_and_commit,
        killed_in_loan_and_drop,
        killed_in_loan_and_commit_len,
        killed_in_lease_and_release,
        killed_in_lease_and_give_back,
        killed_in_lease_ack_and_drop,
        killed_in_lease_ack_and_ack,
        killed_in_leases_of_returned_messages,
        killed_in_lease_and_release_of_variable_length,
        killed_in_a_producers_life,
        killed_in_a_producers_put,
        killed_in_a_consumers_life,
        killed_in_a_consumers_get,
        killed_in_recover,
        killed_in_giving_up,
    ]
}

fn two<T: Numbered + ?Sized>() -> Queue<T> {
    holding(&[10, 11])
}

fn killed_in_loan_and_commit() {
    let act = |queue: &Queue<u64>| {
        let mut loan = queue.try_loan().unwrap();
        *loan = 12;
        loan.commit().unwrap();
    };
    kill_in("loan, commit", two, act, &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_loan_and_drop() {
    kill_in::<u64>("loan, drop", two, |queue| drop(queue.try_loan().unwrap()), &[&[10, 11]]);
}

fn killed_in_loan_and_commit_len() {
    let message = <[u8]>::with_message(12, <[u8]>::to_vec);
    let act = |queue: &Queue<[u8]>| {
        let mut loan = queue.try_loan_len(500).unwrap();
        loan[..message.len()].copy_from_slice(&message);
        loan.commit_len(message.len()).unwrap();
    };
    kill_in("loan_len, commit_len", two, act, &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_lease_and_release() {
    kill_in::<u64>("lease, release", two, |queue| queue.try_lease().unwrap().release(), &[&[10, 11], &[11]]);
}

fn killed_in_lease_and_give_back() {
    kill_in::<u64>("lease, give_back", two, |queue| queue.try_lease().unwrap().give_back(), &[&[10, 11]]);
}

fn killed_in_lease_ack_and_drop() {
    let act = |queue: &Queue<u64>| drop(queue.try_lease_ack().unwrap());
    kill_in("lease_ack, drop", two, act, &[&[10, 11]]);
    let act = |queue: &Queue<[u8]>| drop(queue.try_lease_ack().unwrap());
    kill_in("lease_ack, drop, variable length", two, act, &[&[10, 11]]);
}

fn killed_in_lease_ack_and_ack() {
    let act = |queue: &Queue<u64>| queue.try_lease_ack().unwrap().ack().unwrap();
    kill_in("lease_ack, ack", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_leases_of_returned_messages() {
    let act = |queue: &Queue<u64>| {
        let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
        first.give_back();
        second.release();
    };
    kill_in("leases, returned", two_returned, act, &[&[10, 11, 12], &[10, 12]]);
}

fn killed_in_lease_and_release_of_variable_length() {
    let act = |queue: &Queue<[u8]>| queue.try_lease().unwrap().release();
    kill_in("lease, release, variable length", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_a_producers_life() {
    let act = |queue: &Queue<u64>| {
        let producer = queue.producer().unwrap();
        producer.try_put(&12).unwrap();
        let mut loan = producer.try_loan().unwrap();
        *loan = 13;
        loan.commit().unwrap();
    };
    kill_in("producer, put, loan, drop", two, act, &[&[10, 11], &[10, 11, 12], &[10, 11, 12, 13]]);
}

fn killed_in_a_producers_put() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        let producer = queue.producer().unwrap();
        begin();
        producer.try_put(&12).unwrap();
        std::mem::forget(producer);
    };
    kill_in_body("producer's put", two, body, &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_a_consumers_life() {
    let act = |queue: &Queue<u64>| {
        let consumer = queue.consumer().unwrap();
        assert_eq!(consumer.try_get().unwrap(), 10);
        consumer.try_lease().unwrap().give_back();
        consumer.try_lease().unwrap().release();
    };
    kill_in("consumer, get, leases, drop", two, act, &[&[10, 11], &[11], &[]]);
}

fn killed_in_a_consumers_get() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        let consumer = queue.consumer().unwrap();
        begin();
        assert_eq!(consumer.try_get().unwrap(), 10);
        std::mem::forget(consumer);
    };
    kill_in_body("consumer's get", two, body, &[&[10, 11], &[11]]);
}

/// A child that dies in the middle of `act`.
fn die_in(queue: &Queue<u64>, act: impl FnOnce(&Queue<u64>)) {
    let child = fork("one who leaves a mess", || {
        act(queue);
        send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
    });
    assert!(child.killed_or_succeeded(), "it was killed");
}

fn killed_in_recover() {
    let world = || {
        let queue = two();
        die_in(&queue, |queue| {
            std::mem::forget((queue.try_lease().unwrap(), queue.try_loan().unwrap(), queue.producer().unwrap()));
        });
        queue
    };
    kill_in_body("recover", world, crate::stepped::contents::recover, &[&[10, 11]]);
}

fn killed_in_giving_up() {
    // Both were delivered as often as they may be; the newer one was not delivered at all.
    let world = || {
        let queue =
            Queue::<u64>::builder().name(crate::support::unique_name("worn")).capacity(4).max_participants(6).max_deliveries(1);
        let queue = queue.create().unwrap();
        [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
        die_in(&queue, |queue| {
            std::mem::forget((queue.try_lease().unwrap(), queue.try_lease().unwrap()));
        });
        put(&queue, 12).unwrap();
        queue
    };
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        begin();
        assert_eq!(queue.try_get().unwrap(), 12);
    };
    kill_in_body("giving up, get", world, body, &[&[12], &[]]);
}
