//! The processes that are killed: producers and workers, which are this test's binary once more. A
//! test's `main` calls [`take_role`] first.

use super::ledger::{Log, Note, entries};
use crate::support::pattern;
use shmq::Queue;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The variable that makes a test's binary one of these; its arguments are behind `_`.
pub const ROLE: &str = "SHMQ_BRIDGE_ROLE";

/// Longer than any of them waits: a worker or a producer that is forgotten ends by itself.
const LIFE: Duration = Duration::from_secs(1800);

fn argument(key: &str) -> String {
    std::env::var(format!("{ROLE}_{key}")).unwrap_or_else(|_| panic!("{ROLE}_{key} is not set"))
}

fn number(key: &str) -> u64 {
    argument(key).parse().expect("a number")
}

/// Runs the role that the environment names, and ends the process. Returns if there is none.
pub fn take_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "produce" => produce(),
        "work" => work(),
        "make" => drop(queue(&argument("QUEUE"))),
        other => panic!("there is no role {other}"),
    }
    std::process::exit(0)
}

/// The bytes of message `number`: it names itself, and lengths differ.
pub fn message(number: u64) -> Vec<u8> {
    let length = 8 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
    let mut bytes = pattern(number, length);
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The number of the message with these bytes, all of which are checked.
pub fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("a message has 8 bytes at least"));
    assert!(bytes == message(number), "message {number} is torn or changed");
    number
}

/// Opens a queue of the tests, or makes it.
pub fn queue(name: &str) -> Queue<[u8]> {
    let builder = Queue::<[u8]>::builder().name(name).capacity_bytes(64 << 10).persist(true).max_participants(200);
    let queue = builder.open_or_create().unwrap_or_else(|error| panic!("{name}: {error}"));
    queue.persist();
    queue
}

/// Puts the messages `FIRST..FIRST+COUNT`, going on behind those that its log says were meant.
fn produce() {
    let (queue, log) = (queue(&argument("QUEUE")), PathBuf::from(argument("LOG")));
    let (first, count, pause) = (number("FIRST"), number("COUNT"), Duration::from_micros(number("PAUSE_US")));
    let meant = entries(&log).into_iter().map(|(number, _)| number + 1).max().unwrap_or(first);
    let mut log = Log::open(&log);
    let end = Instant::now() + LIFE;
    for number in meant..first + count {
        log.note(number, Note::Meant);
        queue.put_deadline(&message(number), end).expect("a producer puts");
        log.note(number, Note::Put);
        std::thread::sleep(pause);
    }
}

/// Leases messages and notes them, until it is killed or terminated.
fn work() {
    let (queue, mut log) = (queue(&argument("QUEUE")), Log::open(&PathBuf::from(argument("LOG"))));
    let pause = Duration::from_micros(number("PAUSE_US"));
    let end = Instant::now() + LIFE;
    while Instant::now() < end {
        match queue.lease_timeout(Duration::from_secs(1)) {
            Ok(lease) => {
                let (number, id) = (number_of(&lease), lease.id());
                log.note(number, Note::Leased(id));
                std::thread::sleep(pause);
                lease.release();
                log.note(number, Note::Done(id));
            }
            Err(error) if error.is_timeout() => {}
            Err(error) => panic!("a worker leases: {error}"),
        }
    }
}
