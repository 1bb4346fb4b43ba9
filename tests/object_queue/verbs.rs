//! Waits, closing, counting, leases and endpoints: as those of a queue of plain data.

use crate::support::threads::{start_and_wait_until_asleep, watch_for_hangs};
use shmq::{GetError, JoinError, ObjectQueue, Postcard, PutError};
use std::time::{Duration, Instant};

#[test]
fn put_waits_fails_or_times_out_when_full_and_get_when_empty() {
    let queue = ObjectQueue::<String>::new(3).unwrap();
    assert_eq!(queue.capacity(), 3);
    for n in 0..3 {
        assert!(!queue.is_full());
        queue.put(&n.to_string()).unwrap();
    }
    assert!(queue.is_full() && queue.len() == 3);
    let word = "x".to_string();
    assert!(matches!(queue.try_put(&word), Err(PutError::Full)));
    assert!(matches!(queue.put_timeout(&word, Duration::ZERO), Err(PutError::Timeout)));
    let start = Instant::now();
    assert!(matches!(queue.put_timeout(&word, Duration::from_millis(20)), Err(PutError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    // A large object, which is encoded in place, gives the same results.
    let long = "x".repeat(100_000);
    assert!(matches!(queue.try_put(&long), Err(PutError::Full)));
    assert!(matches!(queue.put_deadline(&long, Instant::now() + Duration::from_millis(5)), Err(PutError::Timeout)));
    for n in 0..3 {
        assert_eq!(queue.get_deadline(Instant::now() + Duration::from_secs(60)).unwrap(), n.to_string());
    }
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(Duration::from_millis(20)), Err(GetError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(matches!(queue.try_lease(), Err(GetError::Empty)));
}

#[test]
fn a_blocked_put_goes_on_when_there_is_room_and_a_blocked_get_when_there_is_an_object() {
    watch_for_hangs();
    let queue = ObjectQueue::<String>::new(1).unwrap();
    queue.put("first").unwrap();
    let putter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a putter", move || queue.put("second"))
    };
    assert_eq!(queue.get().unwrap(), "first");
    putter.join().unwrap();
    assert_eq!(queue.get().unwrap(), "second");
    let getter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a getter", move || queue.get())
    };
    queue.put("third").unwrap();
    assert_eq!(getter.join().unwrap(), "third");
}

#[test]
fn close_wakes_putters_drains_getters_and_ends_iteration() {
    watch_for_hangs();
    let queue = ObjectQueue::<u32>::new(2).unwrap();
    queue.put(&1).unwrap();
    queue.put(&2).unwrap();
    let putter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a putter", move || queue.put(&3))
    };
    queue.close();
    queue.close();
    assert!(matches!(putter.join(), Err(PutError::Closed)));
    assert!(queue.is_closed());
    assert_eq!((&queue).into_iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn task_done_and_join_count_objects() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.join().unwrap();
    queue.put("a").unwrap();
    queue.put("b").unwrap();
    assert!(matches!(queue.join_timeout(Duration::from_millis(5)), Err(JoinError::Timeout { left: 2 })));
    queue.get().unwrap();
    queue.task_done().unwrap();
    queue.lease().unwrap().release();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
}

#[test]
fn a_leased_object_comes_back_when_it_is_given_back() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put("first").unwrap();
    queue.put("second").unwrap();
    queue.lease().unwrap().give_back();
    let again = queue.lease().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("first", 2));
    assert_eq!(again.take(), "first");
    assert_eq!(queue.get().unwrap(), "second");
}

