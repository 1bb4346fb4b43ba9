//! Topics over a subject: what arrives, and what is missed is counted.

#[path = "../support/mod.rs"]
mod rig;
#[path = "../../../tests/support/mod.rs"]
mod support;

use crate::rig::{Folder, Proxy, Running, Server, Settings, bridge};
use crate::support::harness::Lanes;
use crate::support::{unique_name, wait_at_most};
use shmq::Topic;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let cases = crate::cases![
        a_topic_arrives_on_the_other_side,
        what_a_cut_connection_misses_is_counted,
        topics_of_different_types_are_refused,
    ];
    support::harness::run(Lanes::Processors, &cases)
}

fn mirror(topic: &str, url: &str, more: &[&str], folder: &Folder, what: &str) -> Running {
    let mut command = bridge();
    command.args(["mirror", topic, "--subject", "ticks", "--server", url]).args(more);
    command.env("RUST_LOG", "info");
    let mut running = Running::start(command, what, folder.path());
    running.wait_for("mirror: carrying", rig::SOON);
    running
}

/// The value of a counter, from the port that shows them.
fn counter(running: &Running, name: &str) -> u64 {
    let output = running.output();
    let address =
        output.split("counters: http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address in the log");
    let mut connection = TcpStream::connect(address).expect("the port that the log names");
    write!(connection, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a connection");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let line = answer.lines().find(|line| line.starts_with(&format!("shmq_bridge_{name}"))).expect("the counter's line");
    line.rsplit(' ').next().expect("a value").parse().expect("a number")
}

const METRICS: [&str; 2] = ["--metrics", "127.0.0.1:0"];

fn a_topic_arrives_on_the_other_side() {
    // JetStream is not needed.
    let server = Server::start_with(Settings { jetstream: false, ..Settings::default() });
    let (here, there, folder) = (Topic::<u64>::new(256).unwrap(), Topic::<u64>::new(256).unwrap(), Folder::new());
    let subscriber = there.subscribe().unwrap();
    let mut back = mirror(there.name(), &server.url(), &["--back"], &folder, "back");
    let mut out = mirror(here.name(), &server.url(), &METRICS, &folder, "out");
    for number in 0..100 {
        here.publish(&number).unwrap();
        assert_eq!(subscriber.next_timeout(rig::SOON).unwrap(), number);
    }
    assert_eq!((counter(&out, "mirror_carried"), counter(&out, "mirror_missed")), (100, 0));
    assert_eq!(back.terminate(rig::SOON), 0);
    assert_eq!(out.terminate(rig::SOON), 0);
}

fn what_a_cut_connection_misses_is_counted() {
    let server = Server::start_with(Settings { jetstream: false, ..Settings::default() });
    let proxy = Proxy::start(server.address());
    let (here, there, folder) = (Topic::<u64>::new(64).unwrap(), Topic::<u64>::new(64).unwrap(), Folder::new());
    let subscriber = there.subscribe().unwrap();
    let back = mirror(there.name(), &server.url(), &[&["--back"][..], &METRICS].concat(), &folder, "back");
    let _out = mirror(here.name(), &proxy.url(), &METRICS, &folder, "out");
    here.publish(&0).unwrap();
    assert_eq!(subscriber.next_timeout(rig::SOON).unwrap(), 0);
    // Far more than topic, client and sockets hold.
    proxy.hold();
    for number in 1..200_000 {
        here.publish(&number).unwrap();
    }
    proxy.cut();
    proxy.heal();
    // Until a new one arrives.
    let (mut received, mut number) = (1, 200_000);
    let end = std::time::Instant::now() + rig::SOON;
    let last = loop {
        here.publish(&number).unwrap();
        number += 1;
        if let Ok(arrived) = subscriber.next_timeout(Duration::from_millis(20)) {
            received += 1;
            if arrived >= 200_000 {
                break arrived;
            }
        }
        assert!(std::time::Instant::now() < end, "nothing arrives after the cut");
    };
    // All before it arrived, or were counted.
    let missed = counter(&back, "mirror_missed");
    assert!(missed > 0);
    wait_at_most(
        rig::SOON,
        "a sum that is right",
        || received + counter(&back, "mirror_missed") == last + 1,
        || format!("{received} received, {} missed, of {}", counter(&back, "mirror_missed"), last + 1),
    );
}

fn topics_of_different_types_are_refused() {
    let server = Server::start_with(Settings { jetstream: false, ..Settings::default() });
    let (here, there, folder) = (Topic::<u64>::new(64).unwrap(), Topic::<f64>::new(64).unwrap(), Folder::new());
    let mut back = mirror(there.name(), &server.url(), &["--back"], &folder, "back");
    let _out = mirror(here.name(), &server.url(), &[], &folder, "out");
    here.publish(&1).unwrap();
    assert_eq!(back.wait(rig::SOON), 12, "{}", back.output());
    assert!(back.output().contains("u64") && back.output().contains("f64"), "{}", back.output());
    let mut none = Running::start(
        {
            let mut command = bridge();
            command.args(["mirror", &unique_name("none"), "--subject", "s", "--server", &server.url()]);
            command
        },
        "none",
        folder.path(),
    );
    assert_eq!(none.wait(rig::SOON), 3, "{}", none.output());
}
