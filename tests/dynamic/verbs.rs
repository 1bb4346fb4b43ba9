//! What the verbs of queues promise holds by bytes as well.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::{DeadLetters, DynQueue, GetError, JoinError, MessageLayout, PutError, Queue, Stop, wait_any_timeout};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_full_queue_refuses_times_out_and_goes_on,
        leases_end_as_typed_ones_do,
        a_worn_out_message_goes_to_the_dead_letters_as_its_bytes,
        closing_ends_both_sides,
        a_stop_ends_waits,
        several_things_are_waited_for,
        a_lease_is_forwarded,
        joins_count_messages_by_bytes,
        the_last_sender_ends_the_stream,
        a_forked_child_uses_an_inherited_handle,
        a_persisted_queue_keeps_its_layout,
        loans_that_keep_the_queue_outlive_the_handle,
        a_view_outlives_the_lease,
        tasks_wait_by_bytes,
    ]
}

const SHORT: Duration = Duration::from_millis(20);

fn numbers(capacity: usize) -> DynQueue {
    DynQueue::new(MessageLayout::of::<u64>(), capacity).unwrap()
}

fn a_full_queue_refuses_times_out_and_goes_on() {
    let queue = numbers(2);
    assert_eq!(queue.try_put_slice(&[1; 24]).unwrap(), 2);
    assert!(matches!(queue.try_put(&[2; 8]), Err(PutError::Full)));
    assert!(matches!(queue.try_loan(), Err(PutError::Full)));
    assert!(matches!(queue.put_timeout(&[2; 8], SHORT), Err(PutError::Timeout)));
    assert!(matches!(queue.put_slice_timeout(&[2; 8], SHORT), Err(PutError::Timeout)));
    let putter = fork("a putter that waits", || queue.put_timeout(&[3; 8], PATIENCE).unwrap());
    assert_eq!(queue.get().unwrap(), [1; 8]);
    putter.expect_success();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (vec![1; 8], vec![3; 8]));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(SHORT), Err(GetError::Timeout)));
    assert!(matches!(queue.get_into_timeout(&mut [0; 8], SHORT), Err(GetError::Timeout)));
    assert!(matches!(queue.try_lease(), Err(GetError::Empty)));
}

fn leases_end_as_typed_ones_do() {
    for queue in [numbers(4), DynQueue::new(MessageLayout::slice(4, 4).unwrap(), 4).unwrap()] {
        queue.put(&[1; 8]).unwrap();
        queue.put(&[2; 8]).unwrap();
        let lease = queue.lease().unwrap();
        assert_eq!((&*lease, lease.deliveries()), (&[1; 8][..], 1));
        lease.give_back();
        let lease = queue.lease_owned().unwrap();
        assert_eq!((&*lease, lease.deliveries()), (&[1; 8][..], 2));
        drop(lease);
        drop(queue.lease_ack().unwrap());
        let mut again = queue.lease_ack_owned().unwrap();
        again.message_mut()[0] = 9;
        again.give_back();
        let again = queue.lease_ack().unwrap();
        assert_eq!(*again, [9, 2, 2, 2, 2, 2, 2, 2]);
        again.ack().unwrap();
        assert!(queue.is_empty());
    }
}

fn a_worn_out_message_goes_to_the_dead_letters_as_its_bytes() {
    let letters = unique_name("letters");
    let dead = DeadLetters::create(&letters, 1 << 16).unwrap();
    let builder = DynQueue::builder(MessageLayout::of::<u64>()).capacity(4);
    let queue = builder.max_deliveries(2).dead_letters(&letters).create().unwrap();
    queue.put(&[7; 8]).unwrap();
    queue.put(&[8; 8]).unwrap();
    queue.lease().unwrap().give_back();
    queue.lease().unwrap().give_back();
    assert_eq!(queue.get().unwrap(), [8; 8]);
    assert_eq!(dead.get_timeout(PATIENCE).unwrap().bytes, [7; 8]);
    assert_eq!(queue.stats().dead_letters, 1);
    DeadLetters::unlink(&letters).unwrap();
}

