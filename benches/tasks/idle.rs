//! What tasks cost while nothing happens, and what it costs one to begin and to end waiting.

use super::{Executor, Tokio};
use crate::forked::kernel::{cpu_nanos, now_nanos};
use serde_json::{Value, json};
use shmq::Queue;
use std::{
    fmt,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

/// The share of a core that a thousand tasks on one queue may use.
const MOST: f64 = 0.001;

/// Figures without a rival.
pub struct Idle {
    /// What waits, and the share of a core that this process used meanwhile.
    shares: Vec<(&'static str, f64, Option<f64>)>,
    /// Nanoseconds: lower quartile, median, upper quartile.
    costs: Vec<(&'static str, [f64; 3])>,
}

impl Idle {
    /// Starts threads: to be called when all is forked that is to be.
    pub fn measure(length: Duration, turns: usize) -> Idle {
        let shares = [("1,000 tasks on one queue", 1000, 1, Some(MOST)), ("1,000 tasks on 1,000 queues", 1000, 1000, None)]
            .into_iter()
            .map(|(name, tasks, queues, most)| (name, share_of_a_core(tasks, queues, length), most))
            .collect();
        Idle { shares, costs: costs(turns) }
    }

    pub fn misses(&self) -> usize {
        self.shares.iter().filter(|(_, share, most)| most.is_some_and(|most| *share > most)).count()
    }

    pub fn json(&self) -> Value {
        let shares =
            self.shares.iter().map(|(name, share, most)| json!({ "name": name, "share_of_a_core": share, "most": most }));
        let costs = self.costs.iter().map(|(name, nanos)| json!({ "name": name, "nanos": nanos }));
        json!({ "idle": shares.collect::<Vec<_>>(), "costs": costs.collect::<Vec<_>>() })
    }
}

/// CPU time of this process while `tasks` wait and nothing comes.
fn share_of_a_core(tasks: usize, queues: usize, length: Duration) -> f64 {
    let queues: Vec<Queue<u64>> = (0..queues).map(|_| Queue::new(16).expect("create a queue")).collect();
    let executor = Tokio::new();
    for task in 0..tasks {
        let queue = queues[task % queues.len()].clone();
        executor.0.spawn(async move { queue.get_async().await.expect("get") });
    }
    executor.block_on(async {
        for _ in 0..2 * tasks {
            tokio::task::yield_now().await;
        }
    });
    // The reactor has registered by then, and has scanned once for dead processes.
    std::thread::sleep(length / 4);
    let (cpu, start) = (cpu_nanos(), now_nanos());
    std::thread::sleep(length);
    (cpu_nanos() - cpu) as f64 / (now_nanos() - start) as f64
}

/// What a task pays to wait, and to end that, in the thread that polls.
fn costs(turns: usize) -> Vec<(&'static str, [f64; 3])> {
    let queue = Queue::<u64>::new(16).expect("create a queue");
    let mut context = Context::from_waker(Waker::noop());
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    let mut measure = |begins: &mut Vec<u64>, ends: &mut Vec<u64>| {
        for _ in 0..turns {
            // The reactor sleeps again by then.
            std::thread::sleep(Duration::from_micros(200));
            let start = now_nanos();
            let polled = {
                let mut get = pin!(queue.get_async());
                assert!(get.as_mut().poll(&mut context).is_pending());
                now_nanos()
            };
            begins.push(polled - start);
            ends.push(now_nanos() - polled);
        }
    };
    measure(&mut begins, &mut ends);
    let mut first_of_all = pin!(queue.get_async());
    assert!(first_of_all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (mut more_begin, mut more_end) = (Vec::new(), Vec::new());
    measure(&mut more_begin, &mut more_end);
    let clock: Vec<u64> = (0..turns.max(1)).map(|_| now_nanos().abs_diff(now_nanos())).collect();
    vec![
        ("a poll that is Pending, the queue's first", quartiles(begins)),
        ("the drop of the queue's only task", quartiles(ends)),
        ("a poll that is Pending, another task waits", quartiles(more_begin)),
        ("the drop of one of two tasks", quartiles(more_end)),
        ("of each of these, the clock", quartiles(clock)),
    ]
}

fn quartiles(mut nanos: Vec<u64>) -> [f64; 3] {
    nanos.sort_unstable();
    [1, 2, 3].map(|quarter| nanos[(nanos.len() - 1) * quarter / 4] as f64)
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nidle, share of a core")?;
        for (name, share, most) in &self.shares {
            let verdict = match most {
                Some(most) if share <= most => format!(" | <= {} %: met", most * 100.0),
                Some(most) => format!(" | <= {} %: MISSED", most * 100.0),
                None => String::new(),
            };
            writeln!(f, "  {name:<44}{:>8.3} %{verdict}", share * 100.0)?;
        }
        writeln!(f, "\nto wait, and not to wait any more, ns: median [quartiles]")?;
        for (name, [low, median, high]) in &self.costs {
            writeln!(f, "  {name:<44}{median:>8.0} [{low:.0}..{high:.0}]")?;
        }
        Ok(())
    }
}