#[test]
fn an_object_that_is_not_acknowledged_comes_back() {
    fn length(queue: &ObjectQueue<String>) -> Result<usize, Box<dyn std::error::Error>> {
        let object = queue.lease_ack()?;
        let number: usize = object.parse()?;
        object.ack()?;
        Ok(number)
    }
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put("first").unwrap();
    queue.put("2").unwrap();
    assert!(length(&queue).is_err() && length(&queue).is_err());
    let again = queue.try_lease_ack().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("first", 3));
    assert_eq!(again.take().unwrap(), "first");
    assert_eq!(length(&queue).unwrap(), 2);
    queue.join_timeout(Duration::from_secs(60)).unwrap();
    queue.put("three").unwrap();
    let consumer = queue.consumer().unwrap();
    consumer.lease_ack().unwrap().give_back();
    let owned = consumer.lease_ack_owned_timeout(Duration::from_secs(60)).unwrap();
    drop(consumer);
    let other = ObjectQueue::<String, Postcard>::new(1).unwrap();
    let forwards = move || {
        owned.forward(&other).unwrap();
        assert_eq!(other.get().unwrap(), "three");
    };
    std::thread::spawn(forwards).join().unwrap();
    assert!(queue.is_empty() && !queue.is_full());
    queue.put("four").unwrap();
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _object = queue.lease_ack().unwrap();
        panic!("in the middle of the work");
    }));
    assert!(panics.is_err());
    assert_eq!(queue.lease_ack_deadline(Instant::now() + Duration::from_secs(60)).unwrap().deliveries(), 2);
    assert_eq!(queue.lease_ack_owned().unwrap().deliveries(), 3);
}

#[test]
fn object_endpoints_batches_and_owned_leases_are_as_those_of_a_queue() {
    let queue = ObjectQueue::<String, Postcard>::builder().capacity_bytes(1 << 20).capacity(4).create().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(matches!(queue.put("x"), Err(PutError::Held { .. })));
    assert!(matches!(queue.get(), Err(GetError::Held { .. })));
    let all: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(String::from).to_vec();
    assert_eq!(producer.try_put_slice(&all).unwrap(), 4);
    assert!(matches!(producer.try_put_slice(&all[4..]), Err(PutError::Full)));
    assert_eq!(producer.put_slice(&[]).unwrap(), 0);
    assert_eq!(consumer.get_batch(0).unwrap(), [""; 0]);
    assert_eq!((consumer.get().unwrap().as_str(), &consumer.lease().unwrap()[..]), ("a", "b"));
    // Larger than what is put by copy.
    let large = "x".repeat(10_000);
    producer.put(large.as_str()).unwrap();
    assert_eq!(consumer.get_batch(10).unwrap(), ["c".to_string(), "d".to_string(), large]);
    assert!(matches!(consumer.try_get_batch(1), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(consumer.get_batch_timeout(1, Duration::from_millis(20)), Err(GetError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    drop((producer, consumer));
    queue.put("owned").unwrap();
    queue.put(&String::from("next")).unwrap();
    let lease = queue.lease_owned().unwrap();
    drop(queue);
    assert_eq!(std::thread::spawn(move || lease.take()).join().unwrap(), "owned");
}

#[test]
fn a_leased_object_is_forwarded_to_a_queue_of_any_codec() {
    let from = ObjectQueue::<String>::new(4).unwrap();
    let to = ObjectQueue::<String, Postcard>::new(1).unwrap();
    from.put("one").unwrap();
    from.put("two").unwrap();
    from.lease().unwrap().forward(&to).unwrap();
    let refused = from.lease().unwrap().try_forward(&to).unwrap_err();
    assert!(matches!(refused.error(), PutError::Full));
    drop(refused);
    let lease = from.lease().unwrap();
    assert_eq!((lease.as_str(), lease.deliveries(), to.get().unwrap().as_str()), ("two", 2, "one"));
    lease.forward(&to.producer().unwrap()).unwrap();
    assert_eq!((to.get().unwrap().as_str(), from.is_empty()), ("two", true));
    from.join_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_consumer_of_objects_iterates_as_its_queue_does() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put_slice(&["a".to_string(), "b".to_string()]).unwrap();
    queue.close();
    let consumer = queue.consumer().unwrap();
    assert_eq!((&consumer).into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b"]);
    assert!(consumer.iter().next().is_none(), "closed and drained");
    // The consumer holds the get side: the error is the last item.
    let mut messages = queue.iter();
    assert!(matches!(messages.next(), Some(Err(GetError::Held { .. }))) && messages.next().is_none());
}
