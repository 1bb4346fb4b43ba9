//! Handles of queues, sent through queues.

use crate::support::unique_name;
use shmq::{ObjectQueue, Postcard, Queue};

#[test]
fn handles_of_every_queue_travel_through_queues() {
    let plain = Queue::<u64>::new(4).unwrap();
    let objects = ObjectQueue::<String, Postcard>::new(4).unwrap();
    type Handles = (Queue<u64>, ObjectQueue<String, Postcard>);
    let (packed, carded) = (ObjectQueue::<Handles>::new(2).unwrap(), ObjectQueue::<Handles, Postcard>::new(2).unwrap());
    packed.put(&(plain.clone(), objects.clone())).unwrap();
    carded.put(&packed.get().unwrap()).unwrap();
    let (plain_too, objects_too) = carded.get().unwrap();
    plain_too.put(&7).unwrap();
    objects_too.put("seven").unwrap();
    assert_eq!((plain.get().unwrap(), objects.get().unwrap()), (7, "seven".to_string()));
}

#[test]
fn a_handle_of_a_queue_that_is_gone_or_replaced_is_a_decode_error() {
    let name = unique_name("sent");
    let carrier = ObjectQueue::<ObjectQueue<u32>>::new(4).unwrap();
    let sent = ObjectQueue::<u32>::create(&name, 4).unwrap();
    carrier.put(&sent).unwrap();
    carrier.put(&sent).unwrap();
    drop(sent);
    let error = carrier.get().unwrap_err();
    assert!(error.to_string().contains("no queue \""), "{error}");
    let _other = ObjectQueue::<u32>::create(&name, 4).unwrap();
    let error = carrier.get().unwrap_err();
    assert!(error.to_string().contains("another queue has taken this name"), "{error}");
}
