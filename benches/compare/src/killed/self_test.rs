//! Faulty channels, to check that each fault is noticed when a process is killed: `--self-test`.

use super::{Kills, Order, Rival, report::Lines};
use crate::rivals::{
    bytes::{ByteChannel, Words},
    pipe::Pipe,
};
use std::{cell::Cell, fs::File, thread, time::Duration};

const LOSES: u8 = 0;
const DOUBLES: u8 = 1;
const TEARS: u8 = 2;
const STALLS: u8 = 3;
const FAILS: u8 = 4;

/// Every so many messages something goes wrong.
const OFTEN: u64 = 50;

thread_local! {
    static SENT: Cell<u64> = const { Cell::new(0) };
}

/// A pipe with a fault of its sender's.
struct Faulty<const FAULT: u8>;

impl<const FAULT: u8> ByteChannel for Faulty<FAULT> {
    type Host = <Pipe as ByteChannel>::Host;
    type Sender = File;
    type Receiver = File;

    fn create(name: &str, capacity: usize, message_bytes: usize) -> Self::Host {
        Pipe::create(name, capacity, message_bytes)
    }

    fn sender(name: &str) -> File {
        Pipe::sender(name)
    }

    fn receiver(name: &str) -> File {
        Pipe::receiver(name)
    }

    fn send(to: &File, message: &[u8]) {
        SENT.set(SENT.get() + 1);
        if !SENT.get().is_multiple_of(OFTEN) {
            return Pipe::send(to, message);
        }
        match FAULT {
            LOSES => (),
            DOUBLES => {
                Pipe::send(to, message);
                Pipe::send(to, message);
            }
            TEARS => {
                let mut torn = message.to_vec();
                torn[..8].fill(1);
                Pipe::send(to, &torn);
            }
            FAILS => panic!("no more"),
            _ => thread::sleep(Duration::from_secs(3600)),
        }
    }

    fn receive(from: &File, message: &mut [u8]) {
        Pipe::receive(from, message);
    }
}

/// Kills processes of faulty channels and of a healthy one. Returns whether each fault was noticed,
/// and nothing else.
pub fn self_test() -> bool {
    let rivals = [
        Rival::new::<Words<Faulty<LOSES>, 8>>("loses"),
        Rival::new::<Words<Faulty<DOUBLES>, 8>>("doubles"),
        Rival::new::<Words<Faulty<TEARS>, 8>>("tears"),
        Rival::new::<Words<Faulty<STALLS>, 8>>("stalls"),
        Rival::new::<Words<Faulty<FAILS>, 8>>("fails"),
        Rival::new::<Words<Pipe, 8>>("healthy"),
    ];
    let order = Order { kills: 2, seed: 1, python: false, only: Vec::new() };
    println!("pipes with a fault each, and a healthy one, whose processes are killed:");
    let results = match super::run(&rivals, &order) {
        Ok(results) => results,
        Err(problem) => {
            println!("  no kills: {problem}");
            return false;
        }
    };
    print!("{}", Lines(&results));
    let expected = ["lost", "doubled", "torn", "hangs", "error", "goes on"];
    let as_expected = |kills: &Kills, expected: &str| {
        kills.outcomes.len() as u64 == order.kills && kills.outcomes.iter().all(|kill| kill.verdict.name() == expected)
    };
    let mut rows = results.rows.iter().zip(expected);
    rows.all(|((_, all), expected)| all.iter().all(|kills| as_expected(kills, expected)))
}
