//! `create`, `close`, `drain`, `rm`, `recover`.

use crate::command::{Name, Running, bytes, feed, run, shmq, wait_for};
use crate::peers;
use crate::support::segment_exists;
use shmq::inspect::{Inspector, Snapshot};
use shmq::{PutError, Queue};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

#[test]
fn a_created_queue_stays_until_it_is_removed() {
    let name = Name::new("create");
    run(&["create", &name, "--capacity-bytes", "64K", "--capacity", "5", "--schema", "s/1", "--mode", "640"]).expect(0);
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    let queue = &printed[0];
    assert_eq!((&queue["state"], &queue["capacity"], &queue["schema"]), (&"kept".into(), &5.into(), &"s/1".into()));
    assert_eq!((&queue["capacity_bytes"], &queue["mode"]), (&65536.into(), &"640".into()));
    let again = run(&["create", &name, "--capacity-bytes", "64K"]).expect(1);
    assert!(again.err.contains("already") && again.err.contains("shmq rm"), "{}", again.err);
    run(&["rm", &name]).expect(0);
    assert!(!segment_exists(&name));
    run(&["rm", &name]).expect(3);
    run(&["create", &name, "--capacity-bytes", "1K"]).expect(0);
}

#[test]
fn close_is_for_everybody() {
    let name = Name::new("close");
    let queue = Queue::<u32>::create(&*name, 3).expect("created");
    queue.put(&1).expect("room");
    run(&["close", &name]).expect(0);
    assert!(matches!(queue.put(&2), Err(PutError::Closed)));
    run(&["close", &name]).expect(0);
    assert!(run(&["drain", &name]).expect(0).text().starts_with("1 message thrown"));
    run(&["close", "no-such-queue"]).expect(3);
}

#[test]
fn a_closed_queue_ends_put_and_get() {
    let name = Name::new("ends");
    feed(&["put", &name, "--lines"], b"a\nb\n").expect(0);
    run(&["close", &name]).expect(0);
    assert!(feed(&["put", &name], b"x").expect(6).err.contains("closed"));
    assert_eq!(run(&["get", &name, "-n", "5"]).expect(6).out, b"ab", "fewer than asked for");
    assert_eq!(run(&["get", &name, "--follow"]).expect(0).out, b"");
}

#[test]
fn rm_stale_spares_what_is_used_and_what_is_kept() {
    let (stale, kept, used) = (Name::new("rm-stale"), Name::new("rm-kept"), Name::new("rm-used"));
    peers::start_and_see("owner", &stale, |seen, _| seen.messages == 3).kill();
    run(&["create", &kept, "--capacity-bytes", "4K"]).expect(0);
    let queue = bytes(&used, 4096);
    // By name, so that no other test's segments are touched.
    let ran = run(&["rm", "--stale", &stale, &kept, &used]).expect(1);
    assert!(ran.text().contains(&*stale) && ran.err.contains("--persisted") && ran.err.contains("a process uses it"), "{ran:?}");
    assert!(!segment_exists(&stale) && segment_exists(&kept) && segment_exists(&used));
    run(&["rm", "--stale", "--persisted", &kept]).expect(0);
    assert!(!segment_exists(&kept));
    // Without --stale, the name goes and its users go on.
    run(&["rm", &used]).expect(0);
    queue.put(b"still").expect("room");
    assert!(!segment_exists(&used));
}

#[test]
fn what_the_dead_closed_is_no_more_than_stale_once_it_is_drained() {
    let verbs: &[&[&str]] = &[&["get", "-n", "2"], &["get", "-t", "0"], &["drain"], &["close"], &["recover"], &["put"]];
    for verb in verbs {
        let name = Name::new("service");
        peers::start_and_see("service", &name, |seen, _| seen.closed).kill();
        let ran = feed(&[&verb[..1], &[&*name], &verb[1..]].concat(), b"x");
        ran.expect(if verb[0] == "put" { 6 } else { 0 });
        let printed = run(&["ls", &name, "--json"]).expect(0).json();
        assert_eq!((&printed[0]["state"], &printed[0]["persisted"]), (&"stale".into(), &false.into()), "{verb:?}");
        run(&["drain", &name]).expect(0);
        // The service starts again.
        let queue = Queue::<[u8]>::builder().name(&*name).capacity_bytes(4096).open_or_create().expect("made");
        queue.put(b"new").expect("it is open");
        drop(queue);
        // At once, unless a child of another test has not come to its exec within 50 ms: then with
        // the next calls.
        wait_for(&name, "its name to go", || {
            drop(Queue::<u8>::new(1).expect("made"));
            !segment_exists(&name)
        });
    }
}

