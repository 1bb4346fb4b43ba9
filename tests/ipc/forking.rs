//! What a forked child inherits: handles that work, guards and endpoints that do nothing.

use crate::support::harness::Case;
use crate::support::process::{Child, exit_now, expect_all_succeed, fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, segment_exists, unique_name, wait_until};
use shmq::{GetError, PutError, Queue};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_handle_works_on_both_sides_of_a_fork,
        a_child_of_a_child_works,
        an_inherited_loan_is_inert,
        an_inherited_lease_is_inert,
        an_inherited_producer_is_inert,
        an_inherited_consumer_is_inert,
        a_fork_inside_put_iter_and_get_each_leaves_both_to_the_parent,
        a_loop_over_what_a_child_cannot_use_ends,
        a_child_that_uses_nothing_changes_nothing,
        a_child_that_drops_its_handle_leaves_the_parents,
        the_last_child_takes_the_name_away,
        many_children_attach_at_once,
        a_fork_in_the_middle_of_traffic_goes_on,
        a_child_makes_endpoints_of_its_own,
        a_task_is_done_by_another_process,
    ]
}

fn a_handle_works_on_both_sides_of_a_fork() {
    let (there, back): (Queue<u64>, Queue<u64>) = (Queue::new(3).unwrap(), Queue::new(3).unwrap());
    let child = fork("an echo", || {
        for message in &there {
            back.put(&(message.unwrap() + 1)).unwrap();
        }
        back.close();
    });
    for i in 0..1_000 {
        there.put_timeout(&i, PATIENCE).unwrap();
        assert_eq!(back.get_timeout(PATIENCE).unwrap(), i + 1);
    }
    there.close();
    assert!(matches!(back.get_timeout(PATIENCE), Err(GetError::Closed)));
    child.expect_success();
}

fn a_child_of_a_child_works() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let child = fork("a child", || {
        assert_eq!(queue.get().unwrap(), 1);
        let grandchild = fork("a grandchild", || {
            queue.put(&2).unwrap();
            fork("a grandchild's child", || queue.put(&3).unwrap()).expect_success();
        });
        grandchild.expect_success();
        queue.put(&4).unwrap();
    });
    child.expect_success();
    let mut all = [0; 3];
    assert_eq!((queue.get_slice(&mut all).unwrap(), all), (3, [2, 3, 4]));
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

fn an_inherited_loan_is_inert() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    for ending in 0..4 {
        let mut loan = queue.loan().unwrap();
        *loan = 7;
        let loan = RefCell::new(Some(loan));
        let child = fork("a child with its parent's loan", || {
            let mut inherited = loan.take().unwrap();
            match ending {
                0 => drop(inherited),
                1 => assert!(matches!(inherited.commit(), Err(PutError::Inherited))),
                2 => assert!(panics(|| assert_eq!(*inherited, 7))),
                _ => assert!(panics(|| *inherited = 8)),
            }
            // The handle itself works in the child, and waits behind the loan like any other.
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
            queue.put(&100).unwrap();
        });
        child.expect_success();
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "ending {ending}");
        let loan = loan.take().unwrap();
        assert_eq!(*loan, 7);
        loan.commit().unwrap();
        assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (7, 100));
        assert_eq!(queue.stats().aborted, 0);
    }
}

fn an_inherited_lease_is_inert() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    for ending in 0..5 {
        queue.put(&7).unwrap();
        queue.put(&8).unwrap();
        let owned = ending % 2 == 0;
        let lease = RefCell::new(Some(if owned { queue.lease_owned().unwrap() } else { queue.lease().unwrap() }));
        let child = fork("a child with its parent's lease", || {
            let inherited = lease.take().unwrap();
            match ending {
                0 => drop(inherited),
                1 => inherited.release(),
                2 => inherited.give_back(),
                3 => assert!(panics(|| assert_eq!(*inherited, 7))),
                _ => assert!(panics(|| {
                    let _dropped_by_a_panic = inherited;
                    panic!("of the test's own");
                })),
            }
            assert_eq!(queue.get().unwrap(), 8);
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        });
        child.expect_success();
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "ending {ending}");
        let lease = lease.take().unwrap();
        assert_eq!((*lease, lease.deliveries()), (7, 1));
        lease.give_back();
        let again = queue.lease().unwrap();
        assert_eq!((*again, again.deliveries()), (7, 2));
    }
}

