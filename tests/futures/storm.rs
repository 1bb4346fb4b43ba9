//! A storm: four processes, each with a runtime of tokio, put and get a million messages by futures
//! of which thousands are cancelled at random. Nothing is lost, nothing comes twice, and no message
//! waits long beside a task that could take it.
//!
//! ```text
//!   2 putters  --put_async, cancelled at random--> queue of 32 --get_async, cancelled at random--> 2 getters
//!       |                                            |                                  |
//!       +-- a heartbeat a process, every 5 ms --> watched by the case <-- a bit for each message
//! ```
//!
//! A stall is a time in which the queue was never empty, no message was taken, and the getters' own
//! heartbeats did not stop: so their executors ran, and were not starved by the machine. In the same
//! way for putters and room.

use crate::executors::yield_now;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word, shared_words};
use crate::support::{PATIENCE, Rng};
use futures::future::{Either, select};
use shmq::{GetError, Queue};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![a_storm_of_cancelled_futures_loses_and_doubles_nothing, a_storm_in_a_queue_for_one_message]
}

/// `SHMQ_TEST_MESSAGES` sets another number of messages.
fn messages() -> u64 {
    std::env::var("SHMQ_TEST_MESSAGES").map_or(1_000_000, |text| text.parse().expect("a number"))
}

const PUTTERS: u64 = 2;
const GETTERS: u64 = 2;
const TASKS: u64 = 16;
/// Futures that must have been cancelled while they waited, of a million messages.
const CANCELLED_OF_A_MILLION: u64 = 10_000;
/// No message waits longer beside an able waiter.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
const BEAT: Duration = Duration::from_millis(5);
/// A process whose heart has not beaten for that long was starved by the machine.
const STARVED: Duration = Duration::from_millis(40);

/// What all processes share.
#[derive(Clone, Copy)]
struct Board {
    /// A bit for each message that was taken.
    taken: &'static [AtomicU64],
    twice: &'static AtomicU64,
    cancelled: &'static AtomicU64,
    given_back: &'static AtomicU64,
    /// When the heart of each process beat last, in ns since `began`, and the longest pause since
    /// the watcher cleared it.
    beats: &'static [AtomicU64],
    pauses: &'static [AtomicU64],
    began: Instant,
}

impl Board {
    fn new(messages: u64) -> Board {
        let processes = (PUTTERS + GETTERS) as usize;
        Board {
            taken: shared_words(messages.div_ceil(64) as usize),
            twice: shared_word(),
            cancelled: shared_word(),
            given_back: shared_word(),
            beats: shared_words(processes),
            pauses: shared_words(processes),
            began: Instant::now(),
        }
    }

    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn note(&self, message: u64) {
        let bit = 1 << (message % 64);
        if self.taken[(message / 64) as usize].fetch_or(bit, Relaxed) & bit != 0 {
            self.twice.fetch_add(1, Relaxed);
        }
    }

    fn count(&self) -> u64 {
        self.taken.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum()
    }

