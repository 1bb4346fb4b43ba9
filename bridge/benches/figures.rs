//! Figures: messages per second through out + in on one machine, beside a bare `async-nats`
//! publisher and consumer of the same settings and ack form, interleaved in one run.
//!
//! ```text
//!   bridge:  producer -> queue -> bridge out -> stream -> bridge in -> queue -> consumer     4 processes
//!   bare:    publisher -> stream -> consumer                                                2 processes
//! ```
//!
//! Both: a work-queue stream in files, 1024 publishes under way with the server's ack for each,
//! pulls of 1000, an ack that the server confirms for each message. The time is from the first
//! message to the last one that arrived. `bare with headers` sends the headers that the bridge
//! adds, as well.
//!
//! `cargo bench --bench figures`, with SHMQ_NATS_SERVER; `-- --quick`: a tenth of the messages.

#[path = "../tests/support/mod.rs"]
mod rig;
#[path = "../../tests/support/mod.rs"]
mod support;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::{StreamExt, stream};
use rig::running::role;
use rig::{Admin, Folder, Running, Server, bridge, work_queue};
use shmq::Queue;
use std::process::Command;
use std::time::Duration;

const WINDOW: usize = 1024;
const PULL: usize = 1000;
const REPETITIONS: usize = 3;
const BOUND: Duration = Duration::from_secs(120);
const STREAM: &str = "FIGURES";

/// Bytes of a message, and how many are sent.
const SIZES: [(usize, usize); 3] = [(64, 60_000), (1024, 40_000), (64 << 10, 3_000)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Bridge,
    Bare,
    BareWithHeaders,
}

fn main() {
    match std::env::var(rig::roles::ROLE).as_deref() {
        Ok("put") => return put(),
        Ok("get") => return get(),
        Ok("publish") => return block_on(publish()),
        Ok("consume") => return block_on(consume()),
        _ => {}
    }
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    println!("| message | bridge | bare client | bridge / bare | bare with the same headers | bridge / that |");
    println!("|---|---|---|---|---|---|");
    for (bytes, count) in SIZES {
        let count = if is_quick { count / 10 } else { count };
        let ways = [Way::Bridge, Way::Bare, Way::BareWithHeaders];
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..REPETITIONS {
            for (way, rates) in ways.into_iter().zip(&mut rates) {
                rates.push(count as f64 / measure(way, bytes, count).as_secs_f64());
            }
        }
        let [bridge, bare, with_headers] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        let named = if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) };
        let (of_bare, of_headers) = (bridge / bare, bridge / with_headers);
        println!("| {named} | {bridge:.0}/s | {bare:.0}/s | {of_bare:.2} | {with_headers:.0}/s | {of_headers:.2} |");
    }
}

