//! Topics: what the reading verbs show, what the others refuse, and what `doctor` says of broken set-ups.

use crate::command::{Name, run, wait_for};
use crate::diagnosing::examine;
use crate::peers;
use crate::schema;
use serde_json::{Value, json};
use shmq::inspect::{Gate, Inspector, ProcessState, Snapshot, TopicSnapshot};
use shmq::{GetError, ObjectTopic, Start, SubscriberKind, Topic};
use std::time::Duration;

const LONG: Duration = Duration::from_millis(1100);

fn seen(name: &str) -> Snapshot {
    Inspector::open(name).expect("there").snapshot()
}

fn topic_of(seen: &Snapshot) -> &TopicSnapshot {
    seen.topic.as_ref().expect("a topic")
}

fn has_subscriber(seen: &Snapshot, pid: u32) -> bool {
    topic_of(seen).subscribers.iter().any(|one| one.pid == pid)
}

fn waits_for_long(seen: &Snapshot, pid: u32) -> bool {
    let of_it = seen.participants.iter().find(|one| one.pid == pid);
    of_it.and_then(|one| one.put_waits).is_some_and(|waits| waits.since > LONG)
}

/// Its id, as `stat` shows it.
fn id_of(name: &str, pid: u32) -> String {
    topic_of(&seen(name)).subscribers.iter().find(|one| one.pid == pid).expect("subscribed").id.to_string()
}

#[track_caller]
fn stop(name: &str, process: &crate::command::Running) {
    process.send(libc::SIGSTOP);
    let is_stopped = || {
        let seen = seen(name);
        seen.participants.iter().any(|one| one.pid == process.pid() && one.process == ProcessState::Stopped)
    };
    wait_for(name, "it to stop", is_stopped);
}

#[track_caller]
fn has_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn ls_and_stat_show_a_topic_and_its_subscribers() {
    let name = Name::new("topic");
    let topic = Topic::<u64>::builder().name(&*name).capacity(8).history(2).schema("tick/1").create().expect("created");
    let publisher = topic.publisher().expect("free");
    let slow = peers::start_and_see("subscriber", &name, has_subscriber);
    let live = topic.subscribe_lossy().expect("room");
    for message in 0..3u64 {
        publisher.publish(&message).expect("room");
    }
    assert_eq!(live.latest().expect("there is one"), 2);
    let ls = run(&["ls", &name]).expect(0).text().to_owned();
    let (me, pid) = (std::process::id(), slow.pid());
    has_words(&ls, &["in use", "topic u64 tick/1", " 3 ", " 8 ", "24 B"]);
    has_words(&ls, &[&format!("{me} cli"), "publisher+subscriber 1.1 (lossy, lag 0)", "subscriber 0.1 (lag 3)"]);
    let text = run(&["stat", &name, "-i", "0.01"]).expect(0).text().to_owned();
    has_words(
        &text,
        &["2 of 62", "a subscriber begins 2 messages back", "3 messages, 24 B", "gate              open", "PUBLISH WAITS"],
    );
    has_words(&text, &["SUBSCRIBER", "gating", "lossy", "publisher", "tail 3, gated from 0", "3 messages can be read still"]);
    let printed = run(&["stat", &name, "--json", "-i", "0"]).expect(0).json();
    schema::check(&printed, "stat");
    assert_eq!((&printed["messages"], &printed["kind"], &printed["stats"]["puts"]), (&json!(3), &json!("topic"), &json!(3)));
    let shown = &printed["topic"];
    assert_eq!((&shown["gate"]["shut_by"], &shown["history"], &shown["kept"]), (&Value::Null, &json!(2), &json!(3)));
    let of = |index: usize| {
        let one = &shown["subscribers"][index];
        ["id", "pid", "alive", "kind", "lag", "missed", "received", "reads_in_place"].map(|field| one[field].clone())
    };
    assert_eq!(of(0), [json!("0.1"), json!(pid), json!(true), json!("gating"), json!(3), json!(0), json!(0), json!(false)]);
    assert_eq!(of(1), [json!("1.1"), json!(me), json!(true), json!("lossy"), json!(0), json!(2), json!(1), json!(false)]);
    let listed = run(&["ls", &name, "--json"]).expect(0).json();
    schema::check(&listed, "ls");
    assert_eq!(listed[0]["holdings"][0]["what"], "publisher");
    // A queue has the field as well.
    let queue = shmq::Queue::<u64>::create(Name::new("queue").0.clone(), 4).expect("created");
    assert_eq!(run(&["ls", queue.name(), "--json"]).expect(0).json()[0]["topic"], Value::Null);
}

