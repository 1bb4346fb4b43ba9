//! Each verb of a queue and of its endpoints, called once.

use crate::support::unique_name;
use crate::{SOON, Tick, later};
use shmq::{
    AckLease, Consumer, GetError, Iter, JoinError, Lease, Loan, OpenError, Producer, PutError, Queue, QueueBuilder,
    RecoveryReport, Stats, WaitStrategy,
};
use std::time::Instant;

#[test]
fn a_queue_is_made_and_found_in_every_way() {
    let name = unique_name("made");
    let created: Queue<Tick> = Queue::create(&name, 3).unwrap();
    let opened = Queue::<Tick>::open(&name).unwrap();
    let either = Queue::<Tick>::open_or_create(name.clone(), 3).unwrap();
    assert_eq!((created.name(), opened.name(), either.name()), (name.as_str(), name.as_str(), name.as_str()));
    let anonymous: Queue<Tick> = Queue::new(3).unwrap();
    assert!(!anonymous.name().is_empty());
    created.persist();
    Queue::<Tick>::unlink(&name).unwrap();
    assert!(matches!(Queue::<Tick>::open(&name), Err(OpenError::NotFound { .. })));
}

#[test]
fn a_builder_takes_every_setting() {
    let name = unique_name("built");
    let builder: QueueBuilder<Queue<Tick>> = Queue::<Tick>::builder();
    let queue = builder
        .name(&name)
        .capacity(4)
        .wait_strategy(WaitStrategy::Block)
        .schema("tick/1")
        .mode(0o640)
        .persist(false)
        .max_deliveries(3)
        .max_participants(8)
        .lock_memory(false)
        .huge_pages(false)
        .create()
        .unwrap();
    let opened = Queue::<Tick>::builder()
        .name(&name)
        .wait_strategy(WaitStrategy::Custom { spins: 3, yields: 4 })
        .schema("tick/1")
        .open()
        .unwrap();
    let either = Queue::<Tick>::builder().name(&name).capacity(4).schema("tick/1").open_or_create().unwrap();
    assert_eq!((queue.capacity(), opened.capacity(), either.capacity()), (4, 4, 4));

    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().name(unique_name("bytes")).capacity_bytes(1 << 12).create().unwrap();
    assert!(bytes.capacity_bytes() >= 1 << 12);
    assert!(bytes.max_len() > 0);
    let both = Queue::<[f32]>::builder().name(unique_name("both")).capacity(2).capacity_bytes(1 << 12).create().unwrap();
    assert_eq!(both.capacity(), 2);
    for wait in [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Block, WaitStrategy::Custom { spins: 1, yields: 1 }] {
        let queue = Queue::<u8>::builder().capacity(1).wait_strategy(wait).create().unwrap();
        assert!(!queue.name().is_empty(), "a builder without a name makes an anonymous queue");
        assert!(matches!(queue.get_timeout(SOON), Err(GetError::Timeout)), "{wait:?}");
    }
    assert!(matches!(WaitStrategy::default(), WaitStrategy::Adaptive));
}

#[test]
fn a_queue_puts_and_gets_by_copy() {
    let queue: Queue<u32> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    queue.try_put(&2).unwrap();
    queue.put_timeout(&3, SOON).unwrap();
    queue.put_deadline(&4, later()).unwrap();
    assert!(matches!(queue.try_put(&5), Err(PutError::Full)));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_get().unwrap(), 2);
    assert_eq!(queue.get_timeout(SOON).unwrap(), 3);
    assert_eq!(queue.get_deadline(later()).unwrap(), 4);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
}

#[test]
fn a_queue_moves_batches() {
    let queue: Queue<u32> = Queue::new(8).unwrap();
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    assert_eq!(queue.try_put_slice(&[3, 4]).unwrap(), 2);
    assert_eq!(queue.put_slice_timeout(&[5, 6], SOON).unwrap(), 2);
    assert_eq!(queue.put_slice_deadline(&[7, 8], later()).unwrap(), 2);
    let mut two = [0; 2];
    assert_eq!((queue.get_slice(&mut two).unwrap(), two), (2, [1, 2]));
    assert_eq!((queue.try_get_slice(&mut two).unwrap(), two), (2, [3, 4]));
    assert_eq!((queue.get_slice_timeout(&mut two, SOON).unwrap(), two), (2, [5, 6]));
    assert_eq!((queue.get_slice_deadline(&mut two, later()).unwrap(), two), (2, [7, 8]));
}

