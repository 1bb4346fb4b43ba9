//! The messages of errors: they name their values, and say their source once.

use crate::what;
use shmq::{CreateError, GetError, JoinError, OpenError, PutError, SpawnError, SubscribeError, WaitSubscribersError};
use std::error::Error;
use std::io;

/// The message of an error names every value that the error carries, and reads well.
#[track_caller]
fn says<E: Error>(error: E, values: &[&str]) {
    let text = error.to_string();
    for value in values {
        assert!(text.contains(value), "{text:?} does not name {value:?}");
    }
    assert!(text.len() >= 6 && !text.ends_with('.') && !text.contains('\n'), "{text:?}");
}

fn refusal() -> io::Error {
    io::Error::from_raw_os_error(12)
}

#[test]
fn errors_name_their_values() {
    says(PutError::Full, &["full"]);
    says(PutError::Busy, &["put side"]);
    says(PutError::Timeout, &["timed out"]);
    says(PutError::Interrupted, &["interrupted", "stop"]);
    says(PutError::Closed, &["closed"]);
    says(PutError::TooLarge { len: 1234, max: 567 }, &["1234", "567"]);
    says(PutError::Held { pid: 4321 }, &["4321"]);
    says(PutError::Poisoned, &["poisoned"]);
    says(PutError::Corrupted, &["corrupted"]);
    says(PutError::TooManyParticipants { max: 77 }, &["77", "participant"]);
    says(PutError::Inherited, &["fork"]);
    says(PutError::Os { call: "mmap", source: refusal() }, &["mmap"]);
    says(PutError::BehindLoan { pid: 4321, timed_out: true }, &["4321", "timed out"]);
    says(PutError::BehindLoan { pid: 4321, timed_out: false }, &["4321", "full"]);
    says(PutError::LossyHere, &["lossy"]);
    says(GetError::Empty, &["empty"]);
    says(GetError::Lagged { missed: 321 }, &["321"]);
    says(GetError::Evicted, &["evicted"]);
    says(GetError::NotGating, &["lossy", "in place"]);
    says(SubscribeError::TooManySubscribers { max: 77 }, &["77", "max_subscribers"]);
    says(SubscribeError::LoansHere, &["loan"]);
    says(WaitSubscribersError::Timeout { found: 3, wanted: 8 }, &["timed out", "3", "8"]);
    says(GetError::Busy, &["get side"]);
    says(GetError::Timeout, &["timed out"]);
    says(GetError::Interrupted, &["interrupted", "stop"]);
    says(GetError::Closed, &["closed"]);
    says(GetError::TooSmall { needed: 99, given: 88 }, &["99", "88"]);
    says(GetError::Invalid, &["valid"]);
    says(GetError::Held { pid: 4321 }, &["4321"]);
    says(GetError::Poisoned, &["poisoned"]);
    says(GetError::Corrupted, &["corrupted"]);
    says(GetError::TooManyParticipants { max: 77 }, &["77", "participant"]);
    says(GetError::Inherited, &["fork"]);
    says(GetError::Os { call: "mmap", source: refusal() }, &["mmap"]);
    says(CreateError::BadName { name: "a/b".into(), why: "has a slash" }, &["a/b", "has a slash"]);
    says(CreateError::OutOfRange { option: "parties", asked: 1234, min: 1, max: 567 }, &["parties", "1234", "567"]);
    says(CreateError::BadMessage { bytes: 1234, align: 8192 }, &["1234", "8192"]);
    says(
        CreateError::NoSpace { what: what(), needed_bytes: 1234, free_bytes: 567, by_cgroup: false },
        &["segment", "1234", "567"],
    );
    says(CreateError::NoSpace { what: what(), needed_bytes: 1234, free_bytes: 567, by_cgroup: true }, &["1234", "567", "cgroup"]);
    says(CreateError::Mismatch { what: what(), ours: "u32/4".into(), theirs: "f64/8".into() }, &["u32/4", "f64/8"]);
    says(CreateError::PermissionDenied { what: what(), why: "a filter".into() }, &["permission", "a filter"]);
    says(CreateError::Directory { what: what(), directory: "/x/y".into(), why: "it is gone".into() }, &["/x/y", "it is gone"]);
    says(CreateError::NoSegment { what: what(), path: "/x/z".into(), is: "a directory" }, &["/x/z", "a directory", "rmdir"]);
    says(CreateError::Corrupted { what: what() }, &["corrupted"]);
    says(CreateError::TooManyParticipants { what: what(), max: 77 }, &["77", "participant"]);
    says(CreateError::Os { what: what(), call: "renameat2", source: refusal() }, &["renameat2"]);
    let exists = |in_use| CreateError::AlreadyExists { what: what(), in_use };
    let (used, unused) = (exists(true), exists(false));
    assert_ne!(used.to_string(), unused.to_string());
    says(used, &["exists"]);
    says(OpenError::BadName { name: "a/b".into(), why: "has a slash" }, &["a/b", "has a slash"]);
    says(OpenError::NotFound { what: what() }, &["no segment"]);
    says(OpenError::NotReady { what: what() }, &["again"]);
    let waited = std::time::Duration::from_millis(5_020);
    says(OpenError::Timeout { what: what(), waited }, &["segment", "5.020 s", "start the program"]);
    says(OpenError::Mismatch { what: what(), ours: "u32/4".into(), theirs: "f64/8".into() }, &["u32/4", "f64/8"]);
    says(OpenError::Replaced { what: what() }, &["taken this name"]);
    says(OpenError::PermissionDenied { what: what(), why: "a filter".into() }, &["permission", "a filter"]);
    says(OpenError::NoSegment { what: what(), path: "/x/z".into(), is: "a FIFO" }, &["/x/z", "a FIFO", "(rm)"]);
    says(OpenError::Corrupted { what: what() }, &["corrupted"]);
    says(OpenError::TooManyParticipants { what: what(), max: 77 }, &["77", "participant"]);
    says(OpenError::Os { what: what(), call: "open", source: refusal() }, &["open"]);
    says(JoinError::Timeout { left: 42 }, &["42"]);
    says(JoinError::TooManyDone, &["task_done"]);
    says(JoinError::Interrupted, &["interrupted", "stop"]);
    says(JoinError::Poisoned, &["poisoned"]);
    says(JoinError::Corrupted, &["corrupted"]);
    says(JoinError::Os { call: "attach", source: refusal() }, &["attach"]);
    says(SpawnError::Threaded { threads: 1234 }, &["1234"]);
    says(SpawnError::Os { call: "fork", source: refusal() }, &["fork"]);
    for error in [
        Box::new(PutError::Os { call: "futex", source: refusal() }) as Box<dyn Error>,
        Box::new(GetError::Os { call: "futex", source: refusal() }),
        Box::new(CreateError::Os { what: what(), call: "futex", source: refusal() }),
        Box::new(OpenError::Os { what: what(), call: "futex", source: refusal() }),
        Box::new(JoinError::Os { call: "futex", source: refusal() }),
        Box::new(SpawnError::Os { call: "fork", source: refusal() }),
    ] {
        // Printed once, both by a caller that prints the chain and by one that prints the error
        // alone.
        let mut chain = error.to_string();
        let mut link = error.source();
        while let Some(error) = link {
            chain += &format!(": {error}");
            link = error.source();
        }
        assert_eq!(chain.matches("os error 12").count(), 1, "{chain}");
        assert!(error.to_string().contains("os error 12"), "{error}");
    }
}