#[test]
fn peek_shows_the_newest_messages_and_leaves_them() {
    let name = Name::new("peek-topic");
    let topic = Topic::<[u8]>::builder().name(&*name).capacity_bytes(4096).create().expect("created");
    assert!(run(&["peek", &name]).expect(0).err.contains("no message that is left"));
    let subscriber = topic.subscribe().expect("room");
    for message in [&b"first"[..], b"second", b"third"] {
        topic.publish(message).expect("room");
    }
    let text = run(&["peek", &name, "-n", "2"]).expect(0).text().to_owned();
    assert!(!text.contains("first") && text.find("second") < text.find("third"), "{text}");
    assert_eq!(run(&["peek", &name, "--raw"]).expect(0).text(), "firstsecondthird");
    let printed = run(&["peek", &name, "--json"]).expect(0).json();
    schema::check(&printed, "peek");
    assert_eq!(subscriber.next().expect("it is there"), b"first");
    let name = Name::new("peek-objects");
    let objects = ObjectTopic::<(u32, String)>::builder().name(&*name).capacity_bytes(4096).create().expect("created");
    objects.publish(&(7, "seven".to_owned())).expect("room");
    has_words(run(&["ls", &name]).expect(0).text(), &["topic object"]);
    has_words(run(&["peek", &name]).expect(0).text(), &["7", "\"seven\""]);
    assert_eq!(run(&["peek", &name, "--json"]).expect(0).json()[0]["object"], json!([7, "seven"]));
}

#[test]
fn what_makes_no_sense_for_a_topic_is_refused() {
    let name = Name::new("no-queue");
    let topic = Topic::<[u8]>::builder().name(&*name).capacity_bytes(4096).create().expect("created");
    topic.publish(b"kept").expect("room");
    for arguments in [&["put", &*name][..], &["get", &name, "-t", "0"], &["drain", &name]] {
        let ran = run(arguments).expect(7);
        has_words(&ran.err, &["topic", "each"]);
        assert!(ran.out.is_empty());
    }
    let ran = run(&["evict", &name, "0.1"]).expect(3);
    has_words(&ran.err, &["there is no subscriber 0.1", "shmq stat"]);
    let queue = Name::new("a-queue");
    let _queue = shmq::Queue::<u64>::create(&*queue, 4).expect("created");
    has_words(&run(&["evict", &queue, "0.1"]).expect(7).err, &["is no topic"]);
    run(&["evict", "no-such-topic", "0.1"]).expect(3);
    assert_eq!(topic.subscribe_from(Start::Oldest).expect("room").next().expect("it is kept"), b"kept");
    run(&["close", &name]).expect(0);
    assert!(topic.is_closed());
    run(&["rm", &name]).expect(0);
    assert!(!topic.has_name());
}

