//! Leases that come back unless they are acknowledged: what each way of leaving one does.

use super::{SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{AckLease, GetError, JoinError, PutError, Queue};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn only_an_ack_ends_the_message() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    queue.lease_ack().unwrap().ack().unwrap();
    let lease = queue.lease_ack().unwrap();
    assert_eq!((*lease, lease.deliveries(), queue.len()), (2, 1, 1));
    drop(lease);
    queue.lease_ack().unwrap().give_back();
    let lease = queue.lease_ack().unwrap();
    assert_eq!((*lease, lease.deliveries(), queue.len()), (2, 3, 1));
    drop(lease);
    assert_eq!(drain(&queue), [2, 3]);
    assert_eq!(queue.try_put_slice(&[0; 9]).unwrap(), 4, "acknowledged messages free their room");
}

#[test]
fn an_early_return_gives_it_back() {
    fn next(queue: &Queue<[u8]>) -> Result<u32, Box<dyn Error>> {
        let lease = queue.lease_ack()?;
        let number = std::str::from_utf8(&lease)?.parse()?;
        lease.ack()?;
        Ok(number)
    }
    let queue = slices::<u8>(1024);
    queue.put(b"no number").unwrap();
    queue.put(b"7").unwrap();
    for delivery in 1..4 {
        assert!(next(&queue).is_err());
        assert_eq!(queue.stats().redelivered, delivery - 1);
    }
    assert_eq!(queue.get().unwrap(), b"no number");
    assert_eq!(next(&queue).unwrap(), 7);
    assert!(queue.is_empty());
}

/// Unlike a `Lease`, which is given back only by a panic that began while it was held.
#[test]
fn a_panic_gives_it_back_whenever_it_was_taken() {
    struct Takes<'q>(&'q Queue<u32>);
    impl Drop for Takes<'_> {
        fn drop(&mut self) {
            drop(self.0.lease_ack().unwrap());
            self.0.lease().unwrap().release();
        }
    }
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lease = queue.lease_ack().unwrap();
        let _takes = Takes(&queue); // 2, while the panic unwinds: the lease comes back, then it is released
        panic!("in the middle of the work");
    }));
    assert!(panicked.is_err());
    assert_eq!(drain(&queue), [1, 3]);
    assert_eq!(queue.stats().redelivered, 2);
}

#[test]
fn dropped_ones_come_back_oldest_first_in_whatever_order_they_are_dropped() {
    let queue: Queue<u32> = queue(8);
    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5]).unwrap(), 5);
    let mut leases: Vec<_> = (0..4).map(|_| Some(queue.lease_ack().unwrap())).collect();
    for place in [2, 0, 3, 1] {
        leases[place] = None;
    }
    let mut again = Vec::new();
    for _ in 0..5 {
        let lease = queue.lease_ack().unwrap();
        again.push((*lease, lease.deliveries()));
        lease.ack().unwrap();
    }
    assert_eq!(again, [(1, 2), (2, 2), (3, 2), (4, 2), (5, 1)]);
}

/// A `Vec` drops from the front, a struct in the order of its fields, a block from its end: the
/// messages come back in the order in which they were put all the same.
#[test]
fn the_order_of_drops_does_not_reach_the_queue() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    {
        let _first = queue.lease_ack().unwrap();
        let _second = queue.lease_ack().unwrap();
        let _third = queue.lease_ack().unwrap();
    }
    assert_eq!(drain(&queue), [1, 2, 3]);
    assert_eq!(queue.put_slice(&[4, 5]).unwrap(), 2);
    let (first, second) = (queue.lease_ack().unwrap(), queue.lease_ack().unwrap());
    second.ack().unwrap();
    drop(first);
    assert_eq!(drain(&queue), [4]);
}

#[test]
fn a_drop_wakes_a_getter_and_an_ack_a_putter_and_a_join() {
    let queue: Queue<u32> = queue(1);
    queue.put(&1).unwrap();
    let lease = queue.lease_ack().unwrap();
    let getter = start_and_wait_until_asleep("a getter", {
        let queue = queue.clone();
        move || queue.lease_ack_owned_timeout(SOON)
    });
    drop(lease);
    let lease = getter.join().unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    let putter = start_and_wait_until_asleep("a putter", {
        let queue = queue.clone();
        move || queue.put_timeout(&2, SOON)
    });
    lease.ack().unwrap();
    putter.join().unwrap();
    let lease = queue.lease_ack().unwrap();
    let joiner = start_and_wait_until_asleep("a join", {
        let queue = queue.clone();
        move || queue.join_timeout(SOON)
    });
    lease.ack().unwrap();
    joiner.join().unwrap();
}

#[test]
fn join_counts_what_came_back_as_unfinished() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    let left = |queue: &Queue<u32>| match queue.join_timeout(super::A_WHILE) {
        Err(JoinError::Timeout { left }) => left,
        other => panic!("{other:?}"),
    };
    let lease = queue.lease_ack().unwrap();
    assert_eq!(left(&queue), 2);
    drop(lease);
    assert_eq!(left(&queue), 2);
    queue.lease_ack().unwrap().ack().unwrap();
    assert_eq!(left(&queue), 1);
    queue.lease_ack().unwrap().ack().unwrap();
    queue.join_timeout(SOON).unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)), "the ack was the task_done");
}

