//! Many processes at one name: builders, openers, replacers, removers, and kills. A ledger records
//! which process is attached to which inode, and a mapping shows what became of its segment.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_words};
use crate::support::{PATIENCE, Rng, segment_exists, unique_name, wait_until};
use shmq::{CreateError, OpenError, Queue};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        one_name_never_leads_to_two_live_segments.leaves_temporaries(),
        one_name_taken_away_leaves_no_process_on_a_dead_segment.leaves_temporaries(),
    ]
}

/// Processes at a time, and how many are started in all.
const AT_A_TIME: usize = 8;
const PROCESSES: usize = 240;
/// Turns of each process before it leaves, unless it is killed.
const TURNS: u64 = 30;

/// Offset of the state word in a segment header, and its value after another segment was renamed
/// over it.
const STATE_OFFSET: usize = 0x10;
const DEAD: u32 = 3;

/// The segment that a process is attached to, in words that outlive it: the inode, and how often
/// that changed.
#[derive(Clone, Copy)]
struct Line {
    inode: &'static AtomicU64,
    changes: &'static AtomicU64,
}

impl Line {
    fn write(self, inode: u64) {
        self.inode.store(inode, SeqCst);
        self.changes.fetch_add(1, SeqCst);
    }
}

struct Ledger {
    lines: Vec<Line>,
    pids: &'static [AtomicU64],
    attached: &'static AtomicU64,
}

impl Ledger {
    fn new() -> Ledger {
        let words = shared_words(2 * PROCESSES);
        let lines = words.chunks_exact(2).map(|pair| Line { inode: &pair[0], changes: &pair[1] }).collect();
        Ledger { lines, pids: shared_words(PROCESSES), attached: &shared_words(1)[0] }
    }

    /// All live processes that are attached while the caller is must be attached to the same
    /// segment.
    fn expect_all_on(&self, inode: u64, mine: usize) {
        for (number, line) in self.lines.iter().enumerate().filter(|&(number, _)| number != mine) {
            let changes = line.changes.load(SeqCst);
            let theirs = line.inode.load(SeqCst);
            if theirs == 0 || theirs == inode || line.changes.load(SeqCst) != changes {
                continue;
            }
            // It was attached to another one at the time of the read, or killed before that: the
            // dead do not change their lines.
            let pid = self.pids[number].load(SeqCst) as i32;
            let is_dead =
                || !matches!(crate::support::process::state_and_group(pid), Some((state, _)) if state != 'Z' && state != 'X');
            let mut moved = false;
            wait_until(
                "a process to die or to go on",
                || {
                    moved = line.changes.load(SeqCst) != changes;
                    moved || is_dead()
                },
                || format!("process {pid} is attached to {theirs}, we to {inode}"),
            );
            assert!(!moved, "process {pid} was attached to {theirs} while we were to {inode}: two live segments behind one name");
        }
    }
}

/// The mapping that this process made last of the segment of that name: its inode, and the word
/// that holds its state.
fn attached_to(name: &str) -> (u64, &'static std::sync::atomic::AtomicU32) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    // address perms offset device inode path, and " (deleted)" once the name is gone. A replaced
    // file was mapped as a temporary.
    let found = maps.lines().find(|line| {
        let path = line.split_whitespace().nth(5).unwrap_or_default();
        path == format!("/dev/shm/shmq.{name}") || path.starts_with("/dev/shm/.shmq-")
    });
    let line = found.unwrap_or_else(|| panic!("nothing of {name} is mapped:\n{maps}"));
    let mut fields = line.split_whitespace();
    let start = usize::from_str_radix(fields.next().unwrap().split('-').next().unwrap(), 16).unwrap();
    let inode = fields.nth(3).unwrap().parse().unwrap();
    // SAFETY: the segment header lies at the start of a mapping that the caller's queue keeps; its
    // state is an aligned u32.
    (inode, unsafe { &*((start + STATE_OFFSET) as *const std::sync::atomic::AtomicU32) })
}