#[test]
fn two_at_work_on_a_dead_queue_leave_it_to_the_next() {
    let name = Name::new("two");
    peers::start_and_see("bytes", &name, |seen, _| seen.messages == 1).kill();
    run(&["get", &name]).expect(0);
    let first = Running::of(shmq(&["get", &name]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"));
    let waits = |seen: Snapshot| seen.participants.iter().any(|participant| participant.get_waits.is_some());
    wait_for(&name, "a consumer", || Inspector::open(&*name).is_ok_and(|inspector| waits(inspector.snapshot())));
    // The second opens the queue while the first uses it, and is the last to leave.
    let mut second = shmq(&["put", &name, "--lines"]).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = second.stdin.take().expect("piped");
    let second = Running::of(second);
    input.write_all(b"1\n2\n3\n").expect("it reads");
    first.expect(0);
    drop(input);
    second.expect(0);
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    assert_eq!(
        (&printed[0]["state"], &printed[0]["persisted"], &printed[0]["messages"]),
        (&"stale".into(), &false.into(), &2.into())
    );
}

#[test]
fn what_users_leave_that_die_meanwhile_is_left_to_the_next() {
    // Users die while the command is attached, and then another process takes the entry of the dead
    // one, or frees it.
    for after in [None, Some("recover"), Some("get"), Some("drain")] {
        let name = Name::new("die-meanwhile");
        let owner = peers::start_and_see("bytes", &name, |seen, _| seen.messages == 1);
        let mut putter = shmq(&["put", &name, "--lines"]).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut input = putter.stdin.take().expect("piped");
        let putter = Running::of(putter);
        let attached = |count| Inspector::open(&*name).is_ok_and(|inspector| inspector.snapshot().participants.len() == count);
        wait_for(&name, "a producer", || attached(2));
        owner.kill();
        if let Some(verb) = after {
            run(&[verb, &name]).expect(0);
        }
        input.write_all(b"two\n").expect("it reads");
        drop(input);
        putter.expect(0);
        let printed = run(&["ls", &name, "--json"]).expect(0).json();
        let messages = if matches!(after, None | Some("recover")) { 2 } else { 1 };
        assert_eq!((&printed[0]["state"], &printed[0]["messages"]), (&"stale".into(), &messages.into()), "{after:?}");
    }
    // If the users leave in good order, the queue goes with the command.
    let name = Name::new("leave-meanwhile");
    let queue = bytes(&name, 4096);
    let mut putter = shmq(&["put", &name, "--lines"]).stdin(Stdio::piped()).spawn().expect("it starts");
    let input = putter.stdin.take().expect("piped");
    let putter = Running::of(putter);
    wait_for(&name, "a producer", || Inspector::open(&*name).is_ok_and(|inspector| inspector.snapshot().participants.len() == 2));
    drop(queue);
    drop(input);
    putter.expect(0);
    assert!(!segment_exists(&name));
}

/// Gives a segment to another user; `false`: only root can.
fn give_to(name: &str, uid: u32) -> bool {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can give a file to another user");
        return false;
    }
    std::os::unix::fs::chown(format!("/dev/shm/shmq.{name}"), Some(uid), None).expect("root may");
    true
}

fn owner_of(name: &str) -> u32 {
    std::fs::metadata(format!("/dev/shm/shmq.{name}")).expect("it is there").uid()
}

#[test]
fn another_users_dead_queue_is_not_started_over() {
    const UID: u32 = 54_321;
    let name = Name::new("spent");
    peers::start_and_see("closer", &name, |seen, _| seen.closed).kill();
    if !give_to(&name, UID) {
        return;
    }
    for whose in [&["--owner", "54321"][..], &["--any-owner"]] {
        feed(&[&["put", &*name][..], whose].concat(), b"x").expect(6);
        let printed = run(&["ls", &name, "--json"]).expect(0).json();
        assert_eq!((&printed[0]["state"], &printed[0]["persisted"]), (&"stale".into(), &false.into()));
        assert_eq!(owner_of(&name), UID);
    }
}

#[test]
fn create_replaces_another_users_dead_queue_only_with_the_option() {
    const UID: u32 = 54_321;
    for whose in [&["--owner", "54321"][..], &["--any-owner"]] {
        let name = Name::new("anew");
        peers::start_and_see("closer", &name, |seen, _| seen.closed).kill();
        if !give_to(&name, UID) {
            return;
        }
        let create = ["create", &*name, "--capacity-bytes", "4K"];
        let ran = run(&create).expect(4);
        assert!(ran.err.contains("uid 54321") && ran.err.contains("--owner 54321"), "{}", ran.err);
        assert_eq!(owner_of(&name), UID);
        run(&[&create, whose].concat()).expect(0);
        assert_eq!(owner_of(&name), 0);
    }
}

#[test]
fn only_bytes_are_put_and_got() {
    for (name, open) in [(Name::new("sized"), true), (Name::new("floats"), false)] {
        let _sized = open.then(|| Queue::<u64>::create(&*name, 3).expect("created"));
        let _floats = (!open).then(|| Queue::<[f32]>::builder().name(&*name).create().expect("created"));
        for verb in [&["put"][..], &["get", "--timeout", "0"]] {
            let ran = feed(&[&verb[..1], &[&*name], &verb[1..]].concat(), b"12345678").expect(7);
            assert!(ran.err.contains("only a queue of bytes, [u8]"), "{}", ran.err);
        }
    }
}

#[test]
fn verbs_that_act_refuse_another_users_queue_without_the_option() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    const UID: u32 = 54_321;
    let name = Name::new("foreign");
    let make = || {
        feed(&["put", &name, "--lines"], b"a\nb\nc\n").expect(0);
        std::os::unix::fs::chown(format!("/dev/shm/shmq.{}", &*name), Some(UID), None).expect("root may");
    };
    make();
    let acting: &[&[&str]] = &[
        &["put", &name],
        &["get", &name],
        &["drain", &name],
        &["close", &name],
        &["recover", &name],
        &["rm", &name],
        &["rm", "--stale", "--persisted", &name],
    ];
    for verb in acting {
        let ran = feed(verb, b"x").expect(4);
        assert!(ran.err.contains("uid 54321") && ran.err.contains("--owner 54321"), "{verb:?}: {}", ran.err);
        let of_a_third = feed(&[verb, &["--owner", "7"][..]].concat(), b"x").expect(4);
        assert!(of_a_third.err.contains("uid 54321"), "{}", of_a_third.err);
    }
    // Reading needs no permission to act, and names the owner.
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    assert_eq!((&printed[0]["owner_uid"], &printed[0]["messages"]), (&UID.into(), &3.into()));
    run(&["peek", &name]).expect(0);
    run(&["stat", &name, "--interval", "0"]).expect(0);
    for allowed in [&["--owner", "7", "--owner", "54321"][..], &["--any-owner"]] {
        let run = |verb: &[&str]| feed(&[verb, allowed].concat(), b"d");
        run(&["put", &name]).expect(0);
        assert_eq!(run(&["get", &name]).expect(0).out, b"a");
        assert!(run(&["drain", &name]).expect(0).text().starts_with("3 messages"));
        run(&["recover", &name]).expect(0);
        run(&["close", &name]).expect(0);
        run(&["rm", &name]).expect(0);
        assert!(!segment_exists(&name));
        make();
    }
    run(&["rm", "--stale", "--persisted", "--any-owner", &name]).expect(0);
    assert!(!segment_exists(&name));
    assert!(run(&["rm", &name, "--owner", "1", "--any-owner"]).expect(2).err.contains("cannot be used with"));
}
