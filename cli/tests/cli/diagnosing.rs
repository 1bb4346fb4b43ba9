//! Broken set-ups that `ls` and `doctor` alone can distinguish.

use crate::command::{Name, run, wait_for};
use crate::peers;
use crate::schema;
use serde_json::Value;
use shmq::inspect::{Inspector, ProcessState, Snapshot, State};
use shmq::{DeadLetters, Queue};
use std::time::Duration;

/// The codes of the queue's troubles, its line of `ls`, and the text of `doctor`.
#[track_caller]
pub fn examine(name: &str) -> (Vec<String>, String, String) {
    let text = run(&["doctor", name, "-i", "0.1"]);
    let printed = run(&["doctor", name, "--json", "-i", "0.1"]).json();
    schema::check(&printed, "doctor");
    let of = |finding: &Value| finding["code"].as_str().expect("a word").to_owned();
    let troubles = printed[0]["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "trouble").map(of);
    let troubles: Vec<String> = troubles.collect();
    assert_eq!(text.code, if troubles.is_empty() { 0 } else { 8 }, "{text:?}");
    let ls = run(&["ls", name]).expect(0).text().lines().nth(1).expect("a line").to_owned();
    (troubles, ls, text.text().replace("\n    ", " "))
}

fn of(seen: &Snapshot, pid: u32) -> Option<&shmq::inspect::Participant> {
    seen.participants.iter().find(|participant| participant.pid == pid)
}

#[test]
fn set_up_1_the_consumer_is_stopped() {
    let name = Name::new("stopped");
    let queue = Queue::<u64>::create(&*name, 4).expect("created");
    let consumer = peers::start_and_see("consumer", &name, |seen, pid| of(seen, pid).is_some_and(|p| p.get_waits.is_some()));
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty() && !ls.contains("STOPPED"), "nothing is wrong yet: {ls}\n{words}");
    consumer.send(libc::SIGSTOP);
    let pid = consumer.pid();
    let state = || Inspector::open(&*name).ok().and_then(|inspector| of(&inspector.snapshot(), pid).map(|p| p.process));
    wait_for(&name, "it to stop", || state() == Some(ProcessState::Stopped));
    queue.put_slice(&[1, 2, 3]).expect("room");
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["stopped"], "{words}");
    assert!(
        ls.contains(&format!("{pid} cli")) && ls.contains("STOPPED") && ls.contains(&format!("consumer {pid} is stopped")),
        "{ls}"
    );
    for word in ["is stopped (SIGSTOP", "3 messages wait", &format!("kill -CONT {pid}")] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
    consumer.send(libc::SIGCONT);
    wait_for(&name, "it to go on", || queue.is_empty());
    queue.close();
    consumer.expect(0);
}

#[test]
fn set_up_2_the_consumer_was_killed_with_a_lease() {
    let name = Name::new("killed");
    let queue = Queue::<u64>::create(&*name, 4).expect("created");
    queue.put_slice(&[1, 2]).expect("room");
    let consumer = peers::start_and_see("lessee", &name, |seen, _| seen.on_lease == 1);
    let pid = consumer.pid();
    assert!(examine(&name).0.is_empty(), "a lease is no fault");
    consumer.kill();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["died-holding"], "{words}");
    assert!(ls.contains(&format!("{pid} get DEAD")), "{ls}");
    assert!(ls.contains(&format!("{pid} died with a lease")), "{ls}");
    for word in ["1 message on lease", "not lost", &format!("shmq recover {}", &*name)] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
    // The doctor's advice helps.
    let printed = run(&["recover", &name, "--json"]).expect(0).json();
    schema::check(&printed, "recover");
    assert_eq!((&printed["redelivered"], &printed["dead_participants"]), (&1.into(), &1.into()));
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["came-back"], "{words}");
    assert!(ls.contains("1 message came back"), "{ls}");
    assert_eq!((queue.get().expect("it is there"), queue.get().expect("and the other")), (1, 2));
    assert!(examine(&name).0.is_empty());
}

