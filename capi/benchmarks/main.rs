//! The C interface beside Rust's, in one run: endpoints that stream values, and ping-pong, each between
//! two processes, each on a processor of its own. Both are measured in turn, again and again; what is
//! compared is the median.
//!
//! `make bench` runs it. `PEER` is the program of `peer.c`.

use shmq_rs::{Consumer, Message, Producer, Queue, WaitStrategy};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    is_ping_pong: bool,
    bytes: usize,
    strategy: u32,
    messages: u64,
    target: f64,
}

const CASES: [Case; 4] = [
    Case { name: "64 B by endpoints", is_ping_pong: false, bytes: 64, strategy: 0, messages: 3_000_000, target: 0.9 },
    Case { name: "8 B by endpoints", is_ping_pong: false, bytes: 8, strategy: 0, messages: 6_000_000, target: 0.6 },
    Case { name: "ping-pong, spinning", is_ping_pong: true, bytes: 8, strategy: 1, messages: 400_000, target: 0.95 },
    Case { name: "ping-pong, blocked", is_ping_pong: true, bytes: 8, strategy: 2, messages: 30_000, target: 0.95 },
];

fn strategy_of(number: u32) -> WaitStrategy {
    match number {
        1 => WaitStrategy::Spin,
        2 => WaitStrategy::Block,
        _ => WaitStrategy::default(),
    }
}

fn opened<T: Message>(name: &str, suffix: &str, strategy: u32) -> Queue<T> {
    let queue = Queue::<T>::builder().name(format!("{name}{suffix}")).wait_strategy(strategy_of(strategy));
    queue.open_timeout(Duration::from_secs(10)).expect("the bench made it")
}

trait Counted: Message<Owned = Self> + Copy {
    fn of(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Counted for u64 {
    fn of(number: u64) -> u64 {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl Counted for [u64; 8] {
    fn of(number: u64) -> [u64; 8] {
        [number, 0, 0, 0, 0, 0, 0, 0]
    }

    fn number(&self) -> u64 {
        self[0]
    }
}

/// One end in Rust: what `peer.c` is in C.
fn peer<T: Counted>(role: &str, name: &str, messages: u64, strategy: u32) {
    let producer = |suffix: &str| -> Producer<T> { opened(name, suffix, strategy).producer().expect("the put side") };
    let consumer = |suffix: &str| -> Consumer<T> { opened(name, suffix, strategy).consumer().expect("the get side") };
    let (mut sum, mut began) = (0, Instant::now());
    match role {
        "producer" => {
            let producer = producer("");
            return (0..messages).for_each(|n| producer.put(&T::of(n)).expect("put"));
        }
        "consumer" => {
            let consumer = consumer("");
            for n in 0..messages {
                sum += consumer.get().expect("got").number();
                if n == 0 {
                    began = Instant::now();
                }
            }
        }
        "ping" => {
            let (there, back) = (producer(""), consumer("-back"));
            for n in 0..messages {
                there.put(&T::of(n)).expect("put");
                sum += back.get().expect("got").number();
                if n == 0 {
                    began = Instant::now();
                }
            }
        }
        _ => {
            let (there, back) = (consumer(""), producer("-back"));
            return (0..messages).for_each(|_| back.put(&there.get().expect("got")).expect("put"));
        }
    }
    println!("{} {sum}", began.elapsed().as_nanos());
}

/// Keeps this process on one processor, if there is such: whether two processes share one decides more
/// about a wake than anything that is measured here.
fn pin(processor: usize) {
    // SAFETY: the set is plain bits, and outlives the call, which only reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

/// Nanoseconds a message, or a round trip.
fn measure(case: &Case, program: &str, round: usize) -> f64 {
    let name = format!("capi-bench-{}-{round}", std::process::id());
    let suffixes: &[&str] = if case.is_ping_pong { &["", "-back"] } else { &[""] };
    fn made<T: Message + 'static>(name: String) -> Box<dyn std::any::Any> {
        Box::new(Queue::<T>::create(name, 1024).expect("created"))
    }
    let _kept: Vec<_> =
        suffixes
            .iter()
            .map(|suffix| {
                if case.bytes == 8 { made::<u64>(format!("{name}{suffix}")) } else { made::<[u64; 8]>(format!("{name}{suffix}")) }
            })
            .collect();
    let start = |role: &str, processor: usize, output: Stdio| {
        let numbers = [case.messages.to_string(), case.bytes.to_string(), case.strategy.to_string()];
        let mut command = Command::new(program);
        // SAFETY: the closure runs between fork and exec, and makes one system call.
        unsafe {
            command.pre_exec(move || {
                pin(processor);
                Ok(())
            })
        };
        command.arg(role).arg(&name).args(numbers).stdout(output).spawn().expect("it starts")
    };
    let roles = if case.is_ping_pong { ["ping", "pong"] } else { ["consumer", "producer"] };
    let (first, mut second) = (start(roles[0], 0, Stdio::piped()), start(roles[1], 1, Stdio::null()));
    let output = first.wait_with_output().expect("it ends");
    assert!(second.wait().expect("it ends").success() && output.status.success(), "{}: {program} failed", case.name);
    let text = String::from_utf8(output.stdout).expect("text");
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
    let (ns, sum) = (numbers.next().expect("a time"), numbers.next().expect("a sum"));
    assert_eq!(sum, case.messages * (case.messages - 1) / 2, "{}: messages are missing", case.name);
    ns as f64 / (case.messages - 1) as f64
}

/// Lowest, median, highest.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, messages, bytes, strategy] = &arguments[..] {
        let (messages, strategy) = (messages.parse().expect("a number"), strategy.parse().expect("a number"));
        return if bytes == "8" {
            peer::<u64>(role, name, messages, strategy)
        } else {
            peer::<[u64; 8]>(role, name, messages, strategy)
        };
    }
    let Ok(in_c) = std::env::var("PEER") else {
        return println!("skipped: PEER does not say where the program in C is; see `make bench`");
    };
    let in_rust = std::env::current_exe().expect("a path").to_string_lossy().into_owned();
    println!("| two processes | Rust, ns | C, ns | C / Rust speed | target |\n|---|---|---|---|---|");
    for case in CASES {
        let mut found = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            // In turn, so that what the machine does otherwise meets both.
            for which in [round % 2, 1 - round % 2] {
                found[which].push(measure(&case, if which == 0 { &in_rust } else { &in_c }, 2 * round + which));
            }
        }
        let [rust, c] = found.map(spread);
        let cell = |[low, median, high]: [f64; 3]| format!("{median:.1} ({low:.1} to {high:.1})");
        println!("| {} | {} | {} | {:.2} | {:.2} |", case.name, cell(rust), cell(c), rust[1] / c[1], case.target);
    }
}
