//! Many tasks of one process wait, on one queue or each on its own: what a message costs.
//!
//! Member 0 is a blocking process: it sends to one queue after the other. It waits for the answer
//! before it sends again, or it streams.

use super::{Executor, Tokio};
use crate::flows::Contestant;
use crate::forked::{Case, Host, Seat};
use crate::ping_pong::open;
use shmq::{Queue, WaitStrategy::Block};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::Notify;

const WORDS: usize = 8;
const CAPACITY: usize = 64;
type Message = [u64; WORDS];

/// `tasks` share `queues` evenly, and answer each message.
pub fn answering(name: &'static str, tasks: usize, queues: usize) -> Contestant {
    (name, Box::new(Crowd { tasks, queues, answers: true }))
}

/// `tasks` share `queues` evenly, and take what is streamed to them.
pub fn taking(name: &'static str, tasks: usize, queues: usize) -> Contestant {
    (name, Box::new(Crowd { tasks, queues, answers: false }))
}

struct Crowd {
    tasks: usize,
    queues: usize,
    answers: bool,
}

/// The queues of the tasks, and that of the answers.
struct Queues(Vec<Queue<Message>>);

impl Host for Queues {
    fn unlink(&self) {
        self.0.iter().for_each(Host::unlink);
    }

    fn state(&self) -> String {
        let held: usize = self.0.iter().map(Queue::len).sum();
        format!("{} queues hold {held} messages", self.0.len())
    }
}

/// What the tasks of this process have taken.
#[derive(Default)]
struct Tally {
    waiting: AtomicU64,
    taken: AtomicU64,
    goal: AtomicU64,
    sum: AtomicU64,
    reached: Notify,
}

impl Tally {
    fn take(&self, message: &Message) {
        assert_eq!(message[0], message[WORDS - 1], "a torn message");
        self.sum.fetch_add(message[0], Relaxed);
        if self.taken.fetch_add(1, Relaxed) + 1 == self.goal.load(Relaxed) {
            self.reached.notify_one();
        }
    }
}

async fn serve(queue: Queue<Message>, answers: Option<Queue<Message>>, tally: Arc<Tally>) {
    tally.waiting.fetch_add(1, Relaxed);
    loop {
        let message = queue.get_async().await.expect("get");
        tally.take(&message);
        if let Some(answers) = &answers {
            answers.put(&message).expect("put");
        }
    }
}

fn names(name: &str, queues: usize) -> impl Iterator<Item = String> {
    (0..queues).map(move |at| format!("{name}-{at}"))
}

impl Case for Crowd {
    fn create(&self, name: &str) -> Box<dyn Host> {
        let create = |name: String| Queue::create(&name, CAPACITY).expect("create a queue");
        Box::new(Queues(names(name, self.queues + 1).map(create).collect()))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let mut queues: Vec<Queue<Message>> = names(name, self.queues + 1).map(|name| open(&name, Block)).collect();
        let answers = queues.pop().expect("one for the answers");
        if seat.produces() {
            seat.serve(|share, moved| {
                let mut sum = 0_u64;
                for turn in 0..share {
                    queues[turn as usize % self.queues].put(&[turn; WORDS]).expect("put");
                    if self.answers {
                        assert_eq!(answers.get().expect("get"), [turn; WORDS], "the answer of turn {turn}");
                    }
                    sum = sum.wrapping_add(turn);
                }
                moved.store(share, Relaxed);
                sum
            });
            return;
        }
        let (executor, tally) = (Tokio::new(), Arc::<Tally>::default());
        for task in 0..self.tasks {
            let answers = self.answers.then(|| answers.clone());
            executor.0.spawn(serve(queues[task % self.queues].clone(), answers, Arc::clone(&tally)));
        }
        executor.block_on(async {
            while tally.waiting.load(Relaxed) < self.tasks as u64 {
                tokio::task::yield_now().await;
            }
        });
        seat.serve(|share, moved| {
            tally.taken.store(0, Relaxed);
            tally.sum.store(0, Relaxed);
            tally.goal.store(share, Relaxed);
            executor.block_on(tally.reached.notified());
            moved.store(tally.taken.load(Relaxed), Relaxed);
            tally.sum.load(Relaxed)
        });
    }
}
