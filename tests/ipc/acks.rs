//! Leases that come back unless they are acknowledged, between processes: their holder is killed,
//! panics, forks, is taken for dead; and their drop beside a process that is stopped in a lock.

use crate::deaths::victim;
use crate::support::harness::Case;
use crate::support::process::{Exit, PANICKED, expect_all_succeed, fork, fork_with_code, shared_word, wait_for_count};
use crate::support::stalled::{stopped_in_the_get_lock, stopped_in_the_put_lock};
use crate::support::{BY_ITSELF, PATIENCE, unique_name};
use shmq::{AckLease, DeadLetters, GetError, Queue};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_holder_that_is_killed_gives_it_back,
        #[cfg(feature = "object")]
        a_holder_of_an_object_that_is_killed_gives_it_back,
        a_holder_that_panics_or_exits_gives_it_back,
        an_inherited_one_is_inert,
        a_dropped_one_goes_to_a_sleeper_in_another_process,
        a_drop_beside_a_process_stopped_in_a_lock_takes_no_time,
        the_last_drop_leads_to_the_dead_letters,
    ]
}

fn a_holder_that_is_killed_gives_it_back() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..4 {
        queue.put_slice(&[round, 100]).unwrap();
        let holder = victim("a holder of acknowledged leases", |wait| {
            let (first, second) = (queue.lease_ack().unwrap(), queue.lease_ack_owned().unwrap());
            assert_eq!((*first, *second), (round, 100));
            second.ack().unwrap();
            wait();
        });
        let mut consumer = fork("a consumer", || {
            let lease = queue.lease_ack_timeout(PATIENCE).unwrap();
            assert_eq!((*lease, lease.deliveries()), (round, 2));
            lease.ack().unwrap();
        });
        consumer.wait_until_asleep();
        holder.kill();
        consumer.expect_success_within(BY_ITSELF);
        queue.join_timeout(PATIENCE).unwrap();
        assert!(queue.is_empty());
    }
}

#[cfg(feature = "object")]
fn a_holder_of_an_object_that_is_killed_gives_it_back() {
    let queue = shmq::ObjectQueue::<String>::new(4).unwrap();
    queue.put("an object").unwrap();
    let holder = victim("a holder of an object", |wait| {
        let object = queue.lease_ack().unwrap();
        assert_eq!((object.as_str(), object.deliveries()), ("an object", 1));
        wait();
    });
    holder.kill();
    let object = queue.lease_ack_timeout(PATIENCE).unwrap();
    assert_eq!((object.as_str(), object.deliveries()), ("an object", 2));
    assert_eq!(object.take().unwrap(), "an object");
    assert!(queue.is_empty());
}

fn a_holder_that_panics_or_exits_gives_it_back() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    queue.put(&7).unwrap();
    for delivery in (1..9).step_by(2) {
        let mut panics = fork_with_code("a holder that panics", || {
            let lease = queue.lease_ack().unwrap();
            assert_eq!(lease.deliveries(), delivery);
            panic!("of the test's own");
        });
        assert_eq!(panics.wait(), Exit::Code(PANICKED));
        // At once: by the drop, not by a scan for the dead.
        let lease = queue.try_lease_ack().unwrap();
        assert_eq!((*lease, lease.deliveries()), (7, delivery + 1));
        drop(lease);
    }
    fork("a holder that exits", || std::mem::forget(queue.lease_ack().unwrap())).expect_success();
    assert_eq!(queue.recover().redelivered, 1);
    assert_eq!(*queue.try_lease_ack().unwrap(), 7);
}

