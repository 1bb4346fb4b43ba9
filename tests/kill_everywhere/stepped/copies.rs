//! Killed in a call that copies.

use crate::stepped::contents::{LARGE, LARGE_BYTES, Numbered, attach, holding, kill_in, kill_in_body, put, slices};
use crate::support::harness::Case;
use crate::support::pattern;
use shmq::{PutError, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_put,
        killed_in_put_on_the_way_round,
        killed_in_put_of_a_full_queue,
        killed_in_put_behind_dropped_loans,
        killed_in_put_slice,
        killed_in_get,
        killed_in_get_of_a_returned_message,
        killed_in_get_slice,
        killed_in_get_slice_of_returned_messages,
        killed_in_put_of_variable_length,
        killed_in_put_across_the_wrap,
        killed_in_put_of_a_large_message,
        killed_in_get_of_variable_length,
        killed_in_get_across_the_wrap,
        killed_in_get_of_a_large_message,
        killed_in_the_first_call_after_a_fork,
        killed_in_task_done,
        killed_in_close,
    ]
}

fn two<T: Numbered + ?Sized>() -> Queue<T> {
    holding(&[10, 11])
}

fn killed_in_put() {
    kill_in::<u64>("put", two, |queue| put(queue, 12).unwrap(), &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_put_on_the_way_round() {
    // The call reclaims space, and the record after this one lies at the start of the ring.
    let world = || {
        let queue = holding::<u64>(&[1, 2, 3, 4]);
        (1..=3).for_each(|number| assert_eq!(queue.try_get().unwrap(), number));
        queue
    };
    kill_in("put, space reclaimed", world, |queue| put(queue, 12).unwrap(), &[&[4], &[4, 12]]);
}

fn killed_in_put_of_a_full_queue() {
    let act = |queue: &Queue<u64>| assert!(matches!(put(queue, 14), Err(PutError::Full)));
    kill_in("put, full", || holding(&[10, 11, 12, 13]), act, &[&[10, 11, 12, 13]]);
}

fn killed_in_put_behind_dropped_loans() {
    let world = || {
        let queue = u64::queue();
        (0..4).for_each(|_| drop(queue.try_loan().unwrap()));
        queue
    };
    kill_in("put, behind dropped loans", world, |queue| put(queue, 12).unwrap(), &[&[], &[12]]);
}

fn killed_in_put_slice() {
    let act = |queue: &Queue<u64>| assert_eq!(queue.try_put_slice(&[12, 13, 14]).unwrap(), 2);
    kill_in("put_slice", two, act, &[&[10, 11], &[10, 11, 12, 13]]);
}

fn killed_in_get() {
    kill_in::<u64>("get", two, |queue| assert_eq!(queue.try_get().unwrap(), 10), &[&[10, 11], &[11]]);
}

/// Two messages that were given back, and a newer one.
pub fn two_returned() -> Queue<u64> {
    let queue = two::<u64>();
    let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
    put(&queue, 12).unwrap();
    second.give_back();
    first.give_back();
    queue
}

fn killed_in_get_of_a_returned_message() {
    let act = |queue: &Queue<u64>| assert_eq!(queue.try_get().unwrap(), 10);
    kill_in("get, returned", two_returned, act, &[&[10, 11, 12], &[11, 12]]);
}

fn killed_in_get_slice() {
    let act = |queue: &Queue<u64>| assert_eq!(queue.try_get_slice(&mut [0; 3]).unwrap(), 2);
    kill_in("get_slice", two, act, &[&[10, 11], &[11], &[]]);
}

fn killed_in_get_slice_of_returned_messages() {
    let act = |queue: &Queue<u64>| {
        let mut taken = [0; 3];
        assert_eq!((queue.try_get_slice(&mut taken).unwrap(), taken), (3, [10, 11, 12]));
    };
    kill_in("get_slice, returned", two_returned, act, &[&[10, 11, 12], &[11, 12], &[12], &[]]);
}

/// A message that is made before the operation begins.
fn made(number: u64) -> Vec<u8> {
    <[u8]>::with_message(number, <[u8]>::to_vec)
}

fn killed_in_put_of_variable_length() {
    let message = made(12);
    let act = |queue: &Queue<[u8]>| queue.try_put(&message).unwrap();
    kill_in("put, variable length", two, act, &[&[10, 11], &[10, 11, 12]]);
}

/// Cells of a ring whose end is reached by the next messages.
const CELLS: usize = 32;

/// A small ring whose next record starts at that cell.
fn small_ring_at(cell: usize) -> Queue<[u8]> {
    let queue = slices(CELLS * 16);
    for part in [cell / 2, cell - cell / 2] {
        // A record's first cell holds no payload.
        queue.try_put(&vec![0; (part - 1) * 16]).unwrap();
        queue.try_get().unwrap();
    }
    queue
}

/// Messages 10 and 11 take 6 and 2 cells, 12 takes 3.
fn two_before_the_wrap() -> Queue<[u8]> {
    let queue = small_ring_at(CELLS - 2 - 6 - 2);
    [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
    queue
}

fn killed_in_put_across_the_wrap() {
    let message = made(12);
    let act = |queue: &Queue<[u8]>| queue.try_put(&message).unwrap();
    kill_in("put, across the wrap", two_before_the_wrap, act, &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_get_across_the_wrap() {
    let world = || {
        let queue = small_ring_at(CELLS - 4);
        [10, 11].into_iter().for_each(|number| put(&queue, number).unwrap());
        queue
    };
    let act = |queue: &Queue<[u8]>| assert_eq!(queue.try_get().unwrap().len(), 8 + 60);
    kill_in("get, across the wrap", world, act, &[&[10, 11], &[11]]);
}

/// The contents of a large message.
fn large() -> Vec<u8> {
    [&LARGE.to_le_bytes()[..], &pattern(LARGE, LARGE_BYTES)].concat()
}

fn killed_in_put_of_a_large_message() {
    let large = large();
    let act = |queue: &Queue<[u8]>| queue.try_put(&large).unwrap();
    kill_in("put, large", two, act, &[&[10, 11], &[10, 11, LARGE]]);
}

fn killed_in_get_of_variable_length() {
    let act = |queue: &Queue<[u8]>| assert_eq!(queue.try_get().unwrap().len(), 8 + 60);
    kill_in("get, variable length", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_get_of_a_large_message() {
    let large = large();
    let world = || {
        let queue = <[u8]>::queue();
        queue.try_put(&large).unwrap();
        put(&queue, 11).unwrap();
        queue
    };
    // Dropping the message that it got is not a part of the operation.
    let act = |queue: &Queue<[u8]>| std::mem::forget(queue.try_get().unwrap());
    kill_in("get, large", world, act, &[&[LARGE, 11], &[11]]);
}

fn killed_in_the_first_call_after_a_fork() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        begin();
        put(queue, 12).unwrap();
    };
    kill_in_body("put, first after a fork", two, body, &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_task_done() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        assert_eq!(queue.try_get().unwrap(), 10);
        begin();
        queue.task_done().unwrap();
    };
    kill_in_body("task_done", two, body, &[&[11]]);
}

fn killed_in_close() {
    kill_in::<u64>("close", two, |queue| queue.close(), &[&[10, 11]]);
}
