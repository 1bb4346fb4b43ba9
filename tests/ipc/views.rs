//! Views between processes: their reader is killed under a backlog, ends, forks; and what ends them
//! beside a Producer, and beside a process that is stopped in a lock.

use crate::deaths::victim;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork};
use crate::support::stalled::stopped_in_the_put_lock;
use crate::support::{BY_ITSELF, PATIENCE, unique_name, wait_until};
use shmq::inspect::{Hold, Inspector, Snapshot};
use shmq::{GetError, Plain, PutError, Queue, View};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_putter_that_sleeps_gets_the_room_of_a_killed_reader,
        a_put_that_does_not_wait_gets_it_at_once,
        a_producer_gets_it_at_once,
        a_getters_probe_frees_it,
        a_reader_killed_before_it_has_a_view_gives_the_message_back,
        an_inherited_view_is_inert,
        a_view_keeps_its_process_a_participant,
        a_newcomer_ends_the_views_of_its_predecessor_beside_a_producer,
        no_later_holder_of_an_entry_is_taken_for_the_reader,
        a_getter_beside_a_process_stopped_in_the_put_lock_does_not_wait_for_it,
    ]
}

fn seen<T: Plain + ?Sized>(queue: &Queue<T>) -> Snapshot {
    Inspector::open(queue.name()).unwrap().snapshot()
}

/// A process that has views of the next `count` messages.
fn reader<T: Plain + ?Sized>(queue: &Queue<T>, count: usize) -> Child {
    victim("a reader", |wait| {
        let views: Vec<View<'_, T>> = (0..count).map(|_| queue.try_lease().unwrap().into_view().unwrap()).collect();
        wait();
        drop(views);
    })
}

fn a_putter_that_sleeps_gets_the_room_of_a_killed_reader() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..4 {
        queue.put_slice(&[round, 100, 101, 102]).unwrap();
        let reader = reader(&queue, 2);
        queue.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!((queue.len(), queue.is_full()), (2, true));
        let mut putter = fork("a putter", || queue.put_timeout(&103, PATIENCE).unwrap());
        putter.wait_until_asleep();
        let held: Vec<_> = seen(&queue).holdings.iter().map(|held| (held.what, held.pid, held.alive)).collect();
        assert_eq!(held, [(Hold::View, reader.pid(), true); 2]);
        reader.kill();
        putter.expect_success_within(BY_ITSELF);
        for expected in [101, 102, 103] {
            assert_eq!(queue.get().unwrap(), expected);
            queue.task_done().unwrap();
        }
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "what was viewed does not come back");
        queue.join_timeout(PATIENCE).unwrap();
        assert_eq!(queue.stats().redelivered, 0);
    }
}

fn a_put_that_does_not_wait_gets_it_at_once() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let slices = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let largest = vec![7; slices.max_len()];
    for _ in 0..4 {
        queue.put_slice(&[1, 2, 3, 4]).unwrap();
        let reader_of_all = reader(&queue, 4);
        assert!(matches!(queue.try_put(&5), Err(PutError::Full)));
        assert!(matches!(queue.try_loan().map(drop), Err(PutError::Full)));
        reader_of_all.kill();
        // None of it waits for a slice.
        queue.try_loan().unwrap().commit().unwrap();
        assert_eq!(queue.try_put_slice(&[6, 7, 8]).unwrap(), 3);
        while queue.try_get().is_ok() {}

        while slices.try_put(&[1; 100]).is_ok() {}
        let reader_of_all = reader(&slices, slices.len());
        assert!(matches!(slices.try_put(&largest), Err(PutError::Full)));
        reader_of_all.kill();
        slices.try_put(&largest).unwrap();
        assert_eq!(slices.try_get().unwrap(), largest);
    }
}

fn a_producer_gets_it_at_once() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let producer = queue.producer().unwrap();
    for round in 0..8 {
        assert_eq!(producer.try_put_slice(&[1, 2, 3, 4]).unwrap(), 4);
        let reader = reader(&queue, 1 + round % 4);
        assert!(matches!(producer.try_put(&5), Err(PutError::Full)));
        reader.kill();
        for value in 0..=round as u64 % 4 {
            producer.try_put(&(5 + value)).unwrap();
        }
        assert!(matches!(producer.try_put(&9), Err(PutError::Full)));
        while queue.try_get().is_ok() {}
    }
}

/// So a program that waits for room by polling sees it, while no put tries.
fn a_getters_probe_frees_it() {
    let queue: Queue<u64> = Queue::new(2).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let reader = reader(&queue, 2);
    let mut getter = fork("a getter", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 3));
    getter.wait_until_asleep();
    reader.kill();
    wait_until("room", || !queue.is_full(), || format!("{:?}", seen(&queue)));
    queue.put(&3).unwrap();
    getter.expect_success();
}

fn a_reader_killed_before_it_has_a_view_gives_the_message_back() {
    let queue: Queue<u64> = Queue::new(2).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let reader = victim("a reader", |wait| {
        let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
        let view = second.into_view().unwrap();
        wait();
        drop((first, view));
    });
    reader.kill();
    let report = queue.recover();
    assert_eq!((report.redelivered, report.views), (1, 1));
    let again = queue.try_lease().unwrap();
    assert_eq!((*again, again.deliveries()), (1, 2));
    again.release();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!(queue.recover().views, 0);
}

