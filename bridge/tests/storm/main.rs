//! The promise under kills: two machines, a server between them, producers and workers; all of them
//! are killed at random, and the link is cut. A ledger says what became of each message.
//!
//! ```text
//!   machine A: 2 producers -> queue -> bridge out ==link==> server ==link==> bridge in -> queue -> 2 workers : machine B
//! ```
//!
//! In ordinary runs a sample; `cargo test --test storm -- --ignored` does all of it: 500 kills and
//! 50 cuts. `SHMQ_TEST_SEED` repeats the choices.

#[path = "../support/mod.rs"]
mod rig;
#[path = "../../../tests/support/mod.rs"]
mod support;

use crate::rig::running::{command_after, role};
use crate::rig::{Folder, Ledger, Machine, Network, Running, Settings, bridge};
use crate::support::harness::Lanes;
use crate::support::{Rng, wait_at_most};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    rig::roles::take_role();
    let cases = crate::cases![
        nothing_is_lost_or_doubled_in_a_sample_of_kills_and_cuts,
        nothing_is_lost_with_the_old_server,
        nothing_is_lost_or_doubled_in_500_kills_and_50_cuts.ignored(),
    ];
    support::harness::run(Lanes::One, &cases)
}

trait Long {
    fn ignored(self) -> Self;
}

impl Long for support::harness::Case {
    fn ignored(self) -> Self {
        support::harness::Case { ignored: true, bound: Duration::from_secs(3000), ..self }
    }
}

fn nothing_is_lost_or_doubled_in_a_sample_of_kills_and_cuts() {
    let report = Storm { kills: 40, cuts: 4, name: "sample" }.run(Settings::default());
    assert!(report.ledger.doubled().is_empty(), "{}", report.ledger.summary());
}

fn nothing_is_lost_or_doubled_in_500_kills_and_50_cuts() {
    let report = Storm { kills: 500, cuts: 50, name: "storm" }.run(Settings::default());
    assert!(report.ledger.doubled().is_empty(), "{}", report.ledger.summary());
}

/// 2.9.10 "works" only: the server itself is not killed, since it may leave messages undeliverable
/// in its store then.
fn nothing_is_lost_with_the_old_server() {
    let settings = Settings { binary: rig::server::old(), ..Settings::default() };
    let report = Storm { kills: 12, cuts: 2, name: "old" }.run_sparing_the_server(settings);
    assert!(report.ledger.doubled().is_empty(), "{}", report.ledger.summary());
}

struct Storm {
    kills: u64,
    cuts: u64,
    name: &'static str,
}

struct Report {
    ledger: Ledger,
}

/// A process that is started again whenever it was killed.
struct Party {
    what: String,
    start: Box<dyn Fn() -> Running>,
    running: Running,
    kills: u64,
}

impl Party {
    fn new(what: &str, start: impl Fn() -> Running + 'static) -> Party {
        Party { what: what.to_string(), running: start(), start: Box::new(start), kills: 0 }
    }

    fn kill(&mut self) {
        self.running.kill();
        self.kills += 1;
    }

    fn start(&mut self) {
        self.running = (self.start)();
    }

    /// It runs for ever, unless it is killed.
    #[track_caller]
    fn check(&mut self) {
        if self.running.has_ended() {
            let code = self.running.wait(Duration::ZERO);
            panic!("{} ended by itself, with {code}: {}", self.what, self.running.end_of_log());
        }
    }
}

const STREAM: &str = "JOBS";

/// Segments that are removed at the end, where the machines are this one.
struct Names(Vec<String>);

impl Drop for Names {
    fn drop(&mut self) {
        self.0.iter().for_each(|name| drop(shmq::Queue::<[u8]>::unlink(name)));
    }
}

impl Storm {
    fn run(self, settings: Settings) -> Report {
        self.carry_out(settings, true)
    }

    fn run_sparing_the_server(self, settings: Settings) -> Report {
        self.carry_out(settings, false)
    }

