//! Killed where a lease becomes a view, where views end, and where those of a dead process are
//! ended.

use crate::stepped::contents::{Numbered, attach, check, holding, kill_in, kill_in_body, put, recover};
use crate::stepped::sweep::Operation;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, send_signal, shared_word, wait_for_count};
use shmq::inspect::Inspector;
use shmq::{Plain, Producer, PutError, Queue};
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_lease_into_view_and_drop,
        killed_in_lease_ack_into_view_and_drop,
        killed_with_a_view_that_is_forgotten,
        killed_in_views_out_of_order,
        killed_in_a_put_that_ends_views_of_the_dead,
        killed_in_a_put_of_variable_length_that_ends_views_of_the_dead,
        killed_in_a_producers_put_that_ends_views_of_the_dead,
        killed_in_a_recovery_from_views_beside_a_producer,
        killed_in_recover_with_views,
    ]
}

fn two<T: Numbered + ?Sized>() -> Queue<T> {
    holding(&[10, 11])
}

fn killed_in_lease_into_view_and_drop() {
    let act = |queue: &Queue<u64>| {
        let view = queue.try_lease().unwrap().into_view().unwrap();
        let again = view.clone();
        drop(view);
        assert_eq!(*again, 10);
    };
    kill_in("lease, into_view, drop", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_lease_ack_into_view_and_drop() {
    let act = |queue: &Queue<[u8]>| drop(queue.try_lease_ack().unwrap().into_view().unwrap());
    kill_in("lease_ack, into_view, drop", two, act, &[&[10, 11], &[11]]);
}

fn killed_with_a_view_that_is_forgotten() {
    let act = |queue: &Queue<u64>| std::mem::forget(queue.try_lease().unwrap().into_view().unwrap());
    kill_in("lease, into_view, forget", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_views_out_of_order() {
    let act = |queue: &Queue<u64>| {
        let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
        let second = second.into_view().unwrap();
        let first = first.into_view().unwrap();
        drop(second);
        drop(first);
    };
    kill_in("views, out of order", two, act, &[&[10, 11], &[10], &[]]);
}

/// A process with views, which ends with the world.
struct Reader(Option<Child>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.take().expect("it is ended once").kill_if_running();
    }
}

/// A full queue: two messages that another process still reads, and two that wait.
fn viewed<T: Numbered + Plain + ?Sized>() -> (Queue<T>, Reader) {
    let queue: Queue<T> = holding(&[10, 11, 12, 13]);
    let there = shared_word();
    let reader = fork("a reader", || {
        let views = [0; 2].map(|_| queue.try_lease().map(|lease| lease.into_view().unwrap()).unwrap());
        there.store(1, SeqCst);
        std::mem::forget(views);
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    });
    wait_for_count("two views", there, 1);
    assert!(matches!(put(&queue, 14), Err(PutError::Full)), "a live process reads");
    (queue, Reader(Some(reader)))
}

/// Kills the reader from a child, which is attached by then: it does not recover first.
fn kill_reader<T: Numbered + ?Sized>(queue: &Queue<T>, Reader(reader): &Reader) {
    let pid = reader.as_ref().expect("it is not ended yet").pid();
    send_signal(pid as libc::pid_t, libc::SIGKILL);
    let inspector = Inspector::open(queue.name()).unwrap();
    while inspector.snapshot().participants.iter().any(|one| one.pid == pid && one.alive) {
        std::thread::yield_now();
    }
}

/// Kills a put that ends the views of a reader that has just died.
fn kill_in_put<T: Numbered + Plain + ?Sized>(what: &'static str) {
    let stages: [&[u64]; 2] = [&[12, 13], &[12, 13, 14]];
    let operation = Operation {
        what,
        world: &viewed::<T>,
        body: &|(queue, reader), begin: &dyn Fn()| {
            attach(queue);
            kill_reader(queue, reader);
            begin();
            put(queue, 14).unwrap();
        },
        wake: None,
        recovery: Some(&|(queue, _), begin: &dyn Fn()| recover(queue, begin)),
        check: &|(queue, _), killed, turn| check(queue, killed, turn, &stages, &[]),
    };
    operation.sweep();
}

fn killed_in_a_put_that_ends_views_of_the_dead() {
    kill_in_put::<u64>("put, views of the dead");
}

fn killed_in_a_put_of_variable_length_that_ends_views_of_the_dead() {
    kill_in_put::<[u8]>("put, views of the dead, bytes");
}

fn killed_in_a_producers_put_that_ends_views_of_the_dead() {
    let stages: [&[u64]; 2] = [&[12, 13], &[12, 13, 14]];
    let operation = Operation {
        what: "producer's put, views of the dead",
        world: &viewed::<u64>,
        body: &|(queue, reader), begin: &dyn Fn()| {
            let producer = queue.producer().unwrap();
            kill_reader(queue, reader);
            begin();
            producer.try_put(&14).unwrap();
            std::mem::forget(producer);
        },
        wake: None,
        recovery: Some(&|(queue, _), begin: &dyn Fn()| recover(queue, begin)),
        check: &|(queue, _), killed, turn| check(queue, killed, turn, &stages, &[]),
    };
    operation.sweep();
}

/// What kept the room is gone at once, also while the Producer lives and calls nothing.
fn killed_in_a_recovery_from_views_beside_a_producer() {
    type World = (Queue<u64>, Reader, Producer<u64>);
    let operation = Operation {
        what: "recover, views, beside a Producer",
        world: &|| {
            let (queue, reader) = viewed::<u64>();
            let producer = queue.producer().unwrap();
            (queue, reader, producer)
        },
        body: &|(queue, reader, _): &World, begin: &dyn Fn()| {
            attach(queue);
            kill_reader(queue, reader);
            begin();
            assert_eq!(queue.recover().views, 2);
        },
        wake: None,
        recovery: Some(&|(queue, ..), begin: &dyn Fn()| recover(queue, begin)),
        check: &|(queue, _, producer), killed, turn| {
            if turn % 2 == 0 {
                let report = queue.recover();
                assert!(!killed.done || report.views == 0, "{report:?}");
            }
            [14, 15].iter().for_each(|number| producer.try_put(number).unwrap_or_else(|error| panic!("{error}: {queue:?}")));
            assert!(matches!(producer.try_put(&16), Err(PutError::Full)), "{queue:?}");
            (12..=15).for_each(|number| assert_eq!(queue.try_get().unwrap(), number));
            crate::stepped::sweep::found(0, killed)
        },
    };
    operation.sweep();
}

fn killed_in_recover_with_views() {
    let world = || {
        let queue = holding::<u64>(&[10, 11, 12]);
        let child = fork("a reader that dies", || {
            let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
            std::mem::forget((first.into_view().unwrap(), second));
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(child.killed_or_succeeded(), "it was killed");
        queue
    };
    kill_in_body("recover, views", world, recover, &[&[11, 12]]);
}