#[test]
fn evict_opens_the_gate() {
    let name = Name::new("evict");
    let topic = Topic::<u64>::create(&*name, 2).expect("created");
    let slow = topic.subscribe().expect("room");
    let publisher = peers::start_and_see("publisher", &name, waits_for_long);
    let (troubles, ls, words) = examine(&name);
    let (me, pid) = (std::process::id(), publisher.pid());
    assert_eq!(troubles, ["gated"], "{words}");
    has_words(&ls, &["gated: publish waits", &format!("for 0.1 of {me}"), &format!("{pid} cli")]);
    has_words(
        &words,
        &["Subscriber 0.1 of process", "2 messages behind, a whole capacity", "waits in publish", "does not read now"],
    );
    has_words(&words, &[&format!("shmq evict {} 0.1", &*name), "max_lag_before_evict"]);
    has_words(run(&["stat", &name, "-i", "0"]).expect(0).text(), &[&format!("shut by subscriber 0.1 of process {me}")]);
    let printed = run(&["stat", &name, "-i", "0", "--json"]).expect(0).json();
    let gate = &printed["topic"]["gate"];
    assert_eq!((&gate["shut_by"], &gate["subscriber"], &gate["pid"]), (&json!("subscriber"), &json!("0.1"), &json!(me)));
    // The doctor's advice helps.
    let printed = run(&["evict", &name, "0.1", "--json"]).expect(0).json();
    schema::check(&printed, "evict");
    assert_eq!((&printed["evicted"], &printed["pid"], &printed["reads_in_place"]), (&json!(true), &json!(me), &json!(false)));
    wait_for(&name, "the publisher to go on", || seen(&name).stats.puts > 100);
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty(), "{words}");
    has_words(&ls, &[&format!("0.1 of {me} was evicted")]);
    has_words(&words, &["it does not know"]);
    has_words(run(&["evict", &name, "0.1"]).expect(0).text(), &["does not gate"]);
    assert!(matches!(slow.next(), Err(GetError::Evicted)));
    assert!(!examine(&name).2.contains("was evicted"), "it has learned of it");
    topic.close();
    publisher.expect(0);
}

#[test]
fn a_stopped_subscriber_with_an_open_sample_is_named() {
    let name = Name::new("stopped-sample");
    let topic = Topic::<u64>::create(&*name, 2).expect("created");
    let sampler = peers::start("sampler", &name);
    topic.wait_subscribers(1, Duration::from_secs(60)).expect("it subscribes");
    let publisher = peers::start("publisher", &name);
    wait_for(&name, "a publisher that waits", || waits_for_long(&seen(&name), publisher.pid()));
    stop(&name, &sampler);
    let (troubles, ls, words) = examine(&name);
    let pid = sampler.pid();
    assert_eq!(troubles, ["stopped", "gated"], "{words}");
    has_words(&ls, &[&format!("subscriber {pid} is stopped"), "STOPPED"]);
    has_words(&words, &["a subscriber, 1 message open in place", "evicting it does not help", &format!("kill -CONT {pid}")]);
    has_words(run(&["stat", &name, "-i", "0"]).expect(0).text(), &["reads in place", "sample"]);
    let id = id_of(&name, pid);
    has_words(run(&["evict", &name, &id]).expect(0).text(), &["until it drops the message that it reads in place"]);
    assert!(waits_for_long(&seen(&name), publisher.pid()), "the message is still open");
    sampler.kill();
    wait_for(&name, "the publisher to go on", || seen(&name).stats.puts > 100);
    topic.close();
    publisher.expect(0);
}

#[test]
fn a_stopped_subscriber_without_one_can_be_evicted() {
    let name = Name::new("stopped-subscriber");
    let topic = Topic::<u64>::create(&*name, 2).expect("created");
    let slow = peers::start_and_see("reader", &name, has_subscriber);
    stop(&name, &slow);
    let publisher = peers::start_and_see("publisher", &name, waits_for_long);
    let (troubles, _, words) = examine(&name);
    assert_eq!(troubles, ["stopped", "gated"], "{words}");
    has_words(&words, &["It is stopped.", "publishers go on without it", "It is 2 messages behind"]);
    run(&["evict", &name, &id_of(&name, slow.pid())]).expect(0);
    wait_for(&name, "the publisher to go on", || seen(&name).stats.puts > 100);
    slow.send(libc::SIGCONT);
    topic.close();
    publisher.expect(0);
    slow.expect(0);
}

#[test]
fn a_dead_subscriber_is_named_and_recovered() {
    let name = Name::new("dead-subscriber");
    let topic = Topic::<u64>::create(&*name, 2).expect("created");
    let slow = peers::start_and_see("subscriber", &name, has_subscriber);
    while topic.try_publish(&1).is_ok() {}
    let pid = slow.pid();
    slow.kill();
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty(), "a publisher that waits frees it: {words}");
    has_words(&ls, &[&format!("{pid} died with a subscriber"), "DEAD"]);
    has_words(&words, &["no publisher waiting for longer than 0.1 s", "It is dead", "shmq recover"]);
    assert!(matches!(topic_of(&seen(&name)).gate, Gate::Subscriber(_)));
    let printed = run(&["recover", &name, "--json"]).expect(0).json();
    schema::check(&printed, "recover");
    let of = ["subscribers", "dead_participants", "redelivered", "aborted", "sides"].map(|field| printed[field].clone());
    assert_eq!(of, [json!(1), json!(1), json!(0), json!(0), json!(1)]);
    assert_eq!(topic_of(&seen(&name)).gate, Gate::Open);
    topic.try_publish(&2).expect("room");
    has_words(run(&["recover", &name]).expect(0).text(), &["0 dead processes: 0 subscribers were freed, 0 loans were aborted\n"]);
    let (troubles, _, words) = examine(&name);
    assert!(troubles.is_empty() && words.contains("nothing is wrong"), "{words}");
}