#[test]
fn a_queue_lends_in_place() {
    let queue: Queue<Tick> = Queue::new(4).unwrap();
    let fill = |mut loan: Loan<'_, Tick>, venue: u32| {
        *loan = Tick { price: 1.5, volume: 10, venue };
        loan.volume += 1;
        assert_eq!(loan.volume, 11);
        loan.commit().unwrap();
    };
    fill(queue.loan().unwrap(), 1);
    fill(queue.try_loan().unwrap(), 2);
    fill(queue.loan_timeout(SOON).unwrap(), 3);
    fill(queue.loan_deadline(later()).unwrap(), 4);
    let check = |lease: &Lease<'_, Tick>, venue: u32| assert_eq!((lease.venue, lease.volume, lease.deliveries()), (venue, 11, 1));
    let lease = queue.lease().unwrap();
    check(&lease, 1);
    lease.release();
    let lease = queue.try_lease().unwrap();
    check(&lease, 2);
    drop(lease);
    check(&queue.lease_timeout(SOON).unwrap(), 3);
    let lease = queue.lease_deadline(later()).unwrap();
    check(&lease, 4);
    lease.give_back();
    assert_eq!(queue.lease().unwrap().deliveries(), 2);
    assert!(queue.is_empty());
}

#[test]
fn owned_leases_outlive_the_handle() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let leases: Vec<Lease<'static, u64>> = vec![
        queue.lease_owned().unwrap(),
        queue.try_lease_owned().unwrap(),
        queue.lease_owned_timeout(SOON).unwrap(),
        queue.lease_owned_deadline(later()).unwrap(),
    ];
    drop(queue);
    let sum = std::thread::spawn(move || leases.iter().map(|lease| **lease).sum::<u64>()).join().unwrap();
    assert_eq!(sum, 10);
}

#[test]
fn leases_that_are_acknowledged_have_every_form() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap(), 8);
    let check = |lease: AckLease<'_, u64>, number: u64| {
        assert_eq!((*lease, lease.deliveries()), (number, 1));
        lease.ack().unwrap();
    };
    check(queue.lease_ack().unwrap(), 1);
    check(queue.try_lease_ack().unwrap(), 2);
    check(queue.lease_ack_timeout(SOON).unwrap(), 3);
    check(queue.lease_ack_deadline(later()).unwrap(), 4);
    let owned: [AckLease<'static, u64>; 4] = [
        queue.lease_ack_owned().unwrap(),
        queue.try_lease_ack_owned().unwrap(),
        queue.lease_ack_owned_timeout(SOON).unwrap(),
        queue.lease_ack_owned_deadline(later()).unwrap(),
    ];
    owned.into_iter().zip(5..).for_each(|(lease, number)| check(lease, number));
    assert!(matches!(queue.try_lease_ack().map(drop), Err(GetError::Empty)));
    assert!(matches!(queue.lease_ack_timeout(SOON).map(drop), Err(GetError::Timeout)));

    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap(), 8);
    let consumer: Consumer<u64> = queue.consumer().unwrap();
    check(consumer.lease_ack().unwrap(), 1);
    check(consumer.try_lease_ack().unwrap(), 2);
    check(consumer.lease_ack_timeout(SOON).unwrap(), 3);
    check(consumer.lease_ack_deadline(later()).unwrap(), 4);
    let owned: [AckLease<'static, u64>; 4] = [
        consumer.lease_ack_owned().unwrap(),
        consumer.try_lease_ack_owned().unwrap(),
        consumer.lease_ack_owned_timeout(SOON).unwrap(),
        consumer.lease_ack_owned_deadline(later()).unwrap(),
    ];
    drop(consumer);
    owned.into_iter().zip(5..).for_each(|(lease, number)| check(lease, number));

    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    bytes.put(b"text").unwrap();
    let lease = bytes.lease_ack().unwrap();
    let as_bytes: &[u8] = lease.as_ref();
    assert_eq!(as_bytes, b"text");
    lease.give_back();
    let mut lease = bytes.consumer().unwrap().lease_ack_owned().unwrap();
    lease.message_mut()[0] = b'T';
    lease.ack().unwrap();
}