fn an_inherited_producer_is_inert() {
    let queue: Queue<u64> = Queue::new(16).unwrap();
    let parent = std::process::id();
    let producer = RefCell::new(Some(queue.producer().unwrap()));
    producer.borrow().as_ref().unwrap().put(&1).unwrap();
    let child = fork("a child with its parent's producer", || {
        let inherited = producer.take().unwrap();
        assert!(matches!(inherited.put(&2), Err(PutError::Inherited)));
        assert!(matches!(inherited.try_put(&2), Err(PutError::Inherited)));
        assert!(matches!(inherited.put_timeout(&2, PATIENCE), Err(PutError::Inherited)));
        assert!(matches!(inherited.put_slice(&[2]), Err(PutError::Inherited)));
        assert!(matches!(inherited.loan().map(drop), Err(PutError::Inherited)));
        assert!(matches!(queue.put(&2), Err(PutError::Held { pid }) if pid == parent));
        drop(inherited);
        assert!(matches!(queue.put(&2), Err(PutError::Held { pid }) if pid == parent));
        assert!(matches!(queue.producer().map(drop), Err(PutError::Held { pid }) if pid == parent));
        assert_eq!(queue.get().unwrap(), 1);
    });
    child.expect_success();
    let producer = producer.take().unwrap();
    producer.put(&3).unwrap();
    drop(producer);
    queue.put(&4).unwrap();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (3, 4));
    assert_eq!(queue.stats().recoveries, 0);
}

fn an_inherited_consumer_is_inert() {
    let queue: Queue<u64> = Queue::new(16).unwrap();
    let parent = std::process::id();
    queue.put(&1).unwrap();
    let consumer = RefCell::new(Some(queue.consumer().unwrap()));
    let child = fork("a child with its parent's consumer", || {
        let inherited = consumer.take().unwrap();
        assert!(matches!(inherited.get(), Err(GetError::Inherited)));
        assert!(matches!(inherited.try_get(), Err(GetError::Inherited)));
        assert!(matches!(inherited.get_timeout(PATIENCE), Err(GetError::Inherited)));
        assert!(matches!(inherited.get_slice(&mut [0]), Err(GetError::Inherited)));
        assert!(matches!(inherited.lease().map(drop), Err(GetError::Inherited)));
        assert!(matches!(queue.get(), Err(GetError::Held { pid }) if pid == parent));
        drop(inherited);
        assert!(matches!(queue.get(), Err(GetError::Held { pid }) if pid == parent));
        queue.put(&2).unwrap();
    });
    child.expect_success();
    let consumer = consumer.take().unwrap();
    assert_eq!((consumer.get().unwrap(), consumer.get().unwrap()), (1, 2));
    drop(consumer);
    queue.put(&3).unwrap();
    assert_eq!(queue.get().unwrap(), 3);
}

fn a_loop_over_what_a_child_cannot_use_ends() {
    let queue: Queue<u64> = Queue::builder().capacity(3).max_participants(1).create().unwrap();
    let consumer = queue.consumer().unwrap();
    fork("a child with its parent's consumer", || {
        let mut items = consumer.iter();
        assert!(matches!(items.next(), Some(Err(GetError::Inherited))));
        assert!(items.next().is_none() && items.next().is_none());
        // The only participant is the parent.
        let mut items = queue.iter();
        assert!(matches!(items.next(), Some(Err(GetError::TooManyParticipants { max: 1 }))));
        assert!(items.next().is_none() && items.next().is_none());
    })
    .expect_success();
}

/// The child goes on in the iterator, and in the closure, and in the calls that they belong to.
fn a_fork_inside_put_iter_and_get_each_leaves_both_to_the_parent() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    let forked = Cell::new(None);
    let fork_at_11 = |value| {
        if value == 11 {
            // SAFETY: this process has one thread, and the child ends in `exit_now`.
            forked.set(Some(unsafe { libc::fork() }));
        }
    };
    let mut producer = queue.producer().unwrap();
    let put = producer.put_iter([10, 11, 12].into_iter().inspect(|&value| fork_at_11(value)));
    if forked.get() == Some(0) {
        exit_now(i32::from(!matches!(put, Err(PutError::Inherited))));
    }
    assert_eq!(put.unwrap(), 3);
    Child::adopted("a child of an iterator", forked.take().unwrap() as u32).expect_success();
    let mut got = Vec::new();
    let mut consumer = queue.consumer().unwrap();
    let count = consumer.get_each(5, |value| {
        got.push(value);
        fork_at_11(value);
    });
    if forked.get() == Some(0) {
        exit_now(i32::from(!(matches!(count, Err(GetError::Inherited)) && got == [10, 11])));
    }
    assert_eq!((count.unwrap(), got), (3, vec![10, 11, 12]));
    Child::adopted("a child of a closure", forked.take().unwrap() as u32).expect_success();
    assert!(queue.is_empty());
}

fn a_child_that_uses_nothing_changes_nothing() {
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let lease = queue.lease().unwrap();
    let producer = queue.producer().unwrap();
    for _ in 0..20 {
        fork("a child that only exits", || {}).expect_success();
    }
    assert_eq!(queue.recover().dead_participants, 0);
    assert!(matches!(queue.put(&1), Err(PutError::Held { .. })));
    producer.put(&2).unwrap();
    lease.give_back();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
}

