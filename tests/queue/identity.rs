//! Which message is which, and what became of it.

use super::{drain, queue, slices};
use shmq::{DeadLetters, DynQueue, Fate, GetError, MessageId, MessageLayout, Queue};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn no_two_messages_have_the_same_id() {
    let (one, other): (Queue<u64>, Queue<u64>) = (queue(3), queue(3));
    let mut seen = HashSet::new();
    let mut last = None;
    // Many laps, by each way to get one.
    for number in 0..60 {
        one.put(&number).unwrap();
        other.put(&number).unwrap();
        let id = match number % 3 {
            0 => one.get_with_id().unwrap().1,
            1 => one.lease().unwrap().id(),
            _ => one.consumer().unwrap().get_with_id().unwrap().1,
        };
        let (taken, other_id) = other.receiver().get_with_id().unwrap();
        assert_eq!(taken, number);
        assert!(seen.insert(id) && seen.insert(other_id));
        assert!(last < Some(id), "in the order in which they were put");
        assert_eq!((one.is_done(id), other.is_done(other_id)), (Fate::Done, Fate::Done));
        assert_eq!((one.is_done(other_id), other.is_done(id)), (Fate::Foreign, Fate::Foreign));
        last = Some(id);
    }
    assert_eq!(seen.len(), 120);
}

#[test]
fn an_id_stays_over_deliveries_and_its_bytes() {
    let queue: Queue<u64> = queue(4);
    queue.put_slice(&[1, 2, 3]).unwrap();
    let first = queue.lease_ack().unwrap();
    let id = first.id();
    let second = queue.lease_mut().unwrap();
    assert!(second.id() > id);
    first.give_back();
    for _ in 0..3 {
        let again = queue.lease_ack_owned().unwrap();
        assert_eq!((again.id(), queue.is_done(id)), (id, Fate::Pending));
        assert_eq!(MessageId::from_bytes(again.id().to_bytes()), id);
    }
    let (number, got) = queue.try_get_with_id().unwrap();
    assert_eq!((number, got, queue.is_done(id)), (1, id, Fate::Done));
    assert_eq!(queue.is_done(second.id()), Fate::Pending);
    assert_eq!(id.to_string().len(), 32);
    assert_eq!(format!("{id:?}"), format!("MessageId({id})"));
}

#[test]
fn slices_have_ids_and_their_order_too() {
    let queue = slices::<u16>(512);
    let mut last = None;
    for length in (0..40).chain([0, 1, 2]) {
        let message = vec![length as u16; length];
        queue.put(&message).unwrap();
        let (got, id) = queue.get_with_id().unwrap();
        assert!(got == message && last < Some(id));
        assert_eq!(queue.is_done(id), Fate::Done);
        last = Some(id);
    }
}

#[test]
fn dropped_loans_share_no_position_with_a_message() {
    let queue: Queue<u64> = queue(2);
    let mut seen = HashSet::new();
    for number in 0..12 {
        drop(queue.loan().unwrap());
        queue.put(&number).unwrap();
        drop(queue.loan().unwrap());
        assert!(seen.insert(queue.get_with_id().unwrap().1));
        drop(queue.loan().unwrap());
    }
}

#[test]
fn a_queue_made_anew_has_other_ids() {
    let name = crate::support::unique_name("anew");
    let queue = Queue::<u64>::create(&name, 2).unwrap();
    queue.put(&1).unwrap();
    let id = queue.get_with_id().unwrap().1;
    drop(queue);
    let queue = Queue::<u64>::create(&name, 2).unwrap();
    queue.put(&1).unwrap();
    assert_eq!(queue.is_done(id), Fate::Foreign);
    assert_ne!(queue.get_with_id().unwrap().1, id);
}

#[test]
fn what_came_back_too_often_was_given_up() {
    let queue = Queue::<u64>::builder().capacity(8).max_deliveries(2).create().unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    let [one, two, three] = [0; 3].map(|_| queue.lease_owned().unwrap());
    let ids = [one.id(), two.id(), three.id()];
    one.give_back();
    two.release();
    three.give_back();
    assert_eq!(ids.map(|id| queue.is_done(id)), [Fate::Pending, Fate::Done, Fate::Pending]);
    queue.lease().unwrap().give_back();
    assert_eq!(queue.is_done(ids[0]), Fate::Pending, "until some call gives it up");
    assert_eq!(queue.get().unwrap(), 3);
    assert_eq!(ids.map(|id| queue.is_done(id)), [Fate::GivenUp, Fate::Done, Fate::Done]);
    // The answer stays over laps.
    for number in 0..100 {
        queue.put(&number).unwrap();
        queue.get().unwrap();
    }
    assert_eq!(ids.map(|id| queue.is_done(id)), [Fate::GivenUp, Fate::Done, Fate::Done]);
}

#[test]
fn many_that_are_given_up_are_forgotten_but_never_taken_for_done() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(1).create().unwrap();
    let mut ids = Vec::new();
    for number in 0..200 {
        queue.put(&number).unwrap();
        let lease = queue.lease().unwrap();
        ids.push(lease.id());
        lease.give_back();
        assert!(queue.try_get().is_err());
    }
    let fates: Vec<_> = ids.iter().map(|id| queue.is_done(*id)).collect();
    let forgotten = fates.iter().take_while(|fate| **fate == Fate::Forgotten).count();
    assert_eq!(forgotten, 200 - 118);
    assert!(fates[forgotten..].iter().all(|fate| *fate == Fate::GivenUp));
}

