//! Topics: words, lines, and records that stay until they are overwritten.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::unique_name;
use crate::{check_common, number, read, text};
use serde_json::Value;
use shmq::Topic;
use shmq::inspect::Inspector;
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_typed_topic_and_its_subscribers,
        a_topic_of_slices_counts_by_its_sequence,
        the_line_of_a_subscriber_that_was_killed,
    ]
}

#[track_caller]
fn check_topic(report: &Value, name: &str) {
    check_common(report, name);
    let inspector = Inspector::open(name).expect("it is there");
    let topic = inspector.topic().expect("a topic");
    assert_eq!(number(report, "/topic/puts"), topic.stats.published);
    let lines = report["topic"]["subscribers"].as_array().expect("a list");
    assert_eq!(lines.len(), topic.subscribers.len());
    for (line, info) in lines.iter().zip(&topic.subscribers) {
        assert_eq!(format!("{}.{}", line["line"], line["generation"]), info.id.to_string());
        assert_eq!(text(line, "/standing").to_lowercase(), info.kind.to_string());
        assert_eq!(number(line, "/behind"), info.lag);
        assert_eq!(number(line, "/missed"), info.missed);
    }
}

fn a_typed_topic_and_its_subscribers() {
    let name = unique_name("topic");
    let topic = Topic::<u64>::builder().name(&name).capacity(10).history(3).max_subscribers(70).create().unwrap();
    check_topic(&read(&name), &name);
    let (mut gating, lossy) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    for number in 0..100 {
        topic.publish(&number).unwrap();
        gating.next().unwrap();
    }
    assert!(lossy.next().is_err(), "it was overtaken, and is told so");
    topic.publish_slice(&[100, 101, 102]).unwrap();
    gating.next().unwrap();
    drop(topic.subscribe().unwrap());
    let sample = gating.read().unwrap();
    let report = read(&name);
    check_topic(&report, &name);
    let pid = u64::from(std::process::id());
    assert_eq!((number(&report, "/topic/subscribers/0/pid"), number(&report, "/topic/subscribers/0/pin")), (pid, 1));
    let last = report["topic"]["records"].as_array().unwrap().last().unwrap();
    assert_eq!((text(last, "/payload"), text(last, "/state")), ("6600000000000000", "READY"));
    drop(sample);
    let _publisher = topic.publisher().unwrap();
    assert_eq!(number(&read(&name), "/holders/put_owner"), pid);
}

fn a_topic_of_slices_counts_by_its_sequence() {
    let name = unique_name("slices");
    let topic = Topic::<[u8]>::builder().name(&name).capacity_bytes(2000).create().unwrap();
    let gating = topic.subscribe().unwrap();
    for length in 0..100 {
        topic.publish(vec![length; usize::from(length)].as_slice()).unwrap();
        if length != 99 {
            gating.next().unwrap();
        }
    }
    let report = read(&name);
    check_topic(&report, &name);
    let last = report["topic"]["records"].as_array().unwrap().last().unwrap();
    assert_eq!((number(last, "/length"), number(last, "/number")), (99, 99));
    assert_eq!(number(&report, "/topic/subscribers/0/behind"), 1);
}

fn the_line_of_a_subscriber_that_was_killed() {
    let name = unique_name("killed");
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    let ready = shared_word();
    let child = fork("subscriber", || {
        let topic = Topic::<u64>::open(&name).unwrap();
        let _subscriber = topic.subscribe().unwrap();
        ready.store(1, Relaxed);
        loop {
            std::thread::park();
        }
    });
    wait_for_count("a subscriber", ready, 1);
    let pid = child.pid();
    assert_eq!(number(&read(&name), "/topic/subscribers/0/pid"), pid as u64);
    child.kill();
    let report = read(&name);
    assert!(report["topic"]["subscribers"][0]["pid"].is_null(), "a dead process has no pid");
    check_common(&report, &name);
    assert_eq!(topic.recover().subscribers, 1);
    check_topic(&read(&name), &name);
}
