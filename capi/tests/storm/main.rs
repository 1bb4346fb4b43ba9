//! A storm over one queue: putters in C, getters in Rust and in Python, leases in C++, killed with
//! SIGKILL at random and replaced. Two ledgers, which survive every kill, must balance.
//!
//! `make storm` runs it; `make storm KILLS=1000` as often as that. `STORM_PROGRAMS` is the folder of
//! the programs in C and C++, `PYTHON` an interpreter that has the package `shmq`: where there is
//! none, the Python part is skipped in words.
//!
//! | | a kill may |
//! |---|---|
//! | putter | put one message and not enter it |
//! | getter (by copy: at most once) | take one message and not enter it |
//! | lessee (at least once) | enter one message, which is delivered again |
//!
//! Nothing else is allowed: a message that was entered as put, and by no consumer, is lost, but for
//! one for each getter that was killed.

use shmq_rs::{GetError, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CAPACITY_BYTES: usize = 1 << 15;
/// For what must come by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const USUAL_KILLS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    PutterInC,
    GetterInRust,
    GetterInPython,
    LesseeInCpp,
}

struct Storm {
    name: String,
    folder: PathBuf,
    programs: PathBuf,
    python: String,
    next_putter: u64,
}

impl Storm {
    fn puts(&self) -> PathBuf {
        self.folder.join("puts")
    }

    fn takes(&self) -> PathBuf {
        self.folder.join("takes")
    }

    fn start(&mut self, role: Role) -> Child {
        let mut command = match role {
            Role::PutterInC => {
                let mut command = Command::new(self.programs.join("putter"));
                command.arg(&self.name).arg(self.puts()).arg(self.next_putter.to_string());
                self.next_putter += 1;
                command
            }
            Role::GetterInRust => {
                let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
                command.arg("getter").arg(&self.name).arg(self.takes());
                command
            }
            Role::GetterInPython => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storm/getter.py");
                let mut command = Command::new(&self.python);
                command.arg(script).arg(&self.name).arg(self.takes());
                command
            }
            Role::LesseeInCpp => {
                let mut command = Command::new(self.programs.join("lessee"));
                command.arg(&self.name).arg(self.takes());
                command
            }
        };
        command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{role:?}: {error}"))
    }
}

