//! Mutable leases, and leases that are forwarded.

use shmq::{GetError, PutError, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

#[test]
fn a_mutable_lease_changes_the_message_in_place() {
    let queue = Queue::<[u32; 3]>::new(4).unwrap();
    queue.put(&[1, 2, 3]).unwrap();
    let mut lease = queue.lease_mut().unwrap();
    lease[1] = 20;
    assert_eq!((*lease, lease.deliveries()), ([1, 20, 3], 1));
    lease.give_back();
    let mut lease = queue.try_lease_mut().unwrap();
    assert_eq!((*lease, lease.deliveries()), ([1, 20, 3], 2));
    lease[2] = 30;
    let lease = lease.into_lease();
    assert_eq!(*lease, [1, 20, 30]);
    lease.release();
    assert!(matches!(queue.try_lease_mut(), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.lease_mut_timeout(Duration::from_millis(20)), Err(GetError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn slices_and_consumers_have_mutable_leases_too() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    queue.put(b"abc").unwrap();
    queue.put(b"").unwrap();
    let consumer = queue.consumer().unwrap();
    let mut lease = consumer.lease_mut().unwrap();
    lease.make_ascii_uppercase();
    lease.give_back();
    assert_eq!((consumer.get().unwrap(), consumer.lease_mut().unwrap().len()), (b"ABC".to_vec(), 0));
}

#[test]
fn a_panic_beside_a_mutable_lease_gives_the_message_back_as_it_stands() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(&1).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut lease = queue.lease_mut().unwrap();
        *lease = 2;
        panic!("half way");
    }));
    assert!(panicked.is_err());
    let lease = queue.lease().unwrap();
    assert_eq!((*lease, lease.deliveries()), (2, 2));
}

#[test]
fn a_lease_is_forwarded_and_done() {
    let (from, to) = (Queue::<u64>::new(4).unwrap(), Queue::<u64>::new(2).unwrap());
    from.put_slice(&[1, 2, 3]).unwrap();
    from.lease().unwrap().forward(&to).unwrap();
    let mut second = from.lease_mut().unwrap();
    *second = 20;
    second.forward(&to.producer().unwrap()).unwrap();
    assert_eq!(from.len(), 1);
    let third = from.lease_owned().unwrap();
    let refused = third.try_forward(&to).unwrap_err();
    let (error, third) = refused.into_parts();
    assert!(matches!(error, PutError::Full));
    let start = Instant::now();
    let refused = third.forward_timeout(&to, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(refused.error(), PutError::Timeout) && start.elapsed() >= Duration::from_millis(20));
    let third = refused.into_lease();
    assert_eq!((*third, from.try_get().is_err()), (3, true), "it is on lease still");
    assert_eq!(to.get().unwrap(), 1);
    third.forward_deadline(&to, Instant::now() + Duration::from_secs(60)).unwrap();
    assert_eq!((to.get().unwrap(), to.get().unwrap()), (20, 3));
    from.join_timeout(Duration::ZERO).unwrap();
}

#[test]
fn a_refusal_that_is_dropped_gives_the_message_back() {
    let (from, to) = (
        Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap(),
        Queue::<[u8]>::builder().capacity_bytes(256).create().unwrap(),
    );
    from.put(&[7; 1000]).unwrap();
    let refused = from.lease().unwrap().forward(&to).unwrap_err();
    assert!(matches!(refused.error(), PutError::TooLarge { .. }));
    assert!(std::error::Error::source(&refused).is_some_and(|source| source.to_string().contains("larger")));
    drop(refused);
    assert_eq!(from.lease().unwrap().deliveries(), 2);
    to.close();
    from.put(&[1]).unwrap();
    let give_back = |lease: shmq::Lease<'_, [u8]>| -> Result<(), PutError> { Ok(lease.forward(&to)?) };
    assert!(matches!(give_back(from.lease().unwrap()), Err(PutError::Closed)));
    assert_eq!(from.get().unwrap(), [1]);
}

#[test]
fn a_message_is_forwarded_to_the_end_of_its_own_queue() {
    let queue = Queue::<u64>::new(3).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    queue.lease().unwrap().forward(&queue).unwrap();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (2, 1));
}