    fn carry_out(self, settings: Settings, server_too: bool) -> Report {
        let mut rng = Rng::new(self.name);
        let folder = Folder::new();
        let mut network = Network::new(2, settings);
        eprintln!("machines are {}", if network.has_namespaces() { "network namespaces" } else { "ports of this machine" });
        let (from, to) = (crate::support::unique_name("from"), crate::support::unique_name("to"));
        let _names = Names(vec![from.clone(), to.clone(), format!("{from}.bridge-out"), format!("{to}.bridge-in")]);
        let mut parties = Vec::new();
        for number in 0..2u64 {
            let (a, b) = (&network.machines[0], &network.machines[1]);
            parties.push(producer(a, &from, number, folder.path()));
            parties.push(worker(b, &to, number, folder.path()));
        }
        // Each queue is there once a process of its machine has it.
        wait_for_files(folder.path(), &["put.0"]);
        make_queue(&network.machines[1], &to, folder.path());
        parties.push(out(&network.machines[0], &from, folder.path()));
        parties[4].running.wait_for("carrying", rig::SOON);
        parties.push(inward(&network.machines[1], &to, folder.path()));
        let (mut kills, mut cuts, mut server_kills, mut links_down) = (0, 0, 0, [None::<Instant>; 2]);
        while kills < self.kills || cuts < self.cuts {
            std::thread::sleep(rng.duration_below(Duration::from_millis(200)));
            heal(&network.machines, &mut links_down);
            parties.iter_mut().for_each(Party::check);
            if rng.below(self.kills + self.cuts) < self.cuts {
                if cuts < self.cuts {
                    cuts += 1;
                    let machine = rng.below(2) as usize;
                    network.machines[machine].cut();
                    links_down[machine] = Some(Instant::now() + rng.duration_below(Duration::from_millis(600)));
                }
                continue;
            }
            if kills == self.kills {
                continue;
            }
            kills += 1;
            // The bridges are what is tested: they are killed most.
            match rng.below(10) {
                0 if server_too => {
                    network.server.kill();
                    std::thread::sleep(rng.duration_below(Duration::from_millis(100)));
                    network.server.restart();
                    server_kills += 1;
                }
                draw => {
                    let which = match draw {
                        0..=3 => 4,
                        4..=7 => 5,
                        _ => rng.below(4) as usize,
                    };
                    parties[which].kill();
                    std::thread::sleep(rng.duration_below(Duration::from_millis(60)));
                    parties[which].start();
                }
            }
        }
        network.machines.iter().for_each(Machine::heal);
        // The producers end; what they have put arrives.
        let producers: Vec<u64> = [0, 2].map(|place| parties[place].kills).to_vec();
        [0, 2].into_iter().for_each(|place| parties[place].running.kill());
        let mut ledger = Ledger::read(folder.path());
        let worker_kills = parties[1].kills + parties[3].kills;
        let end = Instant::now() + 3 * rig::SOON;
        while ledger.unfinished().len() as u64 > worker_kills || !ledger.unseen().is_empty() {
            [1, 3, 4, 5].into_iter().for_each(|place| parties[place].check());
            if Instant::now() > end {
                let logs = [4, 5].map(|place: usize| parties[place].running.end_of_log());
                panic!("not all arrived: {}\n{}", ledger.summary(), logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
            ledger = Ledger::read(folder.path());
        }
        // What would come a second time comes now: the ack wait passes.
        std::thread::sleep(Duration::from_secs(4));
        for place in [4, 5] {
            let party = &mut parties[place];
            assert_eq!(party.running.terminate(rig::SOON), 0, "{}", party.running.end_of_log());
        }
        ledger = Ledger::read(folder.path());
        let each: Vec<String> = parties.iter().map(|party| format!("{} {}", party.what, party.kills)).collect();
        eprintln!("kills: {} ({}, server {server_kills}), cuts: {cuts}; {}", kills, each.join(", "), ledger.summary());
        // A producer that is killed between its note and its put may have put it or not; no other.
        let in_doubt = ledger.meant.len() - ledger.put.len();
        assert!(in_doubt as u64 <= producers.iter().sum::<u64>() + 2, "{}", ledger.summary());
        assert!(ledger.put.len() > 100, "too little happened: {}", ledger.summary());
        assert!(ledger.unseen().is_empty() && ledger.unknown().is_empty(), "{}", ledger.summary());
        assert!(ledger.unfinished().len() as u64 <= worker_kills, "{}", ledger.summary());
        Report { ledger }
    }
}

fn heal(machines: &[Machine], links_down: &mut [Option<Instant>; 2]) {
    for (machine, until) in machines.iter().zip(links_down) {
        if until.is_some_and(|until| Instant::now() >= until) {
            machine.heal();
            *until = None;
        }
    }
}

fn wait_for_files(folder: &Path, names: &[&str]) {
    let met = || names.iter().all(|name| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.len() >= 64));
    wait_at_most(rig::SOON, "the first message", met, || format!("{names:?}"));
}

fn producer(machine: &Machine, queue: &str, number: u64, folder: &Path) -> Party {
    let arguments = [
        ("QUEUE", queue.to_string()),
        ("LOG", folder.join(format!("put.{number}")).display().to_string()),
        ("FIRST", (number << 40).to_string()),
        ("COUNT", (1u64 << 40).to_string()),
        ("PAUSE_US", "500".to_string()),
    ];
    party(machine, "produce", &format!("producer-{number}"), arguments.to_vec(), folder)
}

fn worker(machine: &Machine, queue: &str, number: u64, folder: &Path) -> Party {
    let log = folder.join(format!("done.{number}")).display().to_string();
    let arguments = [("QUEUE", queue.to_string()), ("LOG", log), ("PAUSE_US", "50".to_string())];
    party(machine, "work", &format!("worker-{number}"), arguments.to_vec(), folder)
}

fn party(machine: &Machine, kind: &'static str, what: &str, arguments: Vec<(&'static str, String)>, folder: &Path) -> Party {
    let (prefix, folder, named) = (machine.prefix.clone(), folder.to_path_buf(), what.to_string());
    Party::new(what, move || Running::start(role(kind, &prefix, &arguments), &named, &folder))
}

fn make_queue(machine: &Machine, queue: &str, folder: &Path) {
    let make = role("make", &machine.prefix, &[("QUEUE", queue.to_string())]);
    let mut running = Running::start(make, "make", folder);
    assert_eq!(running.wait(rig::SOON), 0, "{}", running.output());
}

fn out(machine: &Machine, queue: &str, folder: &Path) -> Party {
    bridge_party(machine, "out", queue, &["--create", "--ack-timeout", "2s"], folder)
}

fn inward(machine: &Machine, queue: &str, folder: &Path) -> Party {
    bridge_party(machine, "in", queue, &["--ack-wait", "2s"], folder)
}

fn bridge_party(machine: &Machine, direction: &'static str, queue: &str, more: &[&str], folder: &Path) -> Party {
    let mut arguments: Vec<String> =
        [direction, queue, "--stream", STREAM, "--server", &machine.url, "--connect-timeout", "100s"].map(String::from).to_vec();
    arguments.extend(more.iter().map(|argument| argument.to_string()));
    let (prefix, folder) = (machine.prefix.clone(), folder.to_path_buf());
    Party::new(&format!("bridge-{direction}"), move || {
        let mut command = command_after(&prefix, bridge().get_program());
        command.args(&arguments).env("RUST_LOG", "info");
        Running::start(command, &format!("bridge-{direction}"), &folder)
    })
}
