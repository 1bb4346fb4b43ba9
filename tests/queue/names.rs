//! Names: which are valid, what is behind them, when they go, and handles that travel.

use crate::support::threads::watch_for_hangs;
use crate::support::{segment_exists, unique_name};
use shmq::{CreateError, GetError, OpenError, PutError, Queue};
use std::os::unix::fs::PermissionsExt;

#[test]
fn bad_names_are_refused_and_named() {
    let long = "x".repeat(201);
    for bad in ["", "/", "a/b", "../x", "a\0b", long.as_str()] {
        let named = |name: String, why: &str| assert!(name == bad && !why.is_empty(), "{name:?}: {why:?}");
        match Queue::<u8>::create(bad, 1) {
            Err(CreateError::BadName { name, why }) => named(name, why),
            other => panic!("{bad:?}: {other:?}"),
        }
        match Queue::<u8>::open_or_create(bad, 1) {
            Err(CreateError::BadName { name, why }) => named(name, why),
            other => panic!("{bad:?}: {other:?}"),
        }
        match Queue::<u8>::open(bad) {
            Err(OpenError::BadName { name, why }) => named(name, why),
            other => panic!("{bad:?}: {other:?}"),
        }
        match Queue::<u8>::unlink(bad) {
            Err(OpenError::BadName { name, why }) => named(name, why),
            other => panic!("{bad:?}: {other:?}"),
        }
    }
}

#[test]
fn good_names_are_taken_as_they_are() {
    let stem = unique_name("");
    let longest = stem.clone() + &"x".repeat(200 - stem.len());
    for name in [format!("{stem} a b"), format!("{stem}\u{fc}\u{1f980}"), format!("{stem}."), format!("{stem}%s\\n*"), longest] {
        let queue: Queue<u8> = Queue::create(&name, 1).unwrap();
        assert_eq!(queue.name(), name);
        queue.put(&1).unwrap();
        assert_eq!(Queue::<u8>::open(&name).unwrap().get().unwrap(), 1);
        assert!(segment_exists(&name));
        drop(queue);
        assert!(!segment_exists(&name), "{name:?}");
    }
}

#[test]
fn a_builder_without_a_name_opens_nothing() {
    assert!(matches!(Queue::<u8>::builder().open(), Err(OpenError::BadName { .. })));
    assert!(matches!(Queue::<u8>::builder().capacity(1).open_or_create(), Err(CreateError::BadName { .. })));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let name = unique_name("nowhere");
    assert!(matches!(Queue::<u8>::open(&name), Err(OpenError::NotFound { .. })));
    assert!(matches!(Queue::<u8>::unlink(&name), Err(OpenError::NotFound { .. })));
    assert!(!segment_exists(&name));
}

#[test]
fn a_name_in_use_cannot_be_created_again() {
    let name = unique_name("taken");
    let queue: Queue<u32> = Queue::create(&name, 3).unwrap();
    queue.put(&1).unwrap();
    assert!(matches!(Queue::<u32>::create(&name, 5), Err(CreateError::AlreadyExists { in_use: true, .. })));
    assert!(matches!(Queue::<[u8]>::builder().name(&name).create(), Err(CreateError::AlreadyExists { in_use: true, .. })));
    assert_eq!((queue.capacity(), queue.get().unwrap()), (3, 1));
    // A clone, an endpoint and a lease are users as well.
    let producer = queue.producer().unwrap();
    drop(queue);
    assert!(matches!(Queue::<u32>::create(&name, 5), Err(CreateError::AlreadyExists { in_use: true, .. })));
    drop(producer);
    Queue::<u32>::create(&name, 5).unwrap();
}

#[test]
fn open_or_create_opens_what_is_there() {
    let name = unique_name("either");
    let first: Queue<u32> = Queue::open_or_create(&name, 3).unwrap();
    let second: Queue<u32> = Queue::open_or_create(&name, 99).unwrap();
    assert_eq!((first.capacity(), second.capacity()), (3, 3));
    first.put(&1).unwrap();
    assert_eq!(second.get().unwrap(), 1);
}

#[test]
fn the_name_goes_with_the_last_handle() {
    let name = unique_name("going");
    let first: Queue<u32> = Queue::create(&name, 3).unwrap();
    let second = first.clone();
    let third: Queue<u32> = Queue::open(&name).unwrap();
    drop(first);
    assert!(segment_exists(&name));
    drop(third);
    assert!(segment_exists(&name));
    drop(second);
    assert!(!segment_exists(&name));
    assert!(matches!(Queue::<u32>::open(&name), Err(OpenError::NotFound { .. })));
    let anonymous: Queue<u32> = Queue::new(1).unwrap();
    let name = anonymous.name().to_string();
    assert!(segment_exists(&name));
    drop(anonymous);
    assert!(!segment_exists(&name));
}