/// As `ledger.h`.
fn check_of(number: u64) -> u64 {
    let mixed = (number ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 29
}

fn number_of(message: &[u8]) -> u64 {
    let word = |at: usize| message.get(at..at + 8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight")));
    let (number, check) = (word(0), check_of(word(0)));
    let is_whole =
        message.len() as u64 == 16 + check % 300 && word(8) == check && message[16..].iter().all(|&byte| byte == check as u8);
    if is_whole { number } else { 0 }
}

fn getter(name: &str, ledger: &Path) -> ExitCode {
    let mut takes = OpenOptions::new().append(true).open(ledger).expect("a ledger");
    let queue = Queue::<[u8]>::open(name).expect("the storm's queue");
    loop {
        match queue.get() {
            Ok(message) => takes.write_all(&number_of(&message).to_le_bytes()).expect("entered"),
            Err(GetError::Closed) => return ExitCode::SUCCESS,
            Err(error) => panic!("getter: {error}"),
        }
    }
}

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

fn number_from_environment(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, ledger] = &arguments[..] {
        if role == "getter" {
            return getter(name, Path::new(ledger));
        }
    }
    let Some(programs) = std::env::var_os("STORM_PROGRAMS") else {
        println!("skipped: STORM_PROGRAMS does not say where putter and lessee are; `make storm` builds and runs them");
        return ExitCode::SUCCESS;
    };
    let folder = std::env::temp_dir().join(format!("shmq-storm-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let name = format!("capi-storm-{}", std::process::id());
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let storm = Storm { name, folder: folder.clone(), programs: programs.into(), python, next_putter: 1 };
    run(storm, number_from_environment("KILLS").unwrap_or(USUAL_KILLS));
    fs::remove_dir_all(folder).expect("removed");
    ExitCode::SUCCESS
}

fn run(mut storm: Storm, kills: u64) {
    let seed = number_from_environment("STORM_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64));
    println!("storm: {kills} kills, STORM_SEED={seed}");
    let mut rng = Rng(seed | 1);
    for ledger in [storm.puts(), storm.takes()] {
        fs::write(ledger, "").expect("an empty ledger");
    }
    let queue = Queue::<[u8]>::builder().name(&storm.name).capacity_bytes(CAPACITY_BYTES).create().expect("created");
    let mut roles = vec![Role::PutterInC, Role::PutterInC, Role::GetterInRust, Role::LesseeInCpp, Role::LesseeInCpp];
    let has_python = Command::new(&storm.python).args(["-c", "import shmq; shmq.BytesQueue"]).stderr(Stdio::null()).status();
    if has_python.is_ok_and(|status| status.success()) {
        roles.extend([Role::GetterInPython, Role::GetterInPython]);
    } else {
        println!("skipped: getters in Python, since {} has no package shmq", storm.python);
    }
    let mut running: Vec<(Role, Child)> = roles.iter().map(|&role| (role, storm.start(role))).collect();
    let mut killed = BTreeMap::<Role, u64>::new();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_micros(1000 + rng.below(20_000)));
        let at = rng.below(running.len() as u64) as usize;
        let (role, child) = &mut running[at];
        if let Some(status) = child.try_wait().expect("waited for") {
            panic!("{role:?} ended by itself: {status}");
        }
        child.kill().expect("killed");
        child.wait().expect("waited for");
        *killed.entry(*role).or_default() += 1;
        let role = *role;
        running[at].1 = storm.start(role);
    }
    // The end: no more puts; the consumers take the rest, and go when the queue is closed and drained.
    queue.close();
    let deadline = Instant::now() + PATIENCE;
    for (role, child) in &mut running {
        loop {
            match child.try_wait().expect("waited for") {
                Some(status) => break assert!(status.success(), "{role:?}: {status}"),
                None if Instant::now() > deadline => panic!("{role:?} does not end: {:?}", queue.stats()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    let left: Vec<u64> = std::iter::from_fn(|| queue.try_get().ok()).map(|message| number_of(&message)).collect();
    assert!(left.is_empty(), "consumers left {} messages in a closed queue", left.len());
    balance(&storm, &killed, kills);
}

fn entries(ledger: &Path) -> Vec<u64> {
    let bytes = fs::read(ledger).expect("a ledger");
    assert_eq!(bytes.len() % 8, 0, "half an entry");
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight"))).collect()
}

fn balance(storm: &Storm, killed: &BTreeMap<Role, u64>, kills: u64) {
    let (puts, takes) = (entries(&storm.puts()), entries(&storm.takes()));
    assert!(!takes.contains(&0), "a message was not what was put");
    let put: BTreeSet<u64> = puts.iter().copied().collect();
    let taken: BTreeSet<u64> = takes.iter().copied().collect();
    assert_eq!(put.len(), puts.len());
    let of = |role: Role| killed.get(&role).copied().unwrap_or(0);
    // One that its putter did not live to enter is the next after its last one.
    let mut last = BTreeMap::<u64, u64>::new();
    for number in &put {
        last.insert(number >> 32, number & 0xffff_ffff);
    }
    let not_entered: Vec<u64> = taken.difference(&put).copied().collect();
    for number in &not_entered {
        let n = number & 0xffff_ffff;
        assert_eq!(n, last.get(&(number >> 32)).copied().unwrap_or(0) + 1, "message {number:#x} was never put");
    }
    assert!(not_entered.len() as u64 <= of(Role::PutterInC), "{} messages were not entered", not_entered.len());
    let missing: Vec<u64> = put.difference(&taken).copied().collect();
    let by_copy = of(Role::GetterInRust) + of(Role::GetterInPython);
    assert!(missing.len() as u64 <= by_copy, "{} messages are lost, of {by_copy} getters killed: {missing:x?}", missing.len());
    let twice = takes.len() - taken.len();
    assert!(twice as u64 <= of(Role::LesseeInCpp), "{twice} messages were taken twice");
    assert!(put.len() as u64 > kills, "too few messages for a storm");
    println!(
        "storm: {} messages put, {} taken; by {killed:?}: {} put and not entered, {} not entered by a getter that was killed \
         behind its get (at most one each), {twice} delivered twice; the ledger balances",
        put.len(),
        taken.len(),
        not_entered.len(),
        missing.len()
    );
}