#[test]
fn a_slice_queue_lends_and_copies() {
    let queue: Queue<[u32]> = Queue::<[u32]>::builder().capacity_bytes(1 << 12).create().unwrap();
    queue.put(&[1, 2, 3]).unwrap();
    queue.try_put(&[]).unwrap();
    queue.put_timeout(&[4], SOON).unwrap();
    queue.put_deadline(&[5, 6], later()).unwrap();
    let fill = |mut loan: Loan<'_, [u32]>, with: u32| {
        loan.fill(with);
        loan.commit().unwrap();
    };
    fill(queue.loan_len(2).unwrap(), 7);
    fill(queue.try_loan_len(2).unwrap(), 8);
    fill(queue.loan_len_timeout(2, SOON).unwrap(), 9);
    let mut loan = queue.loan_len_deadline(3, later()).unwrap();
    loan[0] = 10;
    loan.commit_len(1).unwrap();

    let mut buffer = [0; 3];
    assert_eq!((queue.get_into(&mut buffer).unwrap(), buffer), (3, [1, 2, 3]));
    assert_eq!(queue.try_get_into(&mut buffer).unwrap(), 0);
    assert_eq!((queue.get_into_timeout(&mut buffer, SOON).unwrap(), buffer[0]), (1, 4));
    assert_eq!((queue.get_into_deadline(&mut buffer, later()).unwrap(), buffer[1]), (2, 6));
    let owned: Vec<u32> = queue.get().unwrap();
    assert_eq!(owned, [7, 7]);
    assert_eq!(queue.try_get().unwrap(), [8, 8]);
    assert_eq!(queue.lease().unwrap()[..], [9, 9]);
    assert_eq!(queue.lease_owned().unwrap()[..], [10]);
    assert!(matches!(queue.get_timeout(SOON), Err(GetError::Timeout)));
    assert!(matches!(queue.get_deadline(Instant::now()), Err(GetError::Timeout)));

    let bytes: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    bytes.put(b"text").unwrap();
    let lease = bytes.lease().unwrap();
    let as_bytes: &[u8] = lease.as_ref();
    assert_eq!(as_bytes, b"text");
}

#[test]
fn a_producer_has_every_put_verb() {
    let queue: Queue<u32> = Queue::new(16).unwrap();
    let producer: Producer<u32> = queue.producer().unwrap();
    producer.put(&1).unwrap();
    producer.try_put(&2).unwrap();
    producer.put_timeout(&3, SOON).unwrap();
    producer.put_deadline(&4, later()).unwrap();
    assert_eq!(producer.put_slice(&[5]).unwrap(), 1);
    assert_eq!(producer.try_put_slice(&[6]).unwrap(), 1);
    assert_eq!(producer.put_slice_timeout(&[7], SOON).unwrap(), 1);
    assert_eq!(producer.put_slice_deadline(&[8], later()).unwrap(), 1);
    let fill = |mut loan: Loan<'_, u32>, with: u32| {
        *loan = with;
        loan.commit().unwrap();
    };
    fill(producer.loan().unwrap(), 9);
    fill(producer.try_loan().unwrap(), 10);
    fill(producer.loan_timeout(SOON).unwrap(), 11);
    fill(producer.loan_deadline(later()).unwrap(), 12);
    drop(producer);
    queue.close();
    let all: Vec<u32> = queue.iter().map(Result::unwrap).collect();
    assert_eq!(all, (1..=12).collect::<Vec<_>>());

    let queue: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    let producer: Producer<[u8]> = queue.producer().unwrap();
    producer.put(b"a").unwrap();
    producer.try_put(b"b").unwrap();
    producer.put_timeout(b"c", SOON).unwrap();
    producer.put_deadline(b"d", later()).unwrap();
    let fill = |mut loan: Loan<'_, [u8]>, with: u8| {
        loan[0] = with;
        loan.commit().unwrap();
    };
    fill(producer.loan_len(1).unwrap(), b'e');
    fill(producer.try_loan_len(1).unwrap(), b'f');
    fill(producer.loan_len_timeout(1, SOON).unwrap(), b'g');
    fill(producer.loan_len_deadline(1, later()).unwrap(), b'h');
    queue.close();
    let all: Vec<u8> = queue.iter().flat_map(Result::unwrap).collect();
    assert_eq!(all, b"abcdefgh");
}

