//! Handles of topics, sent to other processes in messages and in arguments.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::{ObjectQueue, Process, Start, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_topic_travels_in_a_message,
        a_topic_that_arrives_where_it_is_open_uses_the_mapping_that_is_there,
        a_called_process_has_the_topic_of_its_argument,
        a_topic_that_is_gone_or_replaced_does_not_arrive,
        a_topic_on_its_way_holds_no_end_up,
    ]
}

fn a_topic_travels_in_a_message() {
    let letters = ObjectQueue::<(Topic<u64>, Topic<[u16]>)>::new(4).unwrap();
    let sized = Topic::<u64>::builder().capacity(8).schema("v1").create().unwrap();
    let slices = Topic::<[u16]>::builder().capacity_bytes(4096).create().unwrap();
    let (every, parts) = (sized.subscribe().unwrap(), slices.subscribe().unwrap());
    letters.put(&(sized, slices)).unwrap();
    fork("the addressee", || {
        let (sized, slices) = letters.get().unwrap();
        sized.publish(&7).unwrap();
        slices.publish([1, 2, 3].as_slice()).unwrap();
    })
    .expect_success();
    assert_eq!((every.next().unwrap(), parts.next().unwrap()), (7, vec![1, 2, 3]));
}

/// Mappings of segments of this process.
fn mappings(name: &str) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(name)).count()
}

fn a_topic_that_arrives_where_it_is_open_uses_the_mapping_that_is_there() {
    let topic = Topic::<u64>::create(unique_name("travels"), 8).unwrap();
    let before = mappings(topic.name());
    let letters = ObjectQueue::<Topic<u64>>::new(4).unwrap();
    letters.put(&topic).unwrap();
    letters.put(&topic).unwrap();
    let here = letters.get().unwrap();
    assert_eq!(mappings(topic.name()), before);
    let every = here.subscribe().unwrap();
    topic.publish(&1).unwrap();
    assert_eq!(every.next().unwrap(), 1);
    fork("a child that has inherited it", || {
        let here = letters.get().unwrap();
        assert_eq!(mappings(topic.name()), before);
        here.publish(&2).unwrap();
    })
    .expect_success();
    assert_eq!(every.next_timeout(PATIENCE).unwrap(), 2);
}

fn a_called_process_has_the_topic_of_its_argument() {
    fn count((topic, upto): (Topic<u64>, u64)) {
        let publisher = topic.publisher().unwrap();
        (0..upto).for_each(|n| publisher.publish(&n).unwrap());
    }

    let topic = Topic::<u64>::new(4).unwrap();
    let every = topic.subscribe().unwrap();
    let child = Process::call(count, (topic.clone(), 100)).unwrap();
    (0..100).for_each(|n| assert_eq!(every.next_timeout(PATIENCE).unwrap(), n));
    assert!(child.join().unwrap().success());
}

fn a_topic_that_is_gone_or_replaced_does_not_arrive() {
    let name = unique_name("gone");
    let letters = ObjectQueue::<Topic<u64>>::new(4).unwrap();
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    letters.put(&topic).unwrap();
    letters.put(&topic).unwrap();
    drop(topic);
    let error = letters.get().unwrap_err();
    assert!(error.to_string().contains("no topic"), "{error}");
    let _other = Topic::<u64>::create(&name, 4).unwrap();
    let error = letters.get().unwrap_err();
    assert!(error.to_string().contains("has taken this name"), "{error}");
}

fn a_topic_on_its_way_holds_no_end_up() {
    let letters = ObjectQueue::<Topic<u64>>::new(4).unwrap();
    let topic = Topic::<u64>::builder().capacity(8).close_when_unused(true).create().unwrap();
    letters.put(&topic).unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish(&1).unwrap();
    drop(publisher);
    assert!(topic.is_closed());
    assert_eq!(letters.get().unwrap().subscribe_from(Start::Oldest).unwrap().next().unwrap(), 1);
}
