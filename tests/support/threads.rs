//! Threads that block: known to be asleep before a test goes on, and waited for with a bound.

use super::process::OneSleep;
use super::{PATIENCE, describe_segment, seed, wait_until};
use std::sync::Once;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A thread that was seen asleep in the call that it was asked to make.
pub struct Sleeper<R> {
    what: &'static str,
    thread: JoinHandle<R>,
}

/// Starts a thread, and returns once it sleeps in the kernel (or has finished).
#[track_caller]
pub fn start_and_wait_until_asleep<R: Send + 'static>(
    what: &'static str,
    run: impl FnOnce() -> R + Send + 'static,
) -> Sleeper<R> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // SAFETY: gettid has no preconditions.
        sender.send(unsafe { libc::gettid() }).expect("the starter waits for it");
        run()
    });
    let tid = receiver.recv().expect("the thread sends its number first");
    let sleeper = Sleeper { what, thread };
    let mut sleep = OneSleep::of(format!("/proc/self/task/{tid}"));
    wait_until(what, || sleep.is_long() || sleeper.thread.is_finished(), || format!("thread {tid} is awake"));
    sleeper
}

impl<R> Sleeper<R> {
    /// Has it returned already?
    pub fn has_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Its result.
    #[track_caller]
    pub fn join(self) -> R {
        let thread = self.thread;
        wait_until(self.what, || thread.is_finished(), || "still blocked".to_string());
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Ends the whole binary if a test hangs, since libtest would wait for ever. Prints what its
/// threads and queues are doing.
pub fn watch_for_hangs() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        std::thread::spawn(|| {
            std::thread::sleep(7 * PATIENCE);
            eprintln!("a test hangs (SHMQ_TEST_SEED={}); threads, named after their tests:", seed());
            for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
                let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default().trim().to_string();
                let state = read("stat");
                let state = state.rfind(')').and_then(|end| state[end + 1..].trim_start().chars().next()).unwrap_or('?');
                eprintln!("  {:15} state {state}, wchan {:?}, syscall {:?}", read("comm"), read("wchan"), read("syscall"));
            }
            for file in mapped_segments() {
                eprint!("{}", describe_segment(&file));
            }
            std::process::abort();
        });
    });
}

/// Segments that this process has mapped, and whose names still exist.
fn mapped_segments() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut files: Vec<String> = maps
        .lines()
        .filter_map(|line| Some(line[line.find("/dev/shm/shmq.")?..].to_string()))
        .filter(|file| std::fs::exists(file).unwrap_or(false))
        .collect();
    files.sort();
    files.dedup();
    files
}
