//! A worker stopped between any two instructions of a task's life, from its sleep before the task
//! to its sleep after it; there the task is cancelled, killed or overdue, or the worker dies. Each
//! time the task has one outcome, which agrees with what was said and with how often it ran.
//!
//! `SHMQ_POOL_STEPS=500` for more places than the usual 8 of each kind.

use crate::cases;
use crate::support::harness::{Case, skip};
use crate::support::process::{is_asleep_on_a_futex, parent_of, send_signal, shared_words};
use crate::support::{BY_ITSELF, Rng, wait_until};
use shmq::{AsyncResult, Pool, TaskError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_worker_that_dies_anywhere_in_a_task,
        a_task_that_is_cancelled_anywhere,
        a_task_that_is_cancelled_anywhere_beside_a_worker_that_dies,
        a_task_that_is_killed_anywhere,
        a_worker_that_is_stopped_anywhere_under_a_limit,
    ]
}

fn places() -> usize {
    std::env::var("SHMQ_POOL_STEPS").map_or(8, |text| text.parse().expect("a number of places"))
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// How often the task ran: shared with the workers.
fn ran() -> &'static AtomicU64 {
    &WORDS.get_or_init(|| shared_words(1))[0]
}

fn task(n: u64) -> u64 {
    ran().fetch_add(1, SeqCst);
    n
}

/// A worker that stands still, traced by this thread.
struct Traced {
    pid: libc::pid_t,
}

enum Stop {
    Stands,
    Ended,
}

impl Traced {
    /// The only worker of the pool, asleep until a task comes.
    fn worker_of(pool: &Pool) -> Traced {
        let mut pid = 0;
        wait_until(
            "a worker that waits for tasks",
            || {
                pid = pool.worker_pids().first().map_or(0, |&pid| pid as libc::pid_t);
                pid != 0 && is_asleep_on_a_futex(pid)
            },
            || format!("{:?}", pool.worker_pids()),
        );
        if ptrace(libc::PTRACE_SEIZE, pid, 0) != 0 {
            skip("workers may not be traced here");
        }
        assert_eq!(ptrace(libc::PTRACE_INTERRUPT, pid, 0), 0);
        let traced = Traced { pid };
        assert!(matches!(traced.wait(), Stop::Stands));
        traced
    }

    /// Waits until it stands or has ended; what follows is known to the supervisor from then on.
    fn wait(&self) -> Stop {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        let found = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
        assert_eq!(found, self.pid, "{}", std::io::Error::last_os_error());
        if libc::WIFSTOPPED(status) { Stop::Stands } else { Stop::Ended }
    }

    /// Whether it has ended, waiting no longer than that.
    fn ends_within(&self, bound: Duration) -> bool {
        let begun = Instant::now();
        let mut status = 0;
        while begun.elapsed() < bound {
            // SAFETY: `status` is an int that the call may write.
            if unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL | libc::WNOHANG) } == self.pid {
                assert!(!libc::WIFSTOPPED(status));
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Executes so many instructions, or until `is_over`. Returns how many it were.
    fn step(&self, steps: usize, is_over: impl Fn() -> bool) -> usize {
        for step in 0..steps {
            if step % 256 == 0 && is_over() {
                return step;
            }
            assert_eq!(ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0), 0);
            assert!(matches!(self.wait(), Stop::Stands), "it ended by itself");
        }
        steps
    }

    /// Lets it run, unless it was ended meanwhile: a supervisor may be late on a busy machine.
    fn go_on(self) {
        if ptrace(libc::PTRACE_DETACH, self.pid, 0) != 0 {
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ESRCH));
            assert!(matches!(self.wait(), Stop::Ended));
        }
    }

    fn kill(self) {
        // SAFETY: kill takes two numbers. The worker is traced, so its pid is its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        assert!(matches!(self.wait(), Stop::Ended));
    }
}

fn ptrace(request: libc::c_uint, pid: libc::pid_t, data: usize) -> i64 {
    // SAFETY: these requests read and write no memory of this process.
    unsafe { libc::ptrace(request, pid, 0, data) }
}

fn pool(builder: shmq::PoolBuilder) -> Pool {
    ran();
    builder.workers(1).build().unwrap()
}

/// Instructions of a whole task, of a pool like that.
fn length_of_task(pool: &Pool, begin: impl Fn(&Traced)) -> usize {
    const ENDLESS: usize = 3_000_000;
    let worker = Traced::worker_of(pool);
    begin(&worker);
    let result = pool.apply_async(task, 0).unwrap();
    let steps = worker.step(ENDLESS, || result.is_ready());
    assert!(steps < ENDLESS);
    // Behind the result it releases its lease, and goes to sleep.
    let more = steps / 10;
    worker.step(more, || false);
    send_signal(parent_of(worker.pid as u32) as libc::pid_t, libc::SIGCONT);
    worker.go_on();
    assert_eq!(result.get(), Ok(0));
    steps + more
}

/// Stops the worker at places of its way through a task, and has a task ended there in some way.
fn at_places(pool: &Pool, what: &'static str, end: impl Fn(Traced, &AsyncResult<u64>, &Pool) -> String) {
    at_places_beside(pool, what, |_| {}, end);
}