    /// Beats until the runtime ends.
    async fn beat(self, process: usize) {
        loop {
            let now = self.now_ns();
            let before = self.beats[process].swap(now, Relaxed);
            if before != 0 {
                self.pauses[process].fetch_max(now - before, Relaxed);
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Have these processes run all the time since the last call of `clear`?
    fn ran(&self, processes: std::ops::Range<usize>) -> bool {
        let now = self.now_ns();
        processes.into_iter().all(|process| {
            let since = now.saturating_sub(self.beats[process].load(Relaxed));
            since.max(self.pauses[process].load(Relaxed)) < STARVED.as_nanos() as u64
        })
    }

    fn clear(&self, processes: std::ops::Range<usize>) {
        processes.into_iter().for_each(|process| self.pauses[process].store(0, Relaxed));
    }
}

/// Awaits a future, and may drop it while it waits, in one of several ways. `None`: it was dropped.
async fn perhaps_cancelled<F: Future + Unpin>(future: F, rng: &Mutex<Rng>, board: &Board) -> Option<F::Output> {
    enum How {
        Never,
        AfterYields(u64),
        AfterTime(Duration),
    }
    let how = {
        let mut rng = rng.lock().unwrap();
        match rng.below(100) {
            0..50 => How::AfterYields(rng.below(4)),
            50..60 => How::AfterTime(rng.duration_below(Duration::from_millis(3))),
            _ => How::Never,
        }
    };
    let mut future = future;
    let result = match how {
        How::Never => return Some(future.await),
        How::AfterYields(yields) => {
            let yields = std::pin::pin!(async {
                for _ in 0..yields {
                    yield_now().await;
                }
            });
            match select(&mut future, yields).await {
                Either::Left((result, _)) => Some(result),
                Either::Right(_) => None,
            }
        }
        How::AfterTime(time) => tokio::time::timeout(time, &mut future).await.ok(),
    };
    if result.is_none() {
        board.cancelled.fetch_add(1, Relaxed);
        // Some are dropped right after they were woken, without the poll.
        if rng.lock().unwrap().chance(30) {
            yield_now().await;
        }
    }
    drop(future);
    result
}

/// Puts its part of the messages.
async fn put(queue: Queue<u64>, from: u64, step: u64, messages: u64, rng: Rng, board: Board) {
    let rng = Mutex::new(rng);
    let mut message = from;
    while message < messages {
        let pause = rng.lock().unwrap().below(2_000);
        if pause == 0 {
            // The getters wait meanwhile.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        match perhaps_cancelled(queue.put_async(&message), &rng, &board).await {
            Some(Ok(())) => message += step,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

/// Takes messages until the queue is closed and drained.
async fn get(queue: Queue<u64>, rng: Rng, board: Board) {
    let rng = Mutex::new(rng);
    loop {
        let kind = rng.lock().unwrap().below(3_000);
        if kind == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if kind < 150 {
            // A lease, which may go without an `ack`: then another task is woken for its message.
            match perhaps_cancelled(queue.lease_async(), &rng, &board).await {
                Some(Ok(lease)) => {
                    let acks = rng.lock().unwrap().chance(50);
                    yield_now().await;
                    if acks {
                        let message = *lease;
                        lease.ack().unwrap();
                        board.note(message);
                    } else {
                        board.given_back.fetch_add(1, Relaxed);
                    }
                }
                Some(Err(GetError::Closed)) => return,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
            continue;
        }
        match perhaps_cancelled(queue.get_async(), &rng, &board).await {
            Some(Ok(message)) => {
                board.note(message);
                queue.task_done().unwrap();
            }
            Some(Err(GetError::Closed)) => return,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

fn process(
    what: &'static str,
    index: u64,
    board: Board,
    tasks: impl FnOnce(&mut Rng) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
) -> Child {
    let mut rng = Rng::new(what);
    for _ in 0..index {
        rng = rng.split();
    }
    fork(what, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let tasks = tasks(&mut rng);
        runtime.block_on(async move {
            let heart = tokio::spawn(board.beat(index as usize));
            let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
            for task in tasks {
                task.await.unwrap();
            }
            heart.abort();
        });
    })
}

/// Watches one side: since when it has been ready with nothing moving.
struct Watch {
    processes: std::ops::Range<usize>,
    moved: u64,
    since: Instant,
    longest: Duration,
    looks: u64,
    /// Looks at which the processes had been starved by the machine.
    blind: u64,
}

impl Watch {
    fn new(processes: std::ops::Range<usize>) -> Watch {
        Watch { processes, moved: 0, since: Instant::now(), longest: Duration::ZERO, looks: 0, blind: 0 }
    }

    /// `is_ready`: something is there to take, or room to put.
    fn look(&mut self, board: &Board, moved: u64, is_ready: bool) {
        let ran = board.ran(self.processes.clone());
        self.looks += 1;
        self.blind += u64::from(!ran);
        if moved != self.moved || !is_ready || !ran {
            self.moved = moved;
            self.since = Instant::now();
            board.clear(self.processes.clone());
        }
        self.longest = self.longest.max(self.since.elapsed());
    }
}

fn a_storm_of_cancelled_futures_loses_and_doubles_nothing() {
    storm(messages(), 32);
}

/// Each message is waited for, and so is each room.
fn a_storm_in_a_queue_for_one_message() {
    storm(messages() / 10, 1);
}

fn storm(messages: u64, capacity: usize) {
    let queue: Queue<u64> = Queue::new(capacity).unwrap();
    let board = Board::new(messages);
    let done = shared_word();
    let began = Instant::now();
    let putters: Vec<Child> = (0..PUTTERS)
        .map(|index| {
            let queue = queue.clone();
            process("a putter", index, board, move |rng| {
                let from = |task| index * TASKS + task;
                let put = |task| put(queue.clone(), from(task), PUTTERS * TASKS, messages, rng.split(), board);
                (0..TASKS).map(put).map(|task| Box::pin(task) as Pin<Box<dyn Future<Output = ()> + Send>>).collect()
            })
        })
        .collect();
    let getters: Vec<Child> = (0..GETTERS)
        .map(|index| {
            let queue = queue.clone();
            process("a getter", PUTTERS + index, board, move |rng| {
                let get = |_| get(queue.clone(), rng.split(), board);
                (0..TASKS).map(get).map(|task| Box::pin(task) as Pin<Box<dyn Future<Output = ()> + Send>>).collect()
            })
        })
        .collect();
    let watcher = fork("a watcher", || {
        let (mut gets, mut puts) = (Watch::new(PUTTERS as usize..4), Watch::new(0..PUTTERS as usize));
        while done.load(Acquire) == 0 {
            let stats = queue.stats();
            // What is on lease counts neither as taken nor as there.
            gets.look(&board, stats.gets + stats.redelivered, !queue.is_empty());
            puts.look(&board, stats.puts, !queue.is_full());
            std::thread::sleep(Duration::from_millis(2));
        }
        for (what, watch) in [("get", &gets), ("put", &puts)] {
            eprintln!("longest without a {what} {:?}, {} of {} looks blind", watch.longest, watch.blind, watch.looks);
        }
        assert!(gets.longest < LONGEST_WAIT, "a message waited {:?} beside able getters", gets.longest);
    });
    for (index, putter) in putters.into_iter().enumerate() {
        let mut putter = putter;
        let mut last = (board.count(), Instant::now());
        while !putter.has_ended() {
            std::thread::sleep(Duration::from_millis(50));
            let count = board.count();
            if count != last.0 {
                last = (count, Instant::now());
            }
            assert!(last.1.elapsed() < PATIENCE, "putter {index}: {count} of {messages} taken, and no more: {queue:?}");
        }
        putter.expect_success();
    }
    done.store(1, Release);
    watcher.expect_success();
    queue.join_timeout(PATIENCE).unwrap();
    queue.close();
    expect_all_succeed(getters);
    let (count, cancelled) = (board.count(), board.cancelled.load(Relaxed));
    let took = began.elapsed();
    eprintln!(
        "{count} of {messages} messages in {took:?}, {cancelled} futures cancelled, {} leases given back, {:?}",
        board.given_back.load(Relaxed),
        queue.stats()
    );
    assert_eq!((count, board.twice.load(Relaxed)), (messages, 0));
    assert!(cancelled >= CANCELLED_OF_A_MILLION * messages / 1_000_000, "{cancelled}");
    assert!(queue.is_empty());
}