#[test]
fn an_open_loan_that_subscribers_wait_behind_is_named_alive_and_dead() {
    let name = Name::new("topic-loan");
    let topic = Topic::<u64>::create(&*name, 8).expect("created");
    let reader = peers::start_and_see("reader", &name, has_subscriber);
    let lender = peers::start_and_see("lender", &name, |seen, _| seen.on_loan == 1);
    topic.publish_slice(&[1, 2]).expect("room");
    let waits = || {
        let of_it = seen(&name).participants.iter().find(|one| one.pid == reader.pid()).and_then(|one| one.get_waits);
        of_it.is_some_and(|waits| waits.since > LONG)
    };
    wait_for(&name, "a reader that waits", waits);
    let pid = lender.pid();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["open-loan"], "{words}");
    has_words(&ls, &[&format!("{pid} holds a loan open")]);
    has_words(&words, &["the 2 messages behind it cannot be read before"]);
    stop(&name, &reader);
    lender.kill();
    let (troubles, _, words) = examine(&name);
    assert_eq!(troubles, ["stopped", "died-holding"], "{words}");
    has_words(&words, &["1 message on loan", "in a read or a publish"]);
    reader.send(libc::SIGCONT);
    // It aborts the loan by itself, within 0.1 s.
    wait_for(&name, "the reader to go on", || seen(&name).messages == 0);
    topic.close();
    reader.expect(0);
}

#[test]
fn a_topic_that_nobody_publishes_to_is_idle_and_a_busy_one_is_well() {
    let name = Name::new("idle");
    let topic = Topic::<u64>::create(&*name, 64).expect("created");
    let reader = peers::start("reader", &name);
    let waits = || {
        let of_it = seen(&name).participants.iter().find(|one| one.pid == reader.pid()).and_then(|one| one.get_waits);
        of_it.is_some_and(|waits| waits.since > LONG)
    };
    wait_for(&name, "a reader that waits", waits);
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty(), "{words}");
    has_words(&ls, &["idle: a read waits"]);
    has_words(&words, &["no fault of the topic's"]);
    let publisher = peers::start_and_see("publisher", &name, |seen, _| seen.stats.puts > 1000);
    let (troubles, _, words) = examine(&name);
    assert!(troubles.is_empty(), "{words}");
    let printed = run(&["stat", &name, "--json", "-i", "0.2"]).expect(0).json();
    assert!(
        printed["rates"]["puts_per_s"].as_f64() > Some(0.0) && printed["rates"]["gets_per_s"].as_f64() > Some(0.0),
        "{printed:#}"
    );
    topic.close();
    publisher.expect(0);
    reader.expect(0);
}

#[test]
fn a_topic_whose_users_died_is_stale() {
    let name = Name::new("stale-topic");
    let topic = Topic::<u64>::create(&*name, 8).expect("created");
    let slow = peers::start_and_see("subscriber", &name, has_subscriber);
    topic.publish_slice(&[1, 2, 3]).expect("room");
    drop(topic);
    slow.kill();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["stale"], "{words}");
    has_words(&ls, &["stale"]);
    has_words(&words, &["3 messages still in it", "A subscriber that begins with the oldest reads them"]);
    let again = Topic::<u64>::open(&*name).expect("it goes on");
    assert_eq!(again.subscribe_from(Start::Oldest).expect("room").next().expect("kept"), 1);
    assert!(again.subscribers().iter().all(|one| one.kind != SubscriberKind::Evicted));
}
