//! Every verb of a queue takes and gives objects of any length.

use crate::support::harness::Case;
use crate::support::pattern;
use crate::support::process::fork;
use crate::{Bytes, Files, LARGE, large, queue};
use shmq::{DynQueue, GetError, ObjectQueue, Postcard};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        objects_of_any_length_keep_their_order,
        another_process_gets_what_this_one_put,
        every_way_to_put_and_to_get,
        a_lease_comes_back_whole_and_ends_once,
        endpoints_and_roles,
        a_lease_outlives_its_handle,
        a_value_that_fails_to_encode_leaves_nothing,
        a_closed_queue_is_drained,
        forwarding_carries_the_object,
        other_codecs,
        bytes_of_a_queue_whose_layout_is_read,
        views_outlive_the_file,
        #[cfg(feature = "async")]
        futures,
    ]
}

fn objects_of_any_length_keep_their_order() {
    let queue = queue("order");
    let files = Files::of(queue.name());
    let longest = queue.max_len();
    let lengths = [0, 1, longest - 64, longest - 4, longest - 2, longest, longest + 1, 2 * longest, LARGE, 17, 1 << 20];
    for round in 0..3 {
        for (tag, &length) in lengths.iter().enumerate() {
            let value = pattern(tag as u64 + round, length);
            queue.put(&value).unwrap();
            assert!(queue.get().unwrap() == value, "{length} bytes");
        }
    }
    assert_eq!(files.objects(), [""; 0], "each goes with its message");
    for tag in 0..12 {
        queue.put(&if tag % 3 == 0 { large(tag) } else { pattern(tag, 100) }).unwrap();
    }
    assert_eq!((queue.len(), files.objects().len()), (12, 4));
    for tag in 0..12 {
        assert!(queue.get().unwrap() == if tag % 3 == 0 { large(tag) } else { pattern(tag, 100) }, "{tag}");
    }
    let stats = queue.stats();
    assert_eq!((stats.spilled_bytes, stats.puts, stats.gets), (0, 45, 45));
    assert!(stats.spilled >= 16 && stats.bytes_put == stats.bytes_got, "{stats:?}");
}

fn another_process_gets_what_this_one_put() {
    let queue = queue("across");
    let child = fork("a consumer", || {
        let same = ObjectQueue::<Bytes>::open(queue.name()).unwrap();
        (0..50).for_each(|tag| assert!(same.get().unwrap() == large(tag), "{tag}"));
    });
    (0..50).for_each(|tag| queue.put(&large(tag)).unwrap());
    child.expect_success();
}

fn every_way_to_put_and_to_get() {
    let queue = queue("verbs");
    let soon = Duration::from_secs(60);
    queue.try_put(&large(0)).unwrap();
    queue.put_timeout(&large(1), soon).unwrap();
    assert_eq!(queue.put_slice(&[large(2), vec![3], large(4)]).unwrap(), 3);
    assert!(queue.try_get().unwrap() == large(0));
    assert!(queue.get_timeout(soon).unwrap() == large(1));
    assert!(queue.get_batch(10).unwrap() == [large(2), vec![3], large(4)]);
    (5..9).for_each(|tag| queue.put(&large(tag)).unwrap());
    assert!(queue.lease().unwrap().take() == large(5));
    let message = queue.lease_ack().unwrap();
    assert!(*message == large(6));
    message.ack().unwrap();
    queue.close();
    let rest: Vec<Bytes> = queue.iter().collect::<Result<_, _>>().unwrap();
    assert!(rest == [large(7), large(8)]);
    (0..6).for_each(|_| queue.task_done().unwrap_or_default());
    assert_eq!(Files::of(queue.name()).objects(), [""; 0]);
}

fn a_lease_comes_back_whole_and_ends_once() {
    let queue = queue("lease");
    let files = Files::of(queue.name());
    queue.put(&large(1)).unwrap();
    queue.put(&large(2)).unwrap();
    for deliveries in 1..4 {
        let lease = queue.lease().unwrap();
        assert!(*lease == large(1) && lease.deliveries() == deliveries);
        lease.give_back();
    }
    drop(queue.lease_ack().unwrap());
    let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
    assert!(*first == large(1) && first.deliveries() == 5 && *second == large(2));
    assert_eq!(files.objects().len(), 2);
    second.release();
    assert_eq!(files.objects().len(), 1, "that of the first, in whatever order they end");
    first.release();
    queue.join().unwrap();
    assert_eq!(files.objects(), [""; 0]);
}

