//! Views: messages that are done and read on, and what they keep.

use super::{A_WHILE, drain, queue, slices};
use crate::support::PATIENCE;
use crate::support::threads::start_and_wait_until_asleep;
use shmq::inspect::{Hold, Inspector};
use shmq::{Fate, GetError, JoinError, PutError, Queue, View};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn view<T: shmq::Plain>(queue: &Queue<T>) -> View<'_, T> {
    queue.try_lease().unwrap().into_view().unwrap()
}

#[test]
fn the_message_is_done_and_its_room_is_kept() {
    let queue: Queue<u32> = queue(2);
    queue.put(&7).unwrap();
    let view = view(&queue);
    assert_eq!((*view, queue.len(), queue.is_empty()), (7, 0, true));
    queue.join().unwrap();
    assert!(matches!(queue.try_lease(), Err(GetError::Empty)));
    assert_eq!(queue.try_put_slice(&[8, 9]).unwrap(), 1, "of two places, the view has one");
    assert!(queue.is_full());
    assert!(matches!(queue.put_timeout(&9, A_WHILE), Err(PutError::Timeout)));
    assert_eq!((*view, drain(&queue)), (7, vec![8]));
    assert!(matches!(queue.try_put(&9), Err(PutError::Full)), "room is freed in order");
    drop(view);
    assert_eq!(queue.try_put_slice(&[9, 10]).unwrap(), 2);
    assert_eq!(drain(&queue), [9, 10]);
}

#[test]
fn the_last_clone_frees_the_room_and_wakes_a_put() {
    let queue: Queue<u64> = queue(1);
    queue.put(&1).unwrap();
    let view = view(&queue);
    let clones: Vec<View<'_, u64>> = (0..10).map(|_| view.clone()).collect();
    drop(view);
    let putter = start_and_wait_until_asleep("a putter", {
        let queue = queue.clone();
        move || queue.put_timeout(&2, PATIENCE)
    });
    for clone in clones {
        assert!(!putter.has_finished());
        std::thread::scope(|threads| drop(threads.spawn(move || assert_eq!(*clone, 1))));
    }
    putter.join().unwrap();
    assert_eq!(queue.get().unwrap(), 2);
}

#[test]
fn a_join_that_waits_is_woken_when_a_lease_becomes_a_view() {
    let queue: Queue<u64> = queue(2);
    queue.put_slice(&[1, 2]).unwrap();
    let (first, second) = (queue.lease().unwrap(), queue.lease_ack().unwrap());
    assert!(matches!(queue.join_timeout(A_WHILE), Err(JoinError::Timeout { left: 2 })));
    let joiner = start_and_wait_until_asleep("a join", {
        let queue = queue.clone();
        move || queue.join_timeout(PATIENCE)
    });
    let views = (first.into_view().unwrap(), second.into_view().unwrap());
    joiner.join().unwrap();
    assert_eq!((*views.0, *views.1), (1, 2));
}

#[test]
fn a_message_that_was_viewed_is_delivered_no_more() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(2).create().unwrap();
    queue.put(&1).unwrap();
    queue.lease().unwrap().give_back();
    let lease = queue.lease_ack().unwrap();
    assert_eq!(lease.deliveries(), 2);
    let id = lease.id();
    assert_eq!(queue.is_done(id), Fate::Pending);
    let view = lease.into_view().unwrap();
    assert_eq!(queue.is_done(id), Fate::Done);
    assert_eq!(queue.recover().redelivered, 0);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((queue.stats().gets, queue.stats().redelivered, queue.stats().given_up), (2, 1, 0));
    // A panic does not bring it back either: it is done.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _view = view;
        panic!("while it is read");
    }));
    assert!(panicked.is_err());
    assert_eq!((queue.is_done(id), queue.recover().views), (Fate::Done, 0));
    assert_eq!(queue.try_put_slice(&[0; 9]).unwrap(), 4, "its room is free");
}