/// The same, with something to do before each task.
fn at_places_beside(
    pool: &Pool,
    what: &'static str,
    begin: impl Fn(&Traced),
    end: impl Fn(Traced, &AsyncResult<u64>, &Pool) -> String,
) {
    let length = length_of_task(pool, &begin);
    // In the first half the task begins and ends; in the second its result is put.
    let length = if what == DEATHS { length } else { length / 2 };
    let mut rng = Rng::new(what);
    let mut outcomes = std::collections::BTreeMap::new();
    for n in 0..places() {
        ran().store(0, SeqCst);
        let worker = Traced::worker_of(pool);
        begin(&worker);
        let result = pool.apply_async(task, 7).unwrap();
        // One place in each part of the way.
        let part = length / places() + 1;
        let steps = n * part + rng.below(part as u64) as usize;
        worker.step(steps, || false);
        let outcome = end(worker, &result, pool);
        *outcomes.entry(outcome).or_insert(0) += 1;
        // The pool is whole, and nothing of that task comes later.
        if n % 8 == 0 {
            assert_eq!(pool.map(|n: u64| n * n, 0..3), Ok(vec![0, 1, 4]));
        }
    }
    println!("{what}, {length} instructions: {outcomes:?}");
    assert!(outcomes.len() > 1 || what == LIMITS && places() < 50, "{outcomes:?}");
    pool.close();
    pool.join().unwrap();
}

const DEATHS: &str = "deaths";
const LIMITS: &str = "limits";

/// The one outcome that there is, soon.
fn outcome(result: &AsyncResult<u64>) -> Result<u64, TaskError> {
    let first = result.get_timeout(BY_ITSELF);
    assert_eq!(result.get_timeout(Duration::ZERO), first);
    first
}

fn a_worker_that_dies_anywhere_in_a_task() {
    for retries in [0, 2] {
        let pool = pool(Pool::builder().retries(retries));
        at_places(&pool, DEATHS, |worker, result, _| {
            worker.kill();
            let outcome = outcome(result);
            let ran = ran().load(SeqCst);
            match outcome {
                Ok(7) if ran == 1 => "done once".to_owned(),
                Ok(7) if retries > 0 && ran == 2 => "done again".to_owned(),
                Err(TaskError::WorkerDied { attempts: 1, .. }) if retries == 0 && ran <= 1 => "died".to_owned(),
                other => panic!("{other:?}, ran {ran} times"),
            }
        });
    }
}

fn a_task_that_is_cancelled_anywhere() {
    at_places(&pool(Pool::builder()), "cancellations", |worker, result, _| {
        let was_cancelled = result.cancel();
        worker.go_on();
        match (was_cancelled, outcome(result)) {
            (true, Err(TaskError::Cancelled)) => {
                // It would run by now.
                std::thread::sleep(Duration::from_millis(1));
                assert_eq!(ran().load(SeqCst), 0);
                "cancelled".to_owned()
            }
            (false, Ok(7)) if ran().load(SeqCst) == 1 => "done".to_owned(),
            other => panic!("{other:?}, ran {ran:?} times", ran = ran()),
        }
    });
}

fn a_task_that_is_cancelled_anywhere_beside_a_worker_that_dies() {
    at_places(&pool(Pool::builder().retries(1)), "cancellations beside deaths", |worker, result, pool| {
        let was_cancelled = result.cancel();
        worker.kill();
        match (was_cancelled, outcome(result)) {
            (true, Err(TaskError::Cancelled)) => {
                assert_eq!(pool.apply(|n: u64| n, 1), Ok(1));
                assert_eq!(ran().load(SeqCst), 0);
                "cancelled".to_owned()
            }
            (false, Ok(7)) if (1..=2).contains(&ran().load(SeqCst)) => format!("ran {} times", ran().load(SeqCst)),
            other => panic!("{other:?}, ran {ran:?} times", ran = ran()),
        }
    });
}

fn a_task_that_is_killed_anywhere() {
    at_places(&pool(Pool::builder().retries(3)), "kills", |worker, result, pool| {
        let killed = pool.stats().killed;
        let was_ended = result.kill();
        let is_killed = was_ended && worker.ends_within(Duration::from_millis(200));
        if !is_killed {
            worker.go_on();
        }
        match (was_ended, outcome(result)) {
            (true, Err(TaskError::Cancelled)) => {
                if is_killed {
                    wait_until("its end known", || pool.stats().killed == killed + 1, || format!("{:?}", pool.stats()));
                    return "killed".to_owned();
                }
                // It had not begun; or the supervisor was late, and the worker has ended itself.
                if ran().load(SeqCst) == 0 { "cancelled".to_owned() } else { "killed late".to_owned() }
            }
            (false, Ok(7)) if ran().load(SeqCst) == 1 && !is_killed => "done".to_owned(),
            other => panic!("{other:?}, ran {ran:?} times", ran = ran()),
        }
    });
}

fn a_worker_that_is_stopped_anywhere_under_a_limit() {
    let limit = Duration::from_millis(30);
    let pool = pool(Pool::builder().retries(3).task_timeout(limit));
    // Single steps take longer than the limit: the supervisor stands still meanwhile.
    let signal = |worker: &Traced, signal| send_signal(parent_of(worker.pid as u32) as libc::pid_t, signal);
    at_places_beside(
        &pool,
        LIMITS,
        |worker| signal(worker, libc::SIGSTOP),
        |worker, result, pool| {
            let killed = pool.stats().killed;
            signal(&worker, libc::SIGCONT);
            let was_ended = worker.ends_within(limit * 10);
            if !was_ended {
                worker.go_on();
            }
            match outcome(result) {
                Err(TaskError::TimedOut { after, .. }) if after == limit => {
                    wait_until("its end known", || pool.stats().killed == killed + 1, || format!("{:?}", pool.stats()));
                    if was_ended { "ended".to_owned() } else { "ended late".to_owned() }
                }
                Ok(7) if !was_ended && ran().load(SeqCst) == 1 => "done".to_owned(),
                other => panic!("{other:?}, ran {ran:?} times", ran = ran()),
            }
        },
    );
}