#[test]
fn an_endpoint_or_an_owned_lease_is_the_last_handle_too() {
    let name = unique_name("held");
    let queue: Queue<u32> = Queue::create(&name, 3).unwrap();
    queue.put(&1).unwrap();
    let lease = queue.lease_owned().unwrap();
    let consumer = queue.consumer().unwrap();
    drop(queue);
    drop(lease);
    assert!(segment_exists(&name));
    drop(consumer);
    assert!(!segment_exists(&name));
}

#[test]
fn a_persisted_queue_keeps_its_name_and_messages() {
    for by_builder in [false, true] {
        let name = unique_name("kept");
        let queue = Queue::<u32>::builder().name(&name).capacity(3).persist(by_builder).create().unwrap();
        assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
        if !by_builder {
            queue.persist();
        }
        drop(queue);
        assert!(segment_exists(&name));
        assert!(matches!(Queue::<u32>::create(&name, 3), Err(CreateError::AlreadyExists { in_use: false, .. })));
        for left in [vec![1, 2], vec![2], vec![]] {
            let again: Queue<u32> = Queue::open(&name).unwrap();
            assert_eq!((again.len(), again.capacity()), (left.len(), 3));
            if let Some(&next) = left.first() {
                assert_eq!(again.get().unwrap(), next);
            }
        }
        let either: Queue<u32> = Queue::open_or_create(&name, 9).unwrap();
        assert_eq!(either.capacity(), 3);
        drop(either);
        Queue::<u32>::unlink(&name).unwrap();
        assert!(!segment_exists(&name));
        assert!(matches!(Queue::<u32>::open(&name), Err(OpenError::NotFound { .. })));
    }
}

#[test]
fn persist_takes_effect_on_a_queue_that_exists() {
    for either in [false, true] {
        let name = unique_name("kept-later");
        let first: Queue<u32> = Queue::create(&name, 3).unwrap();
        first.put(&1).unwrap();
        let second = Queue::<u32>::builder().name(&name).persist(true).capacity(3);
        let second = if either { second.open_or_create().unwrap() } else { second.open().unwrap() };
        assert!(second.unapplied_options().is_empty());
        drop(first);
        drop(second);
        assert!(segment_exists(&name));
        // It is one-way, and reported as such.
        let third = Queue::<u32>::builder().name(&name).persist(false).open_or_create().unwrap_err();
        assert!(matches!(third, CreateError::OutOfRange { .. }), "a capacity is needed to create one: {third}");
        let third = Queue::<u32>::builder().name(&name).persist(false).open().unwrap();
        assert_eq!(third.unapplied_options()[0].to_string(), "persist: asked for false, is true");
        drop(third);
        assert_eq!(Queue::<u32>::open(&name).unwrap().get().unwrap(), 1);
        Queue::<u32>::unlink(&name).unwrap();
    }
}

#[test]
fn options_that_cannot_take_effect_are_listed() {
    let name = unique_name("unapplied");
    let first = Queue::<u32>::builder().name(&name).capacity(3).max_participants(9).max_deliveries(2).create().unwrap();
    assert!(first.unapplied_options().is_empty());
    let plain: Queue<u32> = Queue::open(&name).unwrap();
    assert!(plain.unapplied_options().is_empty(), "nothing was asked for");
    let same = Queue::<u32>::builder().name(&name).capacity(3).max_participants(9).max_deliveries(2).mode(0o600);
    assert_eq!(same.open_or_create().unwrap().unapplied_options(), []);
    let other = Queue::<u32>::builder().name(&name).capacity(7).max_participants(99).max_deliveries(0).mode(0o660).schema("a/1");
    let other = other.open_or_create().unwrap();
    let listed: Vec<(&str, &str, &str)> =
        other.unapplied_options().iter().map(|it| (it.option, it.asked.as_str(), it.actual.as_str())).collect();
    let expected = [
        ("capacity", "7", "3"),
        ("mode", "0o660", "0o600"),
        ("max_deliveries", "0", "2"),
        ("max_participants", "99", "9"),
        ("schema", "a/1", "none"),
    ];
    assert_eq!(listed, expected);
    // Clones list the same options; the values of the segment are the ones that count.
    assert_eq!((other.clone().unapplied_options().len(), other.capacity()), (5, 3));
    let by_bytes = Queue::<u32>::builder().name(&name).capacity_bytes(15).open().unwrap();
    assert_eq!(by_bytes.unapplied_options(), [], "15 bytes are 3 messages");
    let by_bytes = Queue::<u32>::builder().name(&name).capacity_bytes(400).open().unwrap();
    assert_eq!(by_bytes.unapplied_options()[0].to_string(), "capacity_bytes: asked for 400, is 12");
}