#[test]
fn views_of_slices_lie_where_they_were_put() {
    let queue = slices::<u8>(4096);
    let frames: Vec<Vec<u8>> = (0..4u8).map(|n| vec![n; 100 * (n as usize + 1)]).collect();
    for lap in 0..20 {
        frames.iter().for_each(|frame| queue.put(frame).unwrap());
        let mut views: Vec<_> = frames.iter().map(|_| queue.lease().unwrap().into_view().unwrap()).collect();
        // In another order in each lap.
        views.rotate_left(lap % frames.len());
        while let Some(view) = views.pop() {
            let length = view.as_ref().len();
            assert_eq!(view[..], vec![view[0]; length][..]);
            assert_eq!(length, 100 * (view[0] as usize + 1));
        }
    }
    assert_eq!(queue.stats().gets, 80);
}

#[test]
fn an_owned_lease_makes_a_view_that_keeps_its_queue() {
    let view: View<'static, [u8]> = {
        let queue = slices::<u8>(4096);
        queue.put(b"kept").unwrap();
        queue.lease_ack_owned().unwrap().into_view().unwrap()
    };
    let reader = std::thread::spawn({
        let view = view.clone();
        move || view.to_vec()
    });
    assert_eq!(reader.join().unwrap(), b"kept");
    assert_eq!(&view[..], b"kept");
}

#[test]
fn endpoints_go_on_beside_views() {
    let queue: Queue<u64> = queue(8);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for round in 0..100 {
        let values = [round, round + 1, round + 2];
        values.iter().for_each(|value| producer.try_put(value).unwrap());
        let first = consumer.try_lease().unwrap().into_view().unwrap();
        assert_eq!(consumer.try_get().unwrap(), values[1]);
        let last = consumer.try_lease().unwrap().into_view().unwrap();
        // The room of eight messages, less than what stands behind the first view.
        let filled = (0..9).take_while(|value| producer.try_put(value).is_ok()).count();
        assert_eq!(filled, 5);
        assert_eq!((*first, *last), (values[0], values[2]));
        drop(first);
        assert_eq!((0..9).take_while(|value| producer.try_put(value).is_ok()).count(), 2);
        drop(last);
        (0..7).for_each(|_| assert!(consumer.try_get().is_ok()));
    }
}

#[test]
fn an_inspector_shows_views() {
    let name = crate::support::unique_name("views");
    let queue = Queue::<u64>::create(&name, 4).unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    queue.lease().unwrap().give_back();
    let (viewed, leased) = (view(&queue), queue.lease().unwrap());
    let seen = Inspector::open(&*name).unwrap().snapshot();
    assert_eq!((seen.messages, seen.on_lease, seen.viewed, seen.damaged), (1, 1, 1, false));
    assert_eq!(seen.most_deliveries, 1, "that of the view is over");
    let held: Vec<_> = seen.holdings.iter().map(|held| (held.what, held.pid, held.alive, held.deliveries)).collect();
    let me = std::process::id();
    assert_eq!(held, [(Hold::View, me, true, 2), (Hold::Lease, me, true, 1)]);
    drop((viewed, leased));
    assert_eq!(Inspector::open(&*name).unwrap().snapshot().viewed, 0);
}

#[test]
fn detach_names_views_forgotten_ones_too() {
    let queue: Queue<u64> = queue(4);
    queue.put_slice(&[1, 2]).unwrap();
    let view = queue.lease_owned().unwrap().into_view().unwrap();
    let refused = queue.detach().unwrap_err();
    assert_eq!((refused.in_use().views, refused.in_use().owned_guards), (1, 1));
    assert!(refused.to_string().contains("1 message with a view"), "{refused}");
    let queue = refused.into_handle();
    drop(view);
    std::mem::forget(queue.lease().unwrap().into_view().unwrap());
    let refused = queue.detach().unwrap_err();
    assert_eq!((refused.in_use().views, refused.in_use().leases), (1, 0));
}

/// Views go to other threads, as references do.
#[test]
fn views_are_send_and_sync() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<View<'static, [u8]>>();
    is_shared::<View<'static, u64>>();
}