#[test]
fn a_consumer_has_every_get_verb() {
    let queue: Queue<u32> = Queue::new(16).unwrap();
    assert_eq!(queue.put_slice(&(1..=12).collect::<Vec<_>>()).unwrap(), 12);
    let consumer: Consumer<u32> = queue.consumer().unwrap();
    assert_eq!(consumer.get().unwrap(), 1);
    assert_eq!(consumer.try_get().unwrap(), 2);
    assert_eq!(consumer.get_timeout(SOON).unwrap(), 3);
    assert_eq!(consumer.get_deadline(later()).unwrap(), 4);
    let mut one = [0];
    assert_eq!((consumer.get_slice(&mut one).unwrap(), one), (1, [5]));
    assert_eq!((consumer.try_get_slice(&mut one).unwrap(), one), (1, [6]));
    assert_eq!((consumer.get_slice_timeout(&mut one, SOON).unwrap(), one), (1, [7]));
    assert_eq!((consumer.get_slice_deadline(&mut one, later()).unwrap(), one), (1, [8]));
    assert_eq!(*consumer.lease().unwrap(), 9);
    assert_eq!(*consumer.try_lease().unwrap(), 10);
    assert_eq!(*consumer.lease_timeout(SOON).unwrap(), 11);
    assert_eq!(*consumer.lease_deadline(later()).unwrap(), 12);

    let queue: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(1 << 12).create().unwrap();
    (b'a'..=b'l').for_each(|byte| queue.put(&[byte]).unwrap());
    let consumer: Consumer<[u8]> = queue.consumer().unwrap();
    assert_eq!(consumer.get().unwrap(), b"a");
    assert_eq!(consumer.try_get().unwrap(), b"b");
    assert_eq!(consumer.get_timeout(SOON).unwrap(), b"c");
    assert_eq!(consumer.get_deadline(later()).unwrap(), b"d");
    let mut one = [0];
    assert_eq!((consumer.get_into(&mut one).unwrap(), one), (1, *b"e"));
    assert_eq!((consumer.try_get_into(&mut one).unwrap(), one), (1, *b"f"));
    assert_eq!((consumer.get_into_timeout(&mut one, SOON).unwrap(), one), (1, *b"g"));
    assert_eq!((consumer.get_into_deadline(&mut one, later()).unwrap(), one), (1, *b"h"));
    assert_eq!(consumer.lease().unwrap()[..], *b"i");
    assert_eq!(consumer.try_lease().unwrap()[..], *b"j");
    assert_eq!(consumer.lease_timeout(SOON).unwrap()[..], *b"k");
    assert_eq!(consumer.lease_deadline(later()).unwrap()[..], *b"l");
}

#[test]
fn a_queue_says_what_it_is() {
    let queue: Queue<u32> = Queue::new(2).unwrap();
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full(), queue.capacity()), (0, true, false, 2));
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full(), queue.capacity()), (2, false, true, 2));
    assert!(!queue.is_closed());
    let Stats { puts, gets, bytes_put, bytes_got, redelivered, aborted, given_up, recoveries, .. } = queue.stats();
    assert_eq!([puts, gets, bytes_put, bytes_got, redelivered, aborted, given_up, recoveries], [2, 0, 8, 0, 0, 0, 0, 0]);
    let RecoveryReport { dead_participants, redelivered, aborted, sides_repaired: _, .. } = queue.recover();
    assert_eq!((dead_participants, redelivered, aborted), (0, 0, 0));
    assert_eq!((Stats::default().puts, RecoveryReport::default().aborted), (0, 0));

    assert!(matches!(queue.join_timeout(SOON), Err(JoinError::Timeout { left: 2 })));
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    queue.close();
    assert!(queue.is_closed());
}

#[test]
fn a_queue_iterates() {
    let queue: Queue<u32> = Queue::new(4).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let mut iter: Iter<'_, Queue<u32>> = queue.iter();
    assert_eq!(iter.next().unwrap().unwrap(), 1);
    queue.close();
    let mut rest = Vec::new();
    for message in &queue {
        rest.push(message.unwrap());
    }
    assert_eq!(rest, [2, 3, 4]);
}

#[test]
fn handles_clone_and_serialise() {
    let queue: Queue<Tick> = Queue::new(2).unwrap();
    queue.clone().put(&Tick { price: 2.5, volume: 1, venue: 2 }).unwrap();
    let text = serde_json::to_string(&queue).unwrap();
    let same: Queue<Tick> = serde_json::from_str(&text).unwrap();
    assert_eq!(same.get().unwrap().price, 2.5);
}