/// One transfer of `count` messages, on a server of its own.
fn measure(way: Way, bytes: usize, count: usize) -> Duration {
    let (server, folder) = (Server::start(), Folder::new());
    let admin = Admin::connect(&server.url());
    let mut started = Vec::new();
    let mut start = |command: Command, what: &str| started.push(Running::start(command, what, folder.path()));
    let arguments = |more: &[(&'static str, String)]| {
        let mut arguments = vec![("BYTES", bytes.to_string()), ("COUNT", count.to_string()), ("URL", server.url())];
        arguments.extend_from_slice(more);
        arguments
    };
    let (from, to) = (support::unique_name("figures-from"), support::unique_name("figures-to"));
    let took = match way {
        Way::Bridge => {
            let queue = |name: &str| {
                Queue::<[u8]>::builder().name(name).capacity_bytes(1_900_000).persist(true).create().expect("a queue")
            };
            let (_from, _to) = (queue(&from), queue(&to));
            let direction = |direction: &str, queue: &str, more: &[&str]| {
                let mut command = bridge();
                command.args([direction, queue, "--stream", STREAM, "--server", &server.url()]).args(more);
                command
            };
            start(direction("out", &from, &["--create"]), "out");
            started[0].wait_for("carrying", BOUND);
            let mut start = |command: Command, what: &str| started.push(Running::start(command, what, folder.path()));
            start(direction("in", &to, &[]), "in");
            started[1].wait_for("carrying", BOUND);
            let mut start = |command: Command, what: &str| started.push(Running::start(command, what, folder.path()));
            start(role("get", &[], &arguments(&[("QUEUE", to.clone())])), "get");
            start(role("put", &[], &arguments(&[("QUEUE", from.clone())])), "put");
            let took = timed(&mut started[2..]);
            for running in &mut started[..2] {
                assert_eq!(running.terminate(BOUND), 0, "{}", running.output());
            }
            took
        }
        Way::Bare | Way::BareWithHeaders => {
            admin.make(work_queue(STREAM));
            let headers = u32::from(way == Way::BareWithHeaders).to_string();
            start(role("consume", &[], &arguments(&[])), "get");
            start(role("publish", &[], &arguments(&[("HEADERS", headers)])), "put");
            timed(&mut started)
        }
    };
    if way == Way::Bridge {
        for name in [&from, &to, &format!("{from}.bridge-out"), &format!("{to}.bridge-in")] {
            let _ = Queue::<[u8]>::unlink(name);
        }
    }
    took
}

/// From the first message of the one to the last of the other, by the machine's clock.
fn timed(running: &mut [Running]) -> Duration {
    running.iter_mut().for_each(|running| assert_eq!(running.wait(BOUND), 0, "{}", running.output()));
    let moment = |running: &Running, word: &str| -> u128 {
        let output = running.output();
        let line = output.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{word}: {output}"));
        line[word.len()..].trim().parse().expect("a time")
    };
    Duration::from_nanos((moment(&running[0], "last") - moment(&running[1], "first")) as u64)
}

fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos()
}

fn argument(key: &str) -> String {
    std::env::var(format!("{}_{key}", rig::roles::ROLE)).unwrap_or_else(|_| panic!("{key} is not set"))
}

fn number(key: &str) -> usize {
    argument(key).parse().expect("a number")
}

fn put() {
    let queue = Queue::<[u8]>::open(argument("QUEUE")).expect("a queue");
    let producer = queue.producer().expect("the side is free");
    let message = vec![7; number("BYTES")];
    println!("first {}", now());
    (0..number("COUNT")).for_each(|_| producer.put_timeout(&message, BOUND).expect("room"));
}

fn get() {
    let queue = Queue::<[u8]>::open(argument("QUEUE")).expect("a queue");
    let consumer = queue.consumer().expect("the side is free");
    for _ in 0..number("COUNT") {
        drop(consumer.lease_timeout(BOUND).expect("a message"));
    }
    println!("last {}", now());
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(future);
}

async fn publish() {
    let client = async_nats::connect(argument("URL")).await.expect("a server");
    let jetstream = async_nats::jetstream::context::ContextBuilder::new().max_ack_inflight(WINDOW).build(client);
    let message = bytes::Bytes::from(vec![7; number("BYTES")]);
    let mut headers = HeaderMap::new();
    if number("HEADERS") == 1 {
        headers.insert("Shmq-Id", "00112233445566770000000000000000");
        headers.insert("Shmq-Type", "slice 1 1 [u8]");
        headers.insert("Shmq-Schema", "#0011223344556677");
    }
    println!("first {}", now());
    let sent = stream::iter(0..number("COUNT")).map(|_| {
        let (jetstream, message, headers) = (&jetstream, message.clone(), headers.clone());
        async move {
            let ack = match headers.is_empty() {
                true => jetstream.publish(STREAM, message).await,
                false => jetstream.publish_with_headers(STREAM, headers, message).await,
            };
            ack.expect("a connection").await.expect("the server's ack");
        }
    });
    sent.buffered(WINDOW).for_each(|()| async {}).await;
}

async fn consume() {
    let client = async_nats::connect(argument("URL")).await.expect("a server");
    let stream = async_nats::jetstream::new(client).get_stream(STREAM).await.expect("a stream");
    let config = pull::Config {
        durable_name: Some("bare".into()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: 20_000,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let messages = consumer.stream().max_messages_per_batch(PULL).messages().await.expect("a pull");
    let acked = messages.take(number("COUNT")).map(|message| async {
        message.expect("a message").double_ack().await.expect("a confirmed ack");
    });
    acked.buffered(WINDOW).for_each(|()| async {}).await;
    println!("last {}", now());
}