#[test]
fn a_slice_queue_lists_its_bytes() {
    let name = unique_name("unapplied-bytes");
    let settings = |bytes| Queue::<[u8]>::builder().name(&name).capacity_bytes(bytes);
    let first = settings(10_000).open_or_create().unwrap();
    // A size that is rounded up to the same ring is not a difference.
    assert!(settings(10_000).open_or_create().unwrap().unapplied_options().is_empty());
    let other = settings(99_999).capacity(5).open_or_create().unwrap();
    let listed: Vec<String> = other.unapplied_options().iter().map(ToString::to_string).collect();
    let is = first.capacity_bytes();
    assert_eq!(listed, ["capacity: asked for 5, is unbounded".to_owned(), format!("capacity_bytes: asked for 99999, is {is}")]);
}

#[test]
fn a_queue_knows_whether_it_has_its_name() {
    let name = unique_name("named");
    let old: Queue<u32> = Queue::create(&name, 3).unwrap();
    assert!(old.has_name() && old.clone().has_name());
    // As systemd-logind does: no process is notified.
    std::fs::remove_file(format!("/dev/shm/shmq.{name}")).unwrap();
    assert!(!old.has_name());
    old.put(&1).unwrap();
    let new: Queue<u32> = Queue::open_or_create(&name, 3).unwrap();
    assert!(new.has_name() && !old.has_name() && new.is_empty());
    drop(old);
    assert!(new.has_name());
    Queue::<u32>::unlink(&name).unwrap();
    assert!(!new.has_name());
}

#[test]
fn an_unlinked_queue_goes_on_for_those_attached() {
    let name = unique_name("unlinked");
    let old: Queue<u32> = Queue::create(&name, 3).unwrap();
    let also: Queue<u32> = Queue::open(&name).unwrap();
    Queue::<u32>::unlink(&name).unwrap();
    assert!(!segment_exists(&name));
    assert!(matches!(Queue::<u32>::open(&name), Err(OpenError::NotFound { .. })));
    assert!(matches!(Queue::<u32>::unlink(&name), Err(OpenError::NotFound { .. })));
    old.put(&1).unwrap();
    assert_eq!(also.get().unwrap(), 1);
    // Another queue may take the name, and processes that leave the old one do not remove it.
    let new: Queue<u32> = Queue::create(&name, 5).unwrap();
    drop(also);
    old.put(&2).unwrap();
    assert!(new.is_empty());
    drop(old);
    assert!(segment_exists(&name));
    assert_eq!(Queue::<u32>::open(&name).unwrap().capacity(), 5);
    drop(new);
    assert!(!segment_exists(&name));
}

#[test]
fn any_type_may_unlink_a_name() {
    let name = unique_name("unlinked-by-another");
    let _queue: Queue<u32> = Queue::create(&name, 3).unwrap();
    Queue::<[u8]>::unlink(&name).unwrap();
    assert!(!segment_exists(&name));
}