fn an_inherited_one_is_inert() {
    let panics = |act: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(act)).is_err();
    let queue: Queue<u64> = Queue::new(3).unwrap();
    for ending in 0..6 {
        queue.put_slice(&[7, 8]).unwrap();
        let owned = ending % 2 == 0;
        let lease = RefCell::new(Some(if owned { queue.lease_ack_owned().unwrap() } else { queue.lease_ack().unwrap() }));
        fork("a child with its parent's lease", || {
            let mut inherited: Option<AckLease<'_, u64>> = lease.take();
            match ending {
                0 | 1 => drop(inherited),
                2 => assert!(matches!(inherited.take().unwrap().ack(), Err(GetError::Inherited))),
                3 => assert!(panics(&mut || assert_eq!(**inherited.as_ref().unwrap(), 7))),
                4 => assert!(panics(&mut || *inherited.as_mut().unwrap().message_mut() = 9)),
                _ => assert!(panics(&mut || {
                    let _dropped_by_a_panic = inherited.take();
                    panic!("of the test's own");
                })),
            }
            assert_eq!(queue.get().unwrap(), 8);
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        })
        .expect_success();
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "ending {ending}");
        let lease = lease.take().unwrap();
        assert_eq!((*lease, lease.deliveries()), (7, 1));
        drop(lease);
        let again = queue.lease_ack().unwrap();
        assert_eq!((*again, again.deliveries()), (7, 2));
        again.ack().unwrap();
    }
}

fn a_dropped_one_goes_to_a_sleeper_in_another_process() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..10 {
        queue.put(&round).unwrap();
        let lease = queue.lease_ack().unwrap();
        let mut other = fork("a consumer", || {
            let lease = queue.lease_ack_timeout(PATIENCE).unwrap();
            assert_eq!((*lease, lease.deliveries()), (round, 2));
            lease.ack().unwrap();
        });
        other.wait_until_asleep();
        drop(lease);
        other.expect_success();
    }
    assert!(queue.is_empty());
}

/// Far longer than a drop needs on a loaded machine, far shorter than the process stays stopped.
const NO_TIME: Duration = Duration::from_secs(5);

fn a_drop_beside_a_process_stopped_in_a_lock_takes_no_time() {
    let queue = Queue::<[u8]>::builder().capacity(8).capacity_bytes(64 << 10).create().unwrap();
    for in_the_get_lock in [true, false] {
        (1..=4u8).for_each(|i| queue.put(&[i; 100]).unwrap());
        let leases: Vec<_> = (0..3).map(|_| queue.lease_ack().unwrap()).collect();
        let stopped = if in_the_get_lock { stopped_in_the_get_lock(&queue) } else { stopped_in_the_put_lock(&queue) };
        let waiter = in_the_get_lock.then(|| {
            let mut waiter = fork("a consumer that waits for the lock", || {
                assert_eq!(queue.lease_ack_timeout(PATIENCE).map(|lease| lease[0]).unwrap(), 1);
            });
            waiter.wait_until_asleep();
            waiter
        });
        let started = Instant::now();
        let mut leases = leases.into_iter();
        drop(leases.next());
        leases.next().unwrap().ack().unwrap();
        drop(leases);
        assert!(started.elapsed() < NO_TIME, "{:?}", started.elapsed());
        stopped.go_on();
        expect_all_succeed(waiter.into_iter().chain([stopped]).collect());
        while queue.try_get().is_ok() {}
    }
}

fn the_last_drop_leads_to_the_dead_letters() {
    let letters = DeadLetters::create(unique_name("letters"), 4096).unwrap();
    let queue = Queue::<u64>::builder().capacity(8).max_deliveries(2).dead_letters(letters.name()).create().unwrap();
    queue.put(&13).unwrap();
    let dropped = shared_word();
    fork("a worker that gives up", || {
        drop(queue.lease_ack().unwrap());
        dropped.store(1, Release);
    })
    .expect_success();
    wait_for_count("the first drop", dropped, 1);
    drop(queue.lease_ack().unwrap());
    assert!(matches!(queue.try_lease_ack().map(drop), Err(GetError::Empty)));
    // A letter comes back in the same way, also from a process that ends.
    fork("a process that leaves a letter", || drop(letters.lease_ack().unwrap())).expect_success();
    let letter = letters.try_lease_ack().unwrap();
    assert_eq!((letter.value::<u64>(), letter.deliveries), (Some(13), 2));
    assert_eq!(letter.take().unwrap().value::<u64>(), Some(13));
    assert!(matches!(letters.try_lease_ack().map(drop), Err(GetError::Empty)));
    DeadLetters::unlink(letters.name()).unwrap();
}