/// A queue that views fill: who has them, while it lives and after its death.
#[test]
fn views_in_the_way_of_a_put_are_named() {
    let name = Name::new("viewed");
    let queue = Queue::<u64>::create(&*name, 2).expect("created");
    queue.put_slice(&[1, 2]).expect("room");
    let viewer = peers::start_and_see("viewer", &name, |seen, _| seen.viewed == 2);
    let peeked = run(&["peek", &name]).expect(0);
    assert!(peeked.err.contains("2 messages that are done and kept by views"), "{}", peeked.err);
    let producer = peers::start_and_see("producer", &name, |seen, pid| {
        of(seen, pid).is_some_and(|p| p.put_waits.is_some_and(|waits| waits.since > Duration::from_millis(1100)))
    });
    let pid = viewer.pid();
    let (troubles, _, words) = examine(&name);
    assert_eq!(troubles, ["full"], "{words}");
    for word in [&format!("held by views of process {pid}"), "0 of 2 messages, 0 on lease, 2 kept by views", "drop its views"] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
    let stat = run(&["stat", &name]).expect(0);
    assert!(stat.text().contains("2 messages, which are done"), "{}", stat.text());
    producer.kill();
    viewer.kill();
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty(), "nothing is lost: {words}");
    assert!(ls.contains(&format!("{pid} died with views")), "{ls}");
    run(&["recover", &name]).expect(0);
    assert_eq!(Inspector::open(&*name).expect("it is there").snapshot().viewed, 0);
}

#[test]
fn set_up_3_the_producer_is_blocked_on_a_full_queue() {
    let name = Name::new("full");
    let queue = Queue::<u64>::create(&*name, 4).expect("created");
    let long = Duration::from_millis(1100);
    let producer = peers::start_and_see("producer", &name, |seen, pid| {
        of(seen, pid).is_some_and(|p| p.put_waits.is_some_and(|waits| waits.since > long))
    });
    let pid = producer.pid();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["full"], "{words}");
    assert!(ls.contains(&format!("{pid} cli")) && ls.contains(" put ") && ls.contains("full: put waits"), "{ls}");
    for word in ["4 of 4 messages", "No consumer is attached", &format!("process {pid}"), "shmq drain"] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
    let drained = run(&["drain", &name, "--json", "-n", "4"]).expect(0).json();
    schema::check(&drained, "drain");
    assert_eq!(drained["drained"], 4);
    queue.close();
    producer.expect(0);
}

#[test]
fn a_collector_that_holds_all_and_waits_for_more_is_a_deadlock() {
    // Bounded by messages or by bytes, asleep or polling, with or without a producer that waits.
    for (part, bounded, putter) in [
        ("collector", true, true),
        ("collector", true, false),
        ("collector", false, true),
        ("polling collector", true, true),
        ("polling collector", false, true),
    ] {
        let name = Name::new("deadlock");
        let builder = Queue::<u64>::builder().name(&*name);
        let queue = if bounded { builder.capacity(4).create() } else { builder.capacity_bytes(4096).create() }.expect("created");
        let collector = peers::start(part, &name);
        let producer = putter.then(|| peers::start("producer", &name));
        if !putter {
            queue.put_slice(&[1, 2, 3, 4]).expect("room");
        }
        let pid = collector.pid();
        let long = Duration::from_millis(1100);
        wait_for(&name, "a deadlock", || {
            let seen = Inspector::open(&*name).expect("there").snapshot();
            let is_long = |waits: Option<shmq::inspect::Waiting>| waits.is_some_and(|waits| waits.since > long);
            let puts = seen.participants.iter().any(|p| is_long(p.put_waits));
            let gets = of(&seen, pid).is_some_and(|p| is_long(p.get_waits));
            seen.messages == 0 && (puts || !putter) && (gets || part != "collector")
        });
        let (troubles, ls, words) = examine(&name);
        assert_eq!(troubles, ["deadlock"], "{part}, {bounded}, {putter}: {words}");
        for word in ["A deadlock", "4711 (cli", "in get for one more", "kill 4711", "release"] {
            let word = word.replace("4711", &pid.to_string());
            assert!(words.contains(&word), "{word:?} is not in {words}");
        }
        assert!(!words.contains("Messages flow") && !words.contains("no fault"), "{words}");
        if part == "collector" {
            assert!(ls.contains(&format!("deadlock: {pid} holds all")), "{ls}");
        }
        // The doctor's advice helps.
        collector.kill();
        assert!(queue.get_timeout(Duration::from_secs(60)).is_ok());
        queue.close();
        drop(producer);
    }
}