/// One process: attaches in a random way, checks the ledger, leaves, again and again.
fn take_turns(name: &str, mine: usize, ledger: &Ledger, taken_away: bool, rng: &mut Rng) {
    let settings = || Queue::<u64>::builder().name(name).capacity(3);
    for _ in 0..TURNS {
        let attached = match rng.below(if taken_away { 8 } else { 6 }) {
            0 | 1 => match settings().create() {
                Ok(queue) => Some(queue),
                Err(CreateError::AlreadyExists { in_use: true, .. }) => None,
                Err(error) => panic!("create: {error:?}"),
            },
            2 | 3 => match settings().open() {
                Ok(queue) => Some(queue),
                Err(OpenError::NotFound { .. } | OpenError::NotReady { .. }) => None,
                Err(error) => panic!("open: {error:?}"),
            },
            4 | 5 => match settings().open_or_create() {
                Ok(queue) => Some(queue),
                Err(error) => panic!("open_or_create: {error:?}"),
            },
            _ => match Queue::<u64>::unlink(name) {
                Ok(()) | Err(OpenError::NotFound { .. } | OpenError::NotReady { .. }) => None,
                Err(error) => panic!("unlink: {error:?}"),
            },
        };
        let Some(queue) = attached else { continue };
        let (inode, state) = attached_to(name);
        ledger.lines[mine].write(inode);
        ledger.attached.fetch_add(1, Relaxed);
        for _ in 0..1 + rng.below(3) {
            if !taken_away {
                ledger.expect_all_on(inode, mine);
            }
            // An attached process may find the name removed, but never its segment declared dead.
            assert_ne!(state.load(SeqCst), DEAD, "attached to {inode}, which was replaced");
            drop(queue.try_put(&inode));
            match queue.try_get() {
                Ok(message) => assert_eq!(message, inode, "a message from another segment"),
                Err(error) => drop(error),
            }
            if rng.chance(40) {
                std::thread::sleep(rng.duration_below(Duration::from_micros(500)));
            }
        }
        assert_ne!(state.load(SeqCst), DEAD, "attached to {inode}, which was replaced");
        ledger.lines[mine].write(0);
        drop(queue);
    }
}

fn storm(what: &'static str, taken_away: bool) {
    let mut rng = Rng::new(what);
    let name = unique_name("named");
    let ledger = Ledger::new();
    let mut running: Vec<Child> = Vec::new();
    let (mut started, mut killed) = (0, 0);
    while started < PROCESSES || !running.is_empty() {
        while running.len() < AT_A_TIME && started < PROCESSES {
            let (mine, mut its_rng) = (started, rng.split());
            running.push(fork("one who takes turns", || {
                ledger.pids[mine].store(u64::from(std::process::id()), SeqCst);
                take_turns(&name, mine, &ledger, taken_away, &mut its_rng);
            }));
            started += 1;
        }
        std::thread::sleep(rng.duration_below(Duration::from_millis(4)));
        let victim = running.swap_remove(rng.below(running.len() as u64) as usize);
        let was_killed = if rng.chance(70) { victim.kill_if_running() } else { victim.killed_or_succeeded() };
        killed += u32::from(was_killed);
    }
    let attached = ledger.attached.load(Relaxed);
    eprintln!("{started} processes, {killed} killed, attached {attached} times");
    assert!(killed > 10 && attached > 50, "a storm: {killed} killed, attached {attached} times");
    // Whatever they left does not block other processes, and goes with the last one that leaves.
    let queue: Queue<u64> = Queue::create(&name, 5).unwrap();
    queue.put_timeout(&1, PATIENCE).unwrap();
    drop(queue);
    assert!(!segment_exists(&name));
}

fn one_name_never_leads_to_two_live_segments() {
    storm("one name", false);
}

fn one_name_taken_away_leaves_no_process_on_a_dead_segment() {
    storm("one name taken away", true);
}