fn endpoints_and_roles() {
    let queue = queue("endpoints");
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for tag in 0..5 {
        producer.put(&large(tag)).unwrap();
        producer.put(&vec![1]).unwrap();
        assert!(consumer.get().unwrap() == large(tag) && consumer.get().unwrap() == [1]);
    }
    producer.put(&large(9)).unwrap();
    let lease = consumer.lease().unwrap();
    assert!(*lease == large(9));
    lease.release();
    drop((producer, consumer));
    let (sender, receiver) = (queue.sender(), queue.receiver());
    sender.put(&large(10)).unwrap();
    assert!(receiver.get().unwrap() == large(10));
    assert_eq!(Files::of(queue.name()).objects(), [""; 0]);
}

fn a_lease_outlives_its_handle() {
    let queue = queue("owned");
    let files = Files::of(queue.name());
    queue.put(&large(3)).unwrap();
    let lease = queue.lease_owned().unwrap();
    drop(queue);
    assert_eq!(files.objects().len(), 1);
    assert!(lease.take() == large(3));
    assert_eq!(files.all(), [""; 0], "it was the last use of the queue");
}

fn a_value_that_fails_to_encode_leaves_nothing() {
    /// Encodes well when it is measured, and fails when it is written.
    #[derive(serde::Deserialize)]
    struct Fickle(#[serde(skip)] std::cell::Cell<u32>);
    impl serde::Serialize for Fickle {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.set(self.0.get() + 1);
            match self.0.get() {
                1 => serializer.serialize_bytes(&vec![0; LARGE]),
                _ => Err(serde::ser::Error::custom("no more")),
            }
        }
    }
    let queue = ObjectQueue::<Fickle>::builder().name(crate::unique_name("fickle")).capacity_bytes(crate::RING).create().unwrap();
    let error = queue.put(&Fickle(Default::default())).unwrap_err();
    assert!(matches!(error, shmq::PutError::Encode { .. }), "{error}");
    assert_eq!((queue.len(), queue.stats().spilled_bytes, Files::of(queue.name()).objects().len()), (0, 0, 0));
}

fn a_closed_queue_is_drained() {
    let queue = queue("closed");
    queue.put(&large(1)).unwrap();
    queue.close();
    assert!(queue.put(&large(2)).unwrap_err().is_closed());
    assert!(queue.get().unwrap() == large(1));
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

fn forwarding_carries_the_object() {
    let (from, to) = (queue("from"), queue("to"));
    from.put(&large(1)).unwrap();
    from.lease().unwrap().forward(&to).unwrap();
    assert_eq!((Files::of(from.name()).objects().len(), Files::of(to.name()).objects().len()), (0, 1));
    assert!(to.get().unwrap() == large(1));
}

fn other_codecs() {
    let queue = ObjectQueue::<Vec<String>, Postcard>::builder().capacity_bytes(4096).create().unwrap();
    let value: Vec<String> = (0..10_000).map(|n| format!("number {n}")).collect();
    queue.put(&value).unwrap();
    assert!(queue.get().unwrap() == value);
}

fn bytes_of_a_queue_whose_layout_is_read() {
    let queue = queue("dynamic");
    let files = Files::of(queue.name());
    let bytes = DynQueue::open(queue.name()).unwrap();
    queue.put(&large(1)).unwrap();
    let encoded = bytes.get().unwrap();
    assert!(encoded.ends_with(&large(1)));
    bytes.put(&encoded).unwrap();
    let mut loan = bytes.loan_len(encoded.len()).unwrap();
    loan.copy_from_slice(&encoded);
    loan.commit().unwrap();
    drop(bytes.loan_len(encoded.len()).unwrap());
    assert_eq!(files.objects().len(), 2);
    assert!(queue.get().unwrap() == large(1));
    let mut small = [0; 10];
    assert!(matches!(bytes.get_into(&mut small), Err(GetError::TooSmall { needed, .. }) if needed == encoded.len()));
    let lease = bytes.lease().unwrap();
    assert!(*lease == encoded[..]);
    lease.release();
    assert_eq!((files.objects().len(), queue.len(), queue.stats().spilled_bytes), (0, 0, 0));
}

fn views_outlive_the_file() {
    let queue = queue("views");
    let files = Files::of(queue.name());
    let bytes = DynQueue::open(queue.name()).unwrap();
    queue.put(&large(1)).unwrap();
    let view = bytes.lease().unwrap().into_view().unwrap();
    queue.join().unwrap();
    assert_eq!((files.objects().len(), queue.stats().spilled_bytes), (0, 0), "the message is done");
    queue.put(&large(2)).unwrap();
    let copy = view.clone();
    drop(view);
    assert!(copy.ends_with(&large(1)));
    assert!(queue.get().unwrap() == large(2));
}

#[cfg(feature = "async")]
fn futures() {
    use futures::executor::block_on;

    let queue = queue("futures");
    block_on(queue.put_async(&large(1))).unwrap();
    assert!(block_on(queue.get_async()).unwrap() == large(1));
    block_on(queue.put_async(&large(2))).unwrap();
    assert!(block_on(queue.lease_async()).unwrap().take().unwrap() == large(2));
}
