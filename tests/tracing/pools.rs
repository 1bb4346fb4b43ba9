//! A subscriber in a program with a pool: its locks, while the program forks, and its panics, in
//! the pool's own thread.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{fork, parent_of, send_signal};
use crate::support::{BY_ITSELF, wait_until};
use shmq::{Pool, PoolError, Process, Queue, TaskError, inspect};
use std::process;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

pub fn cases() -> Vec<Case> {
    cases![
        children_find_the_locks_of_a_subscriber_free,
        a_pool_whose_thread_dies_fails_and_says_why,
        deaths_and_shortages_of_workers_are_reported,
    ]
}

/// Calls a function at each event, with its text.
struct Calls(fn(String));

impl Subscriber for Calls {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = crate::Words(event.metadata().level().to_string());
        event.record(&mut words);
        (self.0)(words.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn subscribe(call: fn(String)) {
    tracing::subscriber::set_global_default(Calls(call)).expect("the first subscriber of this process");
}

/// A subscriber that holds a lock for a while, like one that writes to a slow file. When a child is
/// forked, the holder must not be a thread that the child lacks.
fn children_find_the_locks_of_a_subscriber_free() {
    static LOG: Mutex<()> = Mutex::new(());
    subscribe(|_| {
        let _writing = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        thread::sleep(Duration::from_millis(1));
    });
    let pool = Pool::new(1).unwrap();
    let empty = Queue::<u64>::new(1).unwrap();
    for _ in 0..200 {
        // Gives the pool's thread something to do, and then nothing.
        let task = pool.apply_async(|n: u64| n, 1).unwrap();
        let child = Process::spawn(|| {
            let _ = empty.get_timeout(Duration::from_millis(1));
        })
        .unwrap();
        let ended = child.join_timeout(BY_ITSELF).unwrap();
        if ended.is_none() {
            child.kill().unwrap();
        }
        assert!(ended.is_some_and(|status| status.success()), "a child waits for a lock that a thread of its parent's had");
        assert_eq!(task.get(), Ok(1));
    }
}

/// The pool's own thread catches the panics of everything that the program gave to the pool. It
/// does not know about a subscriber: if that panics, the thread ends, and must not leave a caller
/// waiting. A process that dies in the pool's queue of results makes the subscriber emit an event.
fn a_pool_whose_thread_dies_fails_and_says_why() {
    subscribe(|_| {
        if thread::current().name() == Some("shmq-pool") {
            panic!("the subscriber's panic");
        }
    });
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(|n: u64| n, 1), Ok(1));
    let (sender, receiver) = mpsc::channel();
    let never = |n: u64| -> u64 {
        loop {
            thread::park_timeout(Duration::from_secs(n));
        }
    };
    let waits = pool.apply_async_then(never, 1, move |result| drop(sender.send(result))).unwrap();
    let mut items = pool.imap(never, 0..3).unwrap();
    let ours = |found: &inspect::Found| {
        let attached = found.inspector.as_ref().map(|inspector| inspector.snapshot().participants);
        attached.is_ok_and(|all| all.iter().any(|participant| participant.pid == process::id()))
    };
    let queues: Vec<String> = inspect::list().unwrap().into_iter().filter(ours).map(|found| found.name).collect();
    assert_eq!(queues.len(), 3, "tasks, results and the board: {queues:?}");
    fork("one that dies with a lease of each queue of the pool", || {
        // The board is none.
        let queues: Vec<_> = queues.iter().filter_map(|name| Queue::<[u8]>::open(name).ok()).collect();
        assert_eq!(queues.len(), 2, "a pool's queues are opened");
        for queue in &queues {
            // The pool's thread takes messages, too.
            let lease = loop {
                queue.put(b"not a message of the pool's").expect("room");
                if let Ok(lease) = queue.try_lease() {
                    break lease;
                }
            };
            std::mem::forget(lease);
        }
        // Nothing is dropped.
        crate::support::process::exit_now(0);
    })
    .expect_success();
    wait_until("the failure", || waits.is_ready(), || format!("{pool:?}"));
    let Err(TaskError::Broken { why }) = waits.get() else { panic!("{:?}", waits.get()) };
    assert!(why.contains("the subscriber's panic"), "{why}");
    assert_eq!(receiver.recv_timeout(BY_ITSELF), Ok(Err(TaskError::Broken { why: why.clone() })));
    assert_eq!(items.next(), Some(Err(TaskError::Broken { why: why.clone() })));
    assert!(matches!(pool.apply_async(|n: u64| n, 1), Err(TaskError::Broken { .. })));
    drop(items);
    match pool.join() {
        Err(PoolError::Failed(TaskError::Broken { why: said })) => assert_eq!(said, why),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.worker_pids(), []);
    drop(pool);
}

/// Limits the number of open descriptors of a process.
fn limit_descriptors(pid: u32, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: 1000 };
    // SAFETY: the limit outlives the call, which only reads it.
    assert_eq!(unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) }, 0);
}

fn deaths_and_shortages_of_workers_are_reported() {
    static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    subscribe(|text| HEARD.lock().unwrap_or_else(PoisonError::into_inner).push(text));
    let heard = |text: String| {
        let has = || HEARD.lock().unwrap_or_else(PoisonError::into_inner).contains(&text);
        wait_until(&text, has, || format!("{HEARD:?}"));
    };
    let pool = Pool::new(2).unwrap();
    let worker = pool.worker_pids()[0];
    let supervisor = parent_of(worker);
    limit_descriptors(supervisor, 3);
    send_signal(worker as i32, libc::SIGKILL);
    heard(format!("WARN message=a pool's worker died pid={worker} status=signal: 9 (SIGKILL)"));
    heard(
        "WARN message=a pool has fewer workers than asked for missing=1 asked=2 call=\"socket to a pool's worker\" \
         error=Too many open files (os error 24)"
            .to_owned(),
    );
    limit_descriptors(supervisor, 1000);
    heard("INFO message=a pool has as many workers as asked for asked=2".to_owned());
    pool.close();
    pool.join().unwrap();
}
