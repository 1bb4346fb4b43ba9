//! Dead letters carry the object, not the name of its file.

use crate::support::harness::Case;
use crate::support::unique_name;
use crate::{Bytes, Files, RING, large};
use shmq::letters::Reason;
use shmq::{DeadLetters, GetError, MessagePack, ObjectQueue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_object_that_comes_back_too_often_is_dropped_with_its_file,
        a_letter_carries_the_object,
        a_letter_that_cannot_be_decoded_carries_the_bytes,
        a_letter_that_no_queue_takes_keeps_its_file,
        a_letter_whose_file_is_gone_stops_no_other,
    ]
}

fn worn<T: serde::Serialize + serde::de::DeserializeOwned>(letters: Option<&str>) -> ObjectQueue<T> {
    let builder = ObjectQueue::builder().name(unique_name("worn")).schema("same").capacity_bytes(RING).max_deliveries(1);
    match letters {
        Some(letters) => builder.dead_letters(letters).create().unwrap(),
        None => builder.create().unwrap(),
    }
}

fn an_object_that_comes_back_too_often_is_dropped_with_its_file() {
    let queue = worn::<Bytes>(None);
    queue.put(&large(1)).unwrap();
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((queue.stats().given_up, Files::of(queue.name()).objects().len()), (1, 0));
}

fn a_letter_carries_the_object() {
    // Smaller than the object: the letter spills too.
    let letters = DeadLetters::create(unique_name("letters"), RING).unwrap();
    let queue = worn::<Bytes>(Some(letters.name()));
    queue.put(&large(1)).unwrap();
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((Files::of(queue.name()).objects().len(), Files::of(letters.name()).objects().len()), (0, 1));
    let letter = letters.try_get().unwrap();
    assert_eq!((&letter.reason, letter.deliveries), (&Reason::TooManyDeliveries, 1));
    assert!(letter.decode::<Bytes, MessagePack>().unwrap() == large(1));
    assert_eq!(Files::of(letters.name()).objects().len(), 0);
    DeadLetters::unlink(letters.name()).unwrap();
}

fn a_letter_that_cannot_be_decoded_carries_the_bytes() {
    let letters = DeadLetters::create(unique_name("letters"), RING).unwrap();
    let queue = worn::<Bytes>(Some(letters.name()));
    let other = ObjectQueue::<u32>::builder().name(queue.name()).schema("same").open().unwrap();
    queue.put(&large(1)).unwrap();
    assert!(matches!(other.get(), Err(GetError::Decode { .. })));
    let letter = letters.try_get().unwrap();
    assert!(matches!(letter.reason, Reason::NotDecoded { .. }) && letter.decode::<Bytes, MessagePack>().unwrap() == large(1));
    assert_eq!(Files::of(queue.name()).objects().len(), 0);
    DeadLetters::unlink(letters.name()).unwrap();
}

fn a_letter_that_no_queue_takes_keeps_its_file() {
    let letters = unique_name("none");
    let queue = worn::<Bytes>(Some(&letters));
    queue.put(&large(1)).unwrap();
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((queue.stats().dead_letters_refused, Files::of(queue.name()).objects().len()), (1, 1));
    let letters = DeadLetters::create(&letters, RING).unwrap();
    assert_eq!(queue.recover().given_up, 1);
    assert!(letters.try_get().unwrap().decode::<Bytes, MessagePack>().unwrap() == large(1));
    DeadLetters::unlink(letters.name()).unwrap();
}

fn a_letter_whose_file_is_gone_stops_no_other() {
    let letters = DeadLetters::create(unique_name("letters"), 1 << 20).unwrap();
    let queue = worn::<Bytes>(Some(letters.name()));
    (1..=2).for_each(|tag| queue.put(&large(tag)).unwrap());
    let leased = [queue.lease().unwrap(), queue.lease().unwrap()];
    leased.into_iter().for_each(|lease| lease.give_back());
    let first = Files::of(queue.name()).objects().into_iter().min().unwrap();
    std::fs::remove_file(format!("/dev/shm/{first}")).unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(letters.try_get().unwrap().decode::<Bytes, MessagePack>().unwrap() == large(2));
    assert_eq!((queue.stats().dead_letters, queue.stats().dead_letters_refused), (1, 1));
    assert_eq!(Files::of(queue.name()).objects(), [""; 0]);
    queue.join().unwrap();
    DeadLetters::unlink(letters.name()).unwrap();
}