fn closing_ends_both_sides() {
    let queue = numbers(4);
    queue.put(&[7; 8]).unwrap();
    queue.close();
    assert!(matches!(queue.put(&[7; 8]), Err(PutError::Closed)));
    assert!(matches!(queue.loan(), Err(PutError::Closed)));
    assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), [vec![7; 8]]);
    assert!(matches!(queue.get_into(&mut [0; 8]), Err(GetError::Closed)));
    assert!(queue.is_closed());
}

fn a_stop_ends_waits() {
    let (queue, stop) = (numbers(1), Stop::new());
    let stopped = queue.with_stop(&stop);
    let setter = std::thread::spawn({
        let stop = stop.clone();
        move || {
            std::thread::sleep(SHORT);
            stop.set();
        }
    });
    assert!(matches!(stopped.get(), Err(GetError::Interrupted)));
    setter.join().unwrap();
    stopped.put(&[1; 8]).unwrap();
    assert!(matches!(stopped.put(&[1; 8]), Err(PutError::Interrupted)));
    assert!(matches!(stopped.producer().unwrap().put(&[1; 8]), Err(PutError::Interrupted)));
    assert_eq!(queue.get().unwrap(), [1; 8]);
}

fn several_things_are_waited_for() {
    let (first, second) = (numbers(4), numbers(4));
    assert!(wait_any_timeout(&[&first, &second], SHORT).unwrap_err().is_timeout());
    second.put(&[1; 8]).unwrap();
    assert_eq!(wait_any_timeout(&[&first, &second], PATIENCE).unwrap(), 1);
    let consumer = first.consumer().unwrap();
    let receiver = second.receiver();
    first.put(&[1; 8]).unwrap();
    assert_eq!(wait_any_timeout(&[&receiver, &consumer], PATIENCE).unwrap(), 0);
    assert_eq!(wait_any_timeout(&[&consumer], PATIENCE).unwrap(), 0);
}

fn a_lease_is_forwarded() {
    let (from, to) = (numbers(4), numbers(4));
    let other = DynQueue::new(MessageLayout::of::<u32>(), 4).unwrap();
    from.put(&[7; 8]).unwrap();
    // Of another length: the lease is given back to its caller.
    let refused = from.lease().unwrap().forward(&other).unwrap_err();
    assert!(matches!(refused.error(), PutError::WrongLength { len: 8, expected: 4 }));
    refused.into_lease().forward(&to).unwrap();
    assert_eq!(to.get().unwrap(), [7; 8]);
    from.put(&[8; 8]).unwrap();
    from.lease_ack().unwrap().forward(&to.producer().unwrap()).unwrap();
    assert_eq!(to.get().unwrap(), [8; 8]);
    assert!(from.is_empty());
}

fn joins_count_messages_by_bytes() {
    let queue = numbers(4);
    queue.put_slice(&[7; 16]).unwrap();
    assert!(matches!(queue.join_timeout(SHORT), Err(JoinError::Timeout { left: 2 })));
    drop(queue.lease().unwrap());
    queue.get_into(&mut [0; 8]).unwrap();
    assert!(matches!(queue.join_timeout(SHORT), Err(JoinError::Timeout { left: 1 })));
    queue.task_done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
}

fn the_last_sender_ends_the_stream() {
    let queue = DynQueue::builder(MessageLayout::of::<u64>()).capacity(4).close_when_unused(true).create().unwrap();
    let (sender, receiver) = (queue.sender(), queue.receiver());
    drop(queue);
    let child = fork("a sender", || {
        sender.put(&[7; 8]).unwrap();
        let mut loan = sender.loan().unwrap();
        loan.fill(8);
        loan.commit().unwrap();
    });
    child.expect_success();
    drop(sender);
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), [vec![7; 8], vec![8; 8]]);
}

fn a_forked_child_uses_an_inherited_handle() {
    let queue = numbers(4);
    let producer = queue.producer().unwrap();
    producer.put(&[1; 8]).unwrap();
    let child = fork("a child", || {
        assert_eq!(queue.get_timeout(PATIENCE).unwrap(), [1; 8]);
        assert!(matches!(producer.put(&[2; 8]), Err(PutError::Inherited)));
        assert!(matches!(producer.loan(), Err(PutError::Inherited)));
        assert!(matches!(queue.put(&[2; 8]), Err(PutError::Held { .. })));
    });
    child.expect_success();
    producer.put(&[3; 8]).unwrap();
    let lease = queue.lease().unwrap();
    fork("a child with a lease", || drop(lease)).expect_success();
    drop(producer);
    assert_eq!(queue.len(), 0);
}