fn a_child_that_drops_its_handle_leaves_the_parents() {
    let name = unique_name("dropped");
    for uses in [false, true] {
        let queue = RefCell::new(Some(Queue::<u64>::create(&name, 3).unwrap()));
        let child = fork("a child that drops its handle", || {
            let inherited = queue.take().unwrap();
            if uses {
                inherited.put(&1).unwrap();
            }
            drop(inherited);
        });
        child.expect_success();
        assert!(segment_exists(&name), "uses: {uses}");
        let queue = queue.take().unwrap();
        assert_eq!(queue.len(), usize::from(uses));
        queue.put(&2).unwrap();
        Queue::<u64>::open(&name).unwrap().get().unwrap();
        drop(queue);
        assert!(!segment_exists(&name), "uses: {uses}");
    }
}

fn the_last_child_takes_the_name_away() {
    let name = unique_name("last");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    let (attached, go) = (shared_word(), shared_word());
    let child = fork("the last user", {
        let queue = queue.clone();
        move || {
            queue.put(&1).unwrap();
            attached.store(1, Relaxed);
            wait_for_count("the parent to leave", go, 1);
            assert_eq!(queue.get().unwrap(), 1);
            assert!(segment_exists(queue.name()));
            let clone_of_the_parent = queue;
            drop(clone_of_the_parent);
        }
    });
    wait_for_count("the child to attach", attached, 1);
    drop(queue);
    assert!(segment_exists(&name));
    go.store(1, Relaxed);
    child.expect_success();
    // The child inherited two handles and dropped one of them: it ended like an exit without a
    // drop.
    Queue::<u64>::create(&name, 1).expect("no process is attached");
    assert!(!segment_exists(&name));
}

fn many_children_attach_at_once() {
    let queue = Queue::<u64>::builder().capacity(64).max_participants(200).create().unwrap();
    let go = shared_word();
    let children: Vec<Child> = (0..100)
        .map(|i| {
            let queue = &queue;
            fork("one of a hundred", move || {
                wait_for_count("the start", go, 1);
                for round in 0..3 {
                    queue.put_timeout(&(i * 3 + round), PATIENCE).unwrap();
                }
            })
        })
        .collect();
    go.store(1, Relaxed);
    let mut all: Vec<u64> = (0..300).map(|_| queue.get_timeout(PATIENCE).unwrap()).collect();
    all.sort();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
    expect_all_succeed(children);
}

fn a_fork_in_the_middle_of_traffic_goes_on() {
    // A child is forked while others hold the locks: it must neither keep them nor wait for locks
    // whose holders the fork did not copy.
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let stop = shared_word();
    let traffic: Vec<Child> = (0..2)
        .map(|i| {
            let queue = &queue;
            fork("traffic", move || {
                while stop.load(Relaxed) == 0 {
                    if i == 0 {
                        queue.put_timeout(&1, PATIENCE).unwrap();
                    } else {
                        queue.get_timeout(PATIENCE).unwrap();
                    }
                }
            })
        })
        .collect();
    for _ in 0..60 {
        fork("a passer-by", || {
            queue.put_timeout(&2, PATIENCE).unwrap();
            queue.get_timeout(PATIENCE).unwrap();
        })
        .expect_success();
    }
    stop.store(1, Relaxed);
    // One of the two may be waiting for the other, which has left.
    let mut traffic = traffic.into_iter();
    let (mut putter, mut getter) = (traffic.next().unwrap(), traffic.next().unwrap());
    let end = || {
        drop(queue.try_put(&3));
        getter.has_ended()
    };
    wait_until("the getter's end", end, || format!("{queue:?}"));
    let end = || {
        while queue.try_get().is_ok() {}
        putter.has_ended()
    };
    wait_until("the putter's end", end, || format!("{queue:?}"));
    getter.expect_success();
    putter.expect_success();
}

fn a_child_makes_endpoints_of_its_own() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let (held, go) = (shared_word(), shared_word());
    let child = fork("an endpoint's owner", || {
        let producer = queue.producer().unwrap();
        held.store(u64::from(std::process::id()), Relaxed);
        wait_for_count("the parent to check", go, 1);
        producer.put(&5).unwrap();
    });
    wait_for_count("the child to take the side", held, 1);
    assert!(matches!(queue.put(&1), Err(PutError::Held { pid }) if u64::from(pid) == held.load(Relaxed)));
    assert!(matches!(queue.producer().map(drop), Err(PutError::Held { pid }) if pid == child.pid()));
    go.store(1, Relaxed);
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 5);
    child.expect_success();
    queue.put_timeout(&6, PATIENCE).unwrap();
    assert_eq!(queue.get().unwrap(), 6);
}

fn a_task_is_done_by_another_process() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    let workers: Vec<Child> = (0..2)
        .map(|i| {
            let queue = &queue;
            fork("a worker", move || {
                if i == 0 {
                    while let Ok(lease) = queue.lease() {
                        lease.release();
                    }
                }
                for message in queue {
                    message.unwrap();
                    queue.task_done().unwrap();
                }
            })
        })
        .collect();
    for _ in 0..20 {
        (0..30).for_each(|i| queue.put_timeout(&i, PATIENCE).unwrap());
        queue.join_timeout(PATIENCE).unwrap();
        assert!(queue.is_empty());
    }
    queue.close();
    expect_all_succeed(workers);
}