#[test]
fn a_deadlock_that_is_young_is_no_flow_of_messages() {
    let name = Name::new("young");
    let queue = Queue::<u64>::create(&*name, 4).expect("created");
    // The first snapshot finds it empty.
    let arguments = ["doctor", &*name, "-i", "0.8", "--json"];
    let doctor = crate::command::shmq(&arguments).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let _producer = peers::start("producer", &name);
    let _collector = peers::start_and_see("collector", &name, |seen, pid| {
        seen.on_lease == 4 && of(seen, pid).is_some_and(|p| p.get_waits.is_some())
    });
    let printed = doctor.wait_with_output().expect("it runs").stdout;
    assert!(!String::from_utf8_lossy(&printed).contains("Messages flow"), "{}", String::from_utf8_lossy(&printed));
    let now = run(&["doctor", &name, "-i", "0", "--json"]).json();
    let codes: Vec<&Value> = now[0]["findings"].as_array().expect("some").iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&"deadlock".into()), "{now:#}");
    queue.close();
}

#[test]
fn leases_of_those_who_work_are_no_deadlock() {
    // As many threads with a lease each as there is room, and one that waits.
    let name = Name::new("workers");
    let queue = Queue::<u64>::create(&*name, 2).expect("created");
    let long = Duration::from_millis(1100);
    let workers = peers::start("workers", &name);
    let _producer = peers::start_and_see("producer", &name, |seen, pid| {
        seen.on_lease == 2 && of(seen, pid).is_some_and(|p| p.put_waits.is_some_and(|waits| waits.since > long))
    });
    let (troubles, _, words) = examine(&name);
    assert_eq!(troubles, ["full"], "{words}");
    assert!(words.contains("All its room is on lease") && !words.contains("deadlock"), "{words}");
    drop(workers);
    queue.close();
    // A process that works, beside one that waits.
    let name = Name::new("working");
    let queue = Queue::<u64>::create(&*name, 1).expect("created");
    queue.put(&1).expect("room");
    let lessee = peers::start_and_see("lessee", &name, |seen, _| seen.on_lease == 1);
    let waits = |waits: Option<shmq::inspect::Waiting>| waits.is_some_and(|waits| waits.since > long);
    let _producer = peers::start_and_see("producer", &name, |seen, pid| of(seen, pid).is_some_and(|p| waits(p.put_waits)));
    let _other = peers::start_and_see("consumer", &name, |seen, pid| of(seen, pid).is_some_and(|p| waits(p.get_waits)));
    let (troubles, _, words) = examine(&name);
    assert_eq!(troubles, ["full"], "{words}");
    assert!(words.contains("All its room is on lease") && words.contains(&lessee.pid().to_string()), "{words}");
    queue.close();
}

#[test]
fn a_stale_queue_is_reported_and_not_lost_by_recovering_it() {
    let name = Name::new("stale");
    peers::start_and_see("owner", &name, |seen, _| seen.messages == 3).kill();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["stale"], "{words}");
    assert!(ls.contains("stale") && words.contains("3 messages still in it"), "{ls}\n{words}");
    // The command is the only one attached, and removes nothing when it leaves.
    let printed = run(&["recover", &name]).expect(0);
    assert!(printed.err.contains("all users of") && printed.err.contains("stays"), "{}", printed.err);
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["stale"], "{words}");
    assert!(ls.contains("stale: all its users died") && words.contains("3 messages still in it"), "{ls}\n{words}");
    assert_eq!(Queue::<u64>::open(&*name).expect("it is there").len(), 3);
}

