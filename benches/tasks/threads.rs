//! Two threads of one process, each with a runtime of its own: beside `tokio::sync::mpsc`.

use super::{Executor, Tokio};
use crate::flows::Contestant;
use crate::forked::{
    Case, Host, Seat,
    kernel::{run_on, separate_cores},
};
use shmq::Queue;
use std::sync::{Barrier, atomic::Ordering::Relaxed};
use tokio::sync::mpsc;

const WORDS: usize = 8;
type Message = [u64; WORDS];

/// One thread's ends of two channels: to the other thread, and from it.
trait Ends: Send + Sized + 'static {
    fn pair(capacity: usize) -> (Self, Self);
    fn send(&mut self, message: Message) -> impl Future<Output = ()>;
    fn receive(&mut self) -> impl Future<Output = Message>;
}

pub fn tokio_mpsc(capacity: usize, answers: bool) -> Contestant {
    ("tokio mpsc", Box::new(Threads::<TokioEnds> { capacity, answers, kind: Default::default() }))
}

pub fn queue(capacity: usize, answers: bool) -> Contestant {
    ("queue, tasks", Box::new(Threads::<QueueEnds> { capacity, answers, kind: Default::default() }))
}

struct TokioEnds(mpsc::Sender<Message>, mpsc::Receiver<Message>);

impl Ends for TokioEnds {
    fn pair(capacity: usize) -> (TokioEnds, TokioEnds) {
        let ((to, here), (back, there)) = (mpsc::channel(capacity), mpsc::channel(capacity));
        (TokioEnds(to, there), TokioEnds(back, here))
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("send");
    }

    async fn receive(&mut self) -> Message {
        self.1.recv().await.expect("receive")
    }
}

struct QueueEnds(Queue<Message>, Queue<Message>);

impl Ends for QueueEnds {
    fn pair(capacity: usize) -> (QueueEnds, QueueEnds) {
        let queue = || Queue::new(capacity).expect("create a queue");
        let (there, back) = (queue(), queue());
        (QueueEnds(there.clone(), back.clone()), QueueEnds(back, there))
    }

    async fn send(&mut self, message: Message) {
        self.0.put_async(&message).await.expect("put");
    }

    async fn receive(&mut self) -> Message {
        self.1.get_async().await.expect("get")
    }
}

struct Threads<C> {
    capacity: usize,
    answers: bool,
    kind: std::marker::PhantomData<fn() -> C>,
}

impl<C: Ends> Case for Threads<C> {
    fn create(&self, _: &str) -> Box<dyn Host> {
        Box::new(())
    }

    /// The only member has both threads.
    fn play(&self, seat: &Seat<'_>, _: &str) {
        let cores = separate_cores();
        seat.serve(|share, moved| {
            let (mut here, mut there) = C::pair(self.capacity);
            let answers = self.answers;
            let start = Barrier::new(2);
            let sum = std::thread::scope(|scope| {
                let other = scope.spawn(|| {
                    run_on(&cores[1..2]);
                    let executor = Tokio::new();
                    start.wait();
                    executor.block_on(async {
                        let mut sum = 0_u64;
                        for _ in 0..share {
                            let message = there.receive().await;
                            sum = sum.wrapping_add(message[WORDS - 1]);
                            if answers {
                                there.send(message).await;
                            }
                        }
                        sum
                    })
                });
                let one = scope.spawn(|| {
                    run_on(&cores[..1]);
                    let executor = Tokio::new();
                    start.wait();
                    executor.block_on(async {
                        for turn in 0..share {
                            here.send([turn; WORDS]).await;
                            if answers {
                                assert_eq!(here.receive().await, [turn; WORDS], "the answer of turn {turn}");
                            }
                        }
                    })
                });
                one.join().expect("the thread that sends");
                other.join().expect("the thread that receives")
            });
            assert_eq!(sum, (0..share).fold(0, u64::wrapping_add), "messages were lost, or came twice");
            moved.store(share, Relaxed);
            sum
        });
    }
}
