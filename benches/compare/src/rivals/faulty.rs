//! Faulty channels, to check that the bench notices them: `--self-test`.

use super::{bytes::ByteChannel, pipe::Pipe};
use crate::{
    flows::flow,
    forked::Case,
    results::{Family, Unit},
    rivals::bytes::Words,
    runner::{self, PlannedGroup, PlannedRow, Runner},
};
use std::{cell::Cell, fs::File};

/// Every so many messages something goes wrong.
const OFTEN: u64 = 50;

thread_local! {
    static SENT: Cell<u64> = const { Cell::new(0) };
}

/// A pipe that loses messages, or that changes their last bytes.
struct Faulty<const LOSES: bool>;

impl<const LOSES: bool> ByteChannel for Faulty<LOSES> {
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
        match (SENT.get().is_multiple_of(OFTEN), LOSES) {
            (false, _) => Pipe::send(to, message),
            (true, true) => (),
            (true, false) => {
                let (start, end) = message.split_at(message.len() - 8);
                let torn = [start, [!end[0]; 8].as_slice()].concat();
                Pipe::send(to, &torn);
            }
        }
    }

    fn receive(from: &File, message: &mut [u8]) {
        Pipe::receive(from, message);
    }
}

pub fn cases() -> Vec<Box<dyn Case>> {
    vec![flow::<Words<Faulty<false>, 8>>(), flow::<Words<Faulty<true>, 8>>(), flow::<Words<Pipe, 8>>()]
}

/// Measures both and a healthy one, whose cases start at `first`. Returns whether the two faults
/// were noticed, and no third one.
pub fn self_test(runner: &mut Runner, first: usize) -> bool {
    let row = |(at, name): (usize, &str)| PlannedRow::new(name, Family::Processes, runner::flow(first + at, 1));
    let rows = ["tears", "loses", "healthy"].into_iter().enumerate().map(row).collect();
    let mut group = PlannedGroup { kind: "self-test", title: String::new(), unit: Unit::Rate { bytes: 64 }, rows };
    println!("three pipes, one that tears messages, one that loses some (half a minute), a healthy one:");
    runner.measure(&mut group, 0);
    for PlannedRow { row, .. } in &group.rows {
        println!("  {}: {}", row.name, row.fault.as_deref().unwrap_or("no fault found"));
    }
    group.rows.iter().map(|planned| planned.row.fault.is_some()).eq([true, true, false])
}