fn mode_of(name: &str) -> u32 {
    std::fs::metadata(format!("/dev/shm/shmq.{name}")).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_segment_is_private_unless_its_mode_says_otherwise() {
    let name = unique_name("mode");
    let queue: Queue<u32> = Queue::create(&name, 3).unwrap();
    assert_eq!(mode_of(&name), 0o600);
    drop(queue);
    for mode in [0o600, 0o640, 0o660, 0o666] {
        let queue = Queue::<u32>::builder().name(&name).capacity(1).mode(mode).create().unwrap();
        assert_eq!(mode_of(&name), mode);
        drop(queue);
    }
}

#[test]
fn a_full_table_of_participants_is_an_error_and_is_freed() {
    let name = unique_name("table");
    let first = Queue::<u32>::builder().name(&name).capacity(3).max_participants(3).create().unwrap();
    let second: Queue<u32> = Queue::open(&name).unwrap();
    let third: Queue<u32> = Queue::open(&name).unwrap();
    assert!(matches!(Queue::<u32>::open(&name), Err(OpenError::TooManyParticipants { max: 3, .. })));
    assert!(matches!(Queue::<u32>::open_or_create(&name, 3), Err(CreateError::TooManyParticipants { max: 3, .. })));
    // Clones share one entry.
    let clones: Vec<_> = (0..10).map(|_| first.clone()).collect();
    second.put(&1).unwrap();
    assert_eq!(clones[9].get().unwrap(), 1);
    for _ in 0..20 {
        drop(Queue::<u32>::open(&name).map(drop).unwrap_err());
    }
    drop(second);
    // An entry is used again and again, more often than a record's owner field can count.
    for i in 0..2_100 {
        let next: Queue<u32> = Queue::open(&name).unwrap();
        next.put(&i).unwrap();
        assert_eq!(third.get().unwrap(), i);
    }
    drop(third);
    drop(first);
    drop(clones);
    assert!(!segment_exists(&name));
    for bad in [0, 1 << 20, usize::MAX] {
        let result = Queue::<u32>::builder().name(&name).capacity(3).max_participants(bad).create();
        assert!(matches!(result, Err(CreateError::OutOfRange { asked, .. }) if asked == bad), "{result:?}");
    }
}

#[test]
fn a_queue_for_one_participant_is_for_one() {
    let queue = Queue::<u32>::builder().capacity(3).max_participants(1).create().unwrap();
    queue.put(&1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(Queue::<u32>::open(queue.name()), Err(OpenError::TooManyParticipants { max: 1, .. })));
}

#[test]
fn the_largest_table_works() {
    watch_for_hangs();
    let name = unique_name("large-table");
    let queue = Queue::<u32>::builder().name(&name).capacity(3).max_participants(1023).create().unwrap();
    let others: Vec<Queue<u32>> = (0..300).map(|_| Queue::open(&name).unwrap()).collect();
    others[299].put(&1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
}

#[test]
fn a_serialised_handle_leads_to_its_queue() {
    let queue: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let text = serde_json::to_string(&queue).unwrap();
    let same: Queue<[u8]> = serde_json::from_str(&text).unwrap();
    assert_eq!(same.name(), queue.name());
    queue.put(b"through").unwrap();
    assert_eq!(same.get().unwrap(), b"through");
    // A handle goes through a queue as bytes.
    let post: Queue<[u8]> = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    post.put(text.as_bytes()).unwrap();
    let arrived: Queue<[u8]> = serde_json::from_slice(&post.get().unwrap()).unwrap();
    arrived.put(b"back").unwrap();
    assert_eq!(queue.get().unwrap(), b"back");
    // Another type is refused.
    assert!(serde_json::from_str::<Queue<[u16]>>(&text).is_err());
    assert!(serde_json::from_str::<Queue<u8>>(&text).is_err());
}

#[test]
fn a_handle_of_many_arrivals_uses_one_participant() {
    let queue = Queue::<u32>::builder().capacity(3).max_participants(2).create().unwrap();
    let text = serde_json::to_string(&queue).unwrap();
    let arrivals: Vec<Queue<u32>> = (0..50).map(|_| serde_json::from_str(&text).unwrap()).collect();
    arrivals[49].put(&1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
}

#[test]
fn a_handle_carries_its_schema() {
    let queue = Queue::<u32>::builder().capacity(3).schema("tick/2").create().unwrap();
    let same: Queue<i32> = serde_json::from_str(&serde_json::to_string(&queue).unwrap()).expect("one schema, one size");
    queue.put(&1).unwrap();
    assert_eq!(same.get().unwrap(), 1);
}

#[test]
fn a_handle_of_a_replaced_queue_says_so() {
    let name = unique_name("replaced");
    let queue: Queue<u32> = Queue::create(&name, 3).unwrap();
    let text = serde_json::to_string(&queue).unwrap();
    drop(queue);
    let gone = serde_json::from_str::<Queue<u32>>(&text).unwrap_err().to_string();
    assert!(gone.contains("no queue \""), "{gone}");
    let _another: Queue<u32> = Queue::create(&name, 3).unwrap();
    let replaced = serde_json::from_str::<Queue<u32>>(&text).unwrap_err().to_string();
    assert!(replaced.contains("has taken this name"), "{replaced}");
    for garbage in ["", "{}", "[]", "[\"x\"]", "[\"a/b\",1,null]", "[\"\",0,null]", "[\"missing\",1,null]", "null", "7"] {
        assert!(serde_json::from_str::<Queue<u32>>(garbage).is_err(), "{garbage}");
    }
}

#[test]
fn two_openings_of_one_process_are_two_users() {
    let name = unique_name("twice");
    let first: Queue<u32> = Queue::create(&name, 1).unwrap();
    let second: Queue<u32> = Queue::open(&name).unwrap();
    let producer = first.producer().unwrap();
    assert!(matches!(second.producer(), Err(PutError::Held { .. })));
    producer.put(&1).unwrap();
    let lease = second.lease().unwrap();
    assert!(matches!(first.try_get(), Err(GetError::Empty)));
    lease.give_back();
    assert_eq!(first.get().unwrap(), 1);
}

#[test]
fn large_segments_are_made_with_every_hint() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(8 << 20).huge_pages(true).lock_memory(false).create().unwrap();
    let longest = vec![3; queue.max_len()];
    queue.put(&longest).unwrap();
    assert!(queue.get().unwrap() == longest);
    let small = Queue::<u64>::builder().capacity(16).lock_memory(true).create().unwrap();
    small.put(&1).unwrap();
    assert_eq!(small.get().unwrap(), 1);
}