#[test]
fn advice_for_a_stale_queue_is_for_its_type() {
    for (part, right, wrong) in [("owner", "shmq drain ", "shmq get "), ("bytes", "shmq get ", "shmq drain ")] {
        let name = Name::new("stale-type");
        peers::start_and_see(part, &name, |seen, _| seen.messages > 0).kill();
        let (_, _, words) = examine(&name);
        assert!(words.contains(right) && !words.contains(wrong), "{words}");
    }
}

#[test]
fn a_join_that_waits_for_marks_is_named() {
    let name = Name::new("join");
    let queue = Queue::<u64>::create(&*name, 8).expect("created");
    queue.put_slice(&[1, 2]).expect("room");
    let joins = |pid| move |seen: &Snapshot| of(seen, pid).is_some_and(|joiner| joiner.join_threads == 1);
    let mut joiner = peers::start_and_see("joiner", &name, |seen, pid| joins(pid)(seen));
    queue.get().expect("a message");
    queue.get().expect("a message");
    let (_, _, words) = examine(&name);
    let printed = format!("{}", joiner.pid());
    assert!(words.contains("waits in join: 2 messages were got by copy and not marked by task_done"), "{words}");
    assert!(words.contains(&printed), "{words}");
    queue.task_done().expect("one was got");
    queue.task_done().expect("one was got");
    assert!(joiner.wait().success());
    assert!(!examine(&name).2.contains("waits in join"));
}

#[test]
fn a_stale_queue_that_was_closed_is_said_to_be_closed() {
    let name = Name::new("stale-closed");
    peers::start_and_see("service", &name, |seen, _| seen.closed && seen.messages == 2).kill();
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["stale"], "{words}");
    assert!(ls.contains("stale and closed: its user died"), "{ls}");
    for word in ["stale and closed", "It was closed", "2 messages still in it", "opens it to be drained"] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
}

#[test]
fn what_a_forked_child_keeps_is_not_stale() {
    let name = Name::new("daemon");
    let daemon = peers::start_and_see("daemon", &name, |seen, _| seen.messages == 3 && seen.participants.is_empty());
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty() && ls.contains("in use"), "{ls}\n{words}");
    assert!(!words.contains("died") && !words.contains("No process is attached"), "{words}");
    assert!(run(&["rm", "--stale", &name]).expect(1).err.contains("a process uses it"));
    // Verbs that attach leave the queue to the child.
    for verb in [&["recover", &*name][..], &["drain", &*name, "-n", "1"], &["close", &*name]] {
        let ran = run(verb).expect(0);
        assert_eq!(ran.err, "", "{verb:?}");
    }
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    assert_eq!(
        (&printed[0]["state"], &printed[0]["persisted"], &printed[0]["messages"]),
        (&"closed".into(), &false.into(), &2.into())
    );
    // It dies with its parent.
    daemon.kill();
    wait_for(&name, "the child to end", || {
        Inspector::open(&*name).is_ok_and(|inspector| inspector.snapshot().state == State::Stale)
    });
}

#[test]
fn a_lost_name_is_found_and_reported() {
    let name = Name::new("nameless");
    let queue = Queue::<u64>::create(&*name, 4).expect("created");
    assert!(examine(&name).0.is_empty());
    std::fs::remove_file(format!("/dev/shm/shmq.{}", &*name)).expect("it was there");
    let (troubles, ls, words) = examine(&name);
    assert_eq!(troubles, ["nameless"], "{words}");
    assert!(ls.contains("lost its name") && ls.contains(&std::process::id().to_string()), "{ls}");
    for word in ["RemoveIPC", "another queue", &format!("process {}", std::process::id())] {
        assert!(words.contains(word), "{word:?} is not in {words}");
    }
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    schema::check(&printed, "ls");
    schema::check(&printed[0], "queue");
    assert_eq!((&printed[0]["has_name"], &printed[0]["state"]), (&false.into(), &"in use".into()));
    // Beside the segment that has the name now.
    let next = Queue::<u64>::create(&*name, 4).expect("created");
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    let names: Vec<_> = printed.as_array().expect("two").iter().map(|queue| queue["has_name"] == true).collect();
    assert_eq!(names, [true, false]);
    // After `unlink` it is a notice, not a trouble.
    Queue::<u64>::unlink(&*name).expect("it was there");
    drop(queue);
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty() && ls.contains("lost its name") && words.contains("It was unlinked"), "{ls}\n{words}");
    drop(next);
    run(&["ls", &name]).expect(3);
}

