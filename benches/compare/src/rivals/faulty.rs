//! Faulty channels, to check that the bench notices them: `--self-test`.

use super::{YIELDS, bytes::ByteChannel, pipe::Pipe, shaq::Broadcasts};
use crate::{
    flows::{Transport, flow, flow_to_all},
    forked::Case,
    results::{Family, Unit},
    rivals::bytes::Words,
    runner::{self, PlannedGroup, PlannedRow, Runner},
};
use std::{cell::Cell, fs::File, ops::Range};

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

type ToThree = Broadcasts<8, 1, YIELDS, 3>;

/// A broadcast of which the consumers count too much.
struct Miscounted;

impl Transport for Miscounted {
    const WORDS: usize = 8;
    type Host = <ToThree as Transport>::Host;
    type Sender = <ToThree as Transport>::Sender;
    type Receiver = <ToThree as Transport>::Receiver;

    fn create(name: &str, capacity: usize) -> Self::Host {
        ToThree::create(name, capacity)
    }

    fn sender(name: &str) -> Self::Sender {
        ToThree::sender(name)
    }

    fn receiver(name: &str) -> Self::Receiver {
        ToThree::receiver(name)
    }

    fn send(to: &Self::Sender, stamps: Range<u64>) {
        ToThree::send(to, stamps);
    }

    fn receive(from: &Self::Receiver, count: u64) -> u64 {
        ToThree::receive(from, count) + 1
    }
}

pub fn cases() -> Vec<Box<dyn Case>> {
    let one_to_one = [flow::<Words<Faulty<false>, 8>>(), flow::<Words<Faulty<true>, 8>>(), flow::<Words<Pipe, 8>>()];
    one_to_one.into_iter().chain([flow_to_all::<Miscounted>(), flow_to_all::<ToThree>()]).collect()
}

/// Measures the faulty ones and two healthy ones, whose cases start at `first`. Returns whether the
/// three faults were noticed, and no other one.
pub fn self_test(runner: &mut Runner, first: usize) -> bool {
    let names = [("tears", 1), ("loses", 1), ("healthy", 1), ("a broadcast, miscounted", 3), ("a broadcast, healthy", 3)];
    let row = |(at, (name, consumers)): (usize, (&str, u32))| {
        let case = first + at;
        let measure = if consumers == 1 { runner::flow(case, 1) } else { runner::flow_to(case, consumers) };
        PlannedRow::new(name, Family::Processes, measure)
    };
    let rows = names.into_iter().enumerate().map(row).collect();
    let mut group = PlannedGroup { kind: "self-test", title: String::new(), unit: Unit::Rate { bytes: 64 }, rows };
    println!("three pipes, one that tears messages, one that loses some (half a minute), a healthy one; two broadcasts:");
    runner.measure(&mut group, 0);
    for PlannedRow { row, .. } in &group.rows {
        println!("  {}: {}", row.name, row.fault.as_deref().unwrap_or("no fault found"));
    }
    group.rows.iter().map(|planned| planned.row.fault.is_some()).eq([true, true, false, true, false])
}