#[test]
fn a_dead_letter_was_given_up() {
    let name = crate::support::unique_name("letters");
    let letters = DeadLetters::create(&name, 4096).unwrap();
    let builder = Queue::<[bool; 8]>::builder().name(crate::support::unique_name("truths")).capacity(4).max_deliveries(1);
    let queue = builder.schema("eight").dead_letters(&name).create().unwrap();
    let bytes = Queue::<[u8; 8]>::builder().name(queue.name()).schema("eight").open().unwrap();
    bytes.put_slice(&[[1; 8], [7; 8], [0; 8]]).unwrap();
    let worn = bytes.lease().unwrap();
    let worn_id = worn.id();
    worn.give_back();
    let invalid = bytes.lease_ack().unwrap();
    let invalid_id = invalid.id();
    invalid.give_back_uncounted();
    assert_eq!(queue.is_done(invalid_id), Fate::Pending);
    assert!(matches!(queue.try_get_with_id(), Err(GetError::Invalid)));
    assert_eq!([worn_id, invalid_id].map(|id| queue.is_done(id)), [Fate::GivenUp; 2]);
    assert_eq!((letters.len(), drain(&queue)), (2, vec![[false; 8]]));
    DeadLetters::unlink(&name).unwrap();
}

#[test]
fn what_is_no_value_is_done_where_nothing_keeps_it() {
    let queue = Queue::<bool>::builder().capacity(4).schema("one").create().unwrap();
    let bytes = Queue::<u8>::builder().name(queue.name()).schema("one").open().unwrap();
    bytes.put(&7).unwrap();
    let lease = bytes.lease_ack().unwrap();
    let id = lease.id();
    lease.give_back_uncounted();
    assert!(matches!(queue.get_with_id(), Err(GetError::Invalid)));
    assert_eq!(queue.is_done(id), Fate::Done);
    // By copy: each is owed a `task_done`.
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn getting_with_an_id_waits_and_gives_up_as_getting_does() {
    let queue: Queue<u64> = queue(1);
    assert!(matches!(queue.try_get_with_id(), Err(GetError::Empty)));
    assert!(matches!(queue.get_with_id_timeout(super::A_WHILE), Err(GetError::Timeout)));
    queue.put(&1).unwrap();
    queue.close();
    assert_eq!(queue.get_with_id().unwrap().0, 1);
    assert!(matches!(queue.get_with_id(), Err(GetError::Closed)));
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn a_producer_learns_the_id_before_and_after() {
    let queue: Queue<u64> = queue(3);
    for lap in 0..20 {
        let producer = queue.producer().unwrap();
        // The endpoint's other path in between.
        producer.put(&lap).unwrap();
        let mut announced = None;
        let id = producer
            .put_with_id(&(lap + 100), |id| {
                assert_eq!(queue.len(), 1, "it cannot be seen yet");
                announced = Some(id);
            })
            .unwrap();
        assert_eq!((announced, queue.is_done(id)), (Some(id), Fate::Pending));
        producer.put(&lap).unwrap();
        let refused = producer.try_put_with_id(&7, |_| panic!("announced without room"));
        assert!(refused.unwrap_err().is_full());
        drop(producer);
        queue.get().unwrap();
        assert_eq!(queue.get_with_id().unwrap(), (lap + 100, id));
        assert_eq!(id.to_bytes()[..8], queue.nonce().to_be_bytes());
        queue.get().unwrap();
    }
}

#[test]
fn the_announced_id_of_a_slice_is_right_behind_a_filler() {
    let queue = slices::<u16>(512);
    let producer = queue.producer().unwrap();
    for length in (0..40).chain([90, 1, 90, 3, 90, 17, 90]) {
        let message = vec![length as u16; length];
        let mut announced = None;
        let id = producer.put_with_id(&message[..], |id| announced = Some(id)).unwrap();
        assert_eq!(announced, Some(id));
        assert_eq!(queue.get_with_id().unwrap(), (message, id), "{length}");
    }
}

#[test]
fn an_object_of_its_own_file_is_announced_too() {
    let queue = DynQueue::builder(MessageLayout::encoded()).capacity_bytes(4096).create().unwrap();
    let producer = queue.producer().unwrap();
    for length in [10, 100_000, 20, 50_000] {
        let mut announced = None;
        let id = producer.put_with_id(&vec![7; length], |id| announced = Some(id)).unwrap();
        assert_eq!((announced, queue.get_with_id().unwrap()), (Some(id), (vec![7; length], id)));
    }
}

#[test]
fn nothing_is_put_if_the_announcement_panics() {
    let queue = DynQueue::builder(MessageLayout::encoded()).capacity_bytes(4096).create().unwrap();
    let producer = queue.producer().unwrap();
    for length in [10, 100_000] {
        let put = catch_unwind(AssertUnwindSafe(|| producer.put_with_id(&vec![7; length], |_| panic!("on purpose"))));
        assert_eq!(put.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert!(queue.is_empty());
        producer.put(b"after").unwrap();
        assert_eq!(queue.get().unwrap(), b"after");
    }
    // The side is left: closing does not wait for it.
    queue.close();
    assert!(producer.put(b"late").unwrap_err().is_closed());
}