fn an_inherited_view_is_inert() {
    let panics = |act: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(act)).is_err();
    let queue: Queue<u64> = Queue::new(1).unwrap();
    for ending in 0..4 {
        queue.put(&7).unwrap();
        let lease = RefCell::new(Some(queue.lease_ack().unwrap()));
        if ending == 0 {
            fork("a child with its parent's lease", || {
                assert!(matches!(lease.take().unwrap().into_view(), Err(GetError::Inherited)));
            })
            .expect_success();
        }
        let view = RefCell::new(Some(lease.take().unwrap().into_view().unwrap()));
        fork("a child with its parent's view", || {
            let inherited: Option<View<'_, u64>> = view.take();
            match ending {
                0 => drop(inherited),
                1 => assert!(panics(&mut || assert_eq!(**inherited.as_ref().unwrap(), 7))),
                2 => drop(inherited.clone()),
                _ => std::mem::forget(inherited),
            }
            assert!(matches!(queue.try_put(&8), Err(PutError::Full)));
        })
        .expect_success();
        assert!(matches!(queue.try_put(&8), Err(PutError::Full)), "ending {ending}");
        let view = view.take().unwrap();
        assert_eq!(*view, 7);
        drop(view);
        queue.try_put(&8).unwrap();
        assert_eq!(queue.get().unwrap(), 8);
    }
}

fn a_view_keeps_its_process_a_participant() {
    let queue = Queue::<[u8]>::builder().name(unique_name("kept")).capacity_bytes(4096).create().unwrap();
    queue.put(b"seen").unwrap();
    let view = {
        let own = Queue::<[u8]>::open(queue.name()).unwrap();
        let lease = own.lease_owned().unwrap();
        lease.into_view().unwrap()
    };
    let participants = seen(&queue).participants.len();
    let name = queue.name().to_owned();
    drop(queue);
    let after = Inspector::open(&*name).unwrap().snapshot();
    assert_eq!((after.viewed, after.participants.len()), (1, participants - 1));
    assert_eq!(&view[..], b"seen");
    drop(view);
    assert!(Inspector::open(&*name).is_err(), "the last participant takes the name along");
}

fn a_newcomer_ends_the_views_of_its_predecessor_beside_a_producer() {
    let queue = Queue::<u64>::builder().name(unique_name("entry")).capacity(4).max_participants(2).create().unwrap();
    let producer = queue.producer().unwrap();
    producer.put(&1).unwrap();
    reader(&queue, 1).kill();
    assert_eq!(seen(&queue).viewed, 1);
    // It gets the only other entry.
    fork("a newcomer", || assert!(queue.is_empty() && queue.recover().views == 0)).expect_success();
    assert_eq!(seen(&queue).viewed, 0);
    (0..4).for_each(|value| producer.try_put(&value).unwrap());
}

/// A record names its owner by 10 bits of a generation. A reader that leaves in good order, with a
/// view that it has forgotten, gives no notice of it; the generation whose bits wrap ends it.
fn no_later_holder_of_an_entry_is_taken_for_the_reader() {
    let queue = Queue::<u64>::builder().name(unique_name("wrap")).capacity(4).max_participants(2).create().unwrap();
    let producer = queue.producer().unwrap();
    producer.put(&1).unwrap();
    let name = queue.name().to_owned();
    fork("a reader that forgets", || {
        let own = Queue::<u64>::open(&*name).unwrap();
        std::mem::forget(own.lease().unwrap().into_view().unwrap());
    })
    .expect_success();
    fork("later holders of the entry", || {
        for _ in 0..2050 {
            let later = Queue::<u64>::open(&*name).unwrap();
            let held = Inspector::open(&*name).unwrap().snapshot().holdings;
            assert!(!held.iter().any(|held| held.what == Hold::View && held.alive), "{held:?}");
            drop(later);
        }
    })
    .expect_success();
    assert_eq!(seen(&queue).viewed, 0);
    (0..4).for_each(|value| producer.try_put(&value).unwrap());
}

/// Far longer than a get needs on a loaded machine, far shorter than the process stays stopped.
const NO_TIME: Duration = Duration::from_secs(5);

fn a_getter_beside_a_process_stopped_in_the_put_lock_does_not_wait_for_it() {
    let queue = Queue::<[u8]>::builder().capacity(8).capacity_bytes(64 << 10).create().unwrap();
    (1..=4u8).for_each(|i| queue.put(&[i; 100]).unwrap());
    let reader = reader(&queue, 2);
    let stopped = stopped_in_the_put_lock(&queue);
    reader.kill();
    // Once a slice has passed, a lease probes first.
    std::thread::sleep(Duration::from_millis(120));
    let started = Instant::now();
    assert_eq!((queue.lease().unwrap()[0], queue.get().unwrap()[0]), (3, 4));
    assert!(started.elapsed() < NO_TIME, "{:?}", started.elapsed());
    assert_eq!(seen(&queue).viewed, 2);
    stopped.go_on();
    expect_all_succeed(vec![stopped]);
    assert_eq!(queue.recover().views, 2);
}