fn loans_that_keep_the_queue_outlive_the_handle() {
    for queue in [numbers(4), DynQueue::new(MessageLayout::slice(4, 4).unwrap(), 4).unwrap()] {
        let other = DynQueue::open(queue.name()).unwrap();
        let mut loan = queue.loan_len_owned(8).unwrap();
        // The loan is in the way.
        let queue = queue.detach().unwrap_err().into_handle();
        let producer = queue.producer().unwrap();
        drop(queue);
        loan.fill(1);
        std::thread::spawn(move || loan.commit().unwrap()).join().unwrap();
        let mut loan = producer.loan_len_owned(8).unwrap();
        drop(producer);
        loan.fill(2);
        loan.commit().unwrap();
        drop(other.loan_len_owned(8).unwrap());
        assert_eq!((other.get().unwrap(), other.get().unwrap()), (vec![1; 8], vec![2; 8]));
        assert!(matches!(other.try_get(), Err(GetError::Empty)));
        other.detach().unwrap();
    }
}

fn a_view_outlives_the_lease() {
    let queue = numbers(2);
    queue.put_slice(&[1; 16]).unwrap();
    let view = queue.lease().unwrap().into_view().unwrap();
    let again = view.clone();
    assert_eq!((&*view, &*again), (&[1; 8][..], &[1; 8][..]));
    queue.get().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    drop((view, again));
    assert_eq!(queue.put_slice(&[2; 16]).unwrap(), 2);
}

#[cfg(not(feature = "async"))]
fn tasks_wait_by_bytes() {}

#[cfg(feature = "async")]
fn tasks_wait_by_bytes() {
    use futures::executor::block_on;
    for (queue, bytes) in [
        (numbers(1), vec![1; 8]),
        (DynQueue::builder(MessageLayout::slice(4, 4).unwrap()).capacity_bytes(256).create().unwrap(), vec![1; 100]),
    ] {
        queue.put(&bytes).unwrap();
        let name = queue.name().to_owned();
        let getter = fork("a getter that comes late", || {
            std::thread::sleep(SHORT);
            assert_eq!(DynQueue::open(&name).unwrap().get().unwrap(), bytes);
        });
        block_on(queue.put_async(&bytes)).unwrap();
        getter.expect_success();
        assert!(matches!(block_on(queue.put_async(&[0; 7])), Err(PutError::WrongLength { .. } | PutError::NotWhole { .. })));
        assert_eq!(block_on(queue.get_async()).unwrap(), bytes);
        let putter = fork("a putter that comes late", || {
            std::thread::sleep(SHORT);
            DynQueue::open(&name).unwrap().put(&bytes).unwrap();
        });
        assert_eq!(*block_on(queue.lease_async()).unwrap(), bytes);
        putter.expect_success();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        assert_eq!(block_on(consumer.get_async()).unwrap(), bytes); // the lease was given back
        block_on(producer.put_async(&bytes)).unwrap();
        assert_eq!(block_on(consumer.get_async()).unwrap(), bytes);
    }
}

fn a_persisted_queue_keeps_its_layout() {
    let name = unique_name("persisted");
    let layout = MessageLayout::value(16, 4).unwrap().structure("[u32; 4]").unwrap().type_name("Four").schema("four/1").unwrap();
    {
        let queue = DynQueue::builder(layout.clone()).name(&name).capacity(4).persist(true).create().unwrap();
        queue.put(&[7; 16]).unwrap();
    }
    let queue = DynQueue::open(&name).unwrap();
    assert_eq!((queue.layout(), queue.get().unwrap()), (&layout, vec![7; 16]));
    DynQueue::unlink(&name).unwrap();
    assert!(Queue::<[u32; 4]>::open(&name).unwrap_err().is_not_found());
}