#[test]
fn a_drop_is_a_delivery_and_a_message_is_given_up_after_the_last() {
    let queue = Queue::<u32>::builder().capacity(4).max_deliveries(3).create().unwrap();
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    for delivery in 1..=3 {
        let lease = queue.lease_ack().unwrap();
        assert_eq!((*lease, lease.deliveries()), (1, delivery));
    }
    let lease = queue.lease_ack().unwrap();
    assert_eq!((*lease, lease.deliveries(), queue.stats().given_up), (2, 1, 1));
    lease.ack().unwrap();
}

/// For futures: a message that no caller has seen.
#[test]
fn what_reached_no_caller_was_not_delivered() {
    let queue = Queue::<u32>::builder().capacity(4).max_deliveries(1).create().unwrap();
    queue.put(&1).unwrap();
    for _ in 0..5 {
        let lease = queue.lease_ack().unwrap();
        assert_eq!(lease.deliveries(), 1);
        lease.give_back_uncounted();
    }
    drop(queue.lease_ack().unwrap());
    assert!(matches!(queue.try_lease_ack().map(drop), Err(GetError::Empty)));
    assert_eq!(queue.stats().given_up, 1);
}

#[test]
fn what_was_written_stays_when_it_comes_back() {
    let queue = slices::<u16>(1024);
    queue.put(&[1, 2, 3]).unwrap();
    let mut lease = queue.lease_ack().unwrap();
    lease.message_mut()[1] = 20;
    assert_eq!(lease[..], [1, 20, 3]);
    drop(lease);
    let lease = queue.lease_ack_owned().unwrap();
    assert_eq!((&lease[..], lease.deliveries()), (&[1, 20, 3][..], 2));
    lease.ack().unwrap();
}

#[test]
fn a_closed_queue_takes_back_what_is_dropped_and_what_is_acknowledged() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    let (first, second) = (queue.lease_ack().unwrap(), queue.lease_ack().unwrap());
    queue.close();
    drop(first);
    second.ack().unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn an_owned_one_keeps_the_segment_and_goes_to_other_threads() {
    let queue: Queue<u32> = queue(4);
    let handle = serde_json::to_string(&queue).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let (acked, dropped): (AckLease<'static, u32>, _) = (queue.lease_ack_owned().unwrap(), queue.lease_ack_owned().unwrap());
    drop(queue);
    let again: Queue<u32> = serde_json::from_str(&handle).expect("a lease is a participant");
    std::thread::spawn(move || {
        assert_eq!((*acked, *dropped), (1, 2));
        acked.ack().unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(drain(&again), [2, 3]);
}

#[test]
fn the_last_handle_of_a_queue_may_be_a_lease() {
    let queue: Queue<u32> = queue(2);
    let name = queue.name().to_string();
    queue.put(&1).unwrap();
    let lease = queue.lease_ack_owned().unwrap();
    drop(queue);
    assert!(crate::support::segment_exists(&name));
    drop(lease);
    assert!(!crate::support::segment_exists(&name), "its end was the queue's");
}

#[test]
fn a_forgotten_one_holds_its_record() {
    let queue: Queue<u32> = queue(2);
    queue.put(&1).unwrap();
    std::mem::forget(queue.lease_ack().unwrap());
    assert_eq!(queue.recover().redelivered, 0);
    assert!(matches!(queue.get_timeout(4 * super::A_WHILE), Err(GetError::Timeout)));
}

#[test]
fn a_consumer_takes_back_what_it_dropped_before_newer_ones() {
    let queue: Queue<u32> = queue(8);
    let consumer = queue.consumer().unwrap();
    for round in 0..10 {
        assert_eq!(queue.put_slice(&[round, 100, 101]).unwrap(), 3);
        let (oldest, newest) = (consumer.lease_ack().unwrap(), consumer.lease_ack_owned().unwrap());
        newest.ack().unwrap();
        drop(oldest);
        let lease = consumer.lease_ack().unwrap();
        assert_eq!((*lease, lease.deliveries()), (round, 2));
        lease.ack().unwrap();
        assert_eq!(consumer.get().unwrap(), 101);
        assert!(matches!(consumer.try_lease_ack().map(drop), Err(GetError::Empty)));
    }
    let lease = queue.put(&7).map(|()| consumer.lease_ack_owned().unwrap()).unwrap();
    drop(consumer);
    drop(lease);
    assert_eq!(drain(&queue), [7]);
}

#[test]
fn it_is_forwarded_and_then_done_or_refused_and_kept() {
    let (from, to): (Queue<u32>, Queue<u32>) = (queue(4), queue(1));
    assert_eq!(from.put_slice(&[1, 2]).unwrap(), 2);
    from.lease_ack().unwrap().try_forward(&to).unwrap();
    let refused = from.lease_ack().unwrap().try_forward(&to).unwrap_err();
    assert!(matches!(refused.error(), PutError::Full));
    let lease = refused.into_lease();
    assert_eq!((*lease, lease.deliveries()), (2, 1));
    drop(lease.try_forward(&to).unwrap_err());
    assert_eq!((to.get().unwrap(), from.len()), (1, 1));
    from.lease_ack().unwrap().forward(&to).unwrap();
    assert_eq!((to.get().unwrap(), from.is_empty()), (2, true));
    from.join_timeout(SOON).unwrap();
}