#[test]
fn what_a_queue_replaced_is_reported() {
    let name = Name::new("replacing");
    peers::start_and_see("owner", &name, |seen, _| seen.messages == 3).kill();
    let _queue = Queue::<u32>::open_or_create(&*name, 4).expect("of another type");
    let (troubles, ls, words) = examine(&name);
    assert!(troubles.is_empty() && ls.contains("replaced a dead one: 3 messages lost"), "{ls}\n{words}");
    assert!(words.contains("a dead one, of another type; 3 messages went with it"), "{words}");
    let printed = run(&["stat", &name, "--json", "-i", "0"]).expect(0).json();
    schema::check(&printed, "stat");
    assert_eq!((&printed["predecessor"]["why"], &printed["predecessor"]["messages"]), (&"of another type".into(), &3.into()));
    assert!(run(&["stat", &name, "-i", "0"]).expect(0).text().contains("3 messages went with it"));
}

#[test]
fn advice_for_odd_names_can_be_pasted() {
    for odd in ["it's; rm -rf $HOME", "tab\tline\nend'\\", " blanks ", "-dash", "\u{6ce8}\u{6587} \u{1b}[2J"] {
        let name = Name::new(odd);
        peers::start_and_see("owner", &name, |seen, _| seen.messages == 3).kill();
        let (_, _, words) = examine(&name);
        let at = words.find("shmq rm ").unwrap_or_else(|| panic!("no advice in {words}"));
        let advice = &words[at..at + words[at..].find('`').expect("its end")];
        // In a shell, with this command.
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_shmq"));
        let path = format!("{}:{}", program.parent().expect("a folder").display(), std::env::var("PATH").expect("a path"));
        let ran = std::process::Command::new("bash").args(["-c", advice]).env("PATH", path).output().expect("bash runs");
        assert!(ran.status.success(), "{advice}: {ran:?}");
        assert!(!crate::support::segment_exists(&name), "{advice}");
    }
}

#[test]
fn dead_letters_that_no_queue_takes_are_named_with_the_reason() {
    let (name, letters) = (Name::new("giving-up"), Name::new("letters"));
    let queue =
        Queue::<u64>::builder().name(&*name).capacity(4).max_deliveries(1).dead_letters(&*letters).create().expect("created");
    assert_eq!(run(&["stat", &name, "--json"]).expect(0).json()["dead_letters"], &*letters);
    queue.put(&1).expect("room");
    assert!(examine(&name).0.is_empty());
    queue.lease().expect("a message").give_back();
    assert!(queue.try_get().is_err());
    let expect = |why: &str| {
        let (troubles, ls, words) = examine(&name);
        assert_eq!(troubles, ["dead-letters"], "{words}");
        for word in [why, &*letters, &std::process::id().to_string()] {
            assert!(words.contains(word), "{word:?} is not in {words}");
        }
        assert!(ls.contains("dead letters"), "{ls}");
    };
    expect("is missing");
    let other = Queue::<u32>::create(&*letters, 4).expect("created");
    expect("another kind (u32)");
    drop(other);
    let created = DeadLetters::create(&*letters, 4096).expect("created");
    created.close();
    queue.recover();
    expect("is closed");
    DeadLetters::unlink(&*letters).expect("it is there");
    let created = DeadLetters::create(&*letters, 4096).expect("created");
    assert_eq!((queue.recover().given_up, created.len()), (1, 1));
    assert!(examine(&name).0.is_empty());
}
