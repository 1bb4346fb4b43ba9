//! Member 0 sends a message and waits for the answer, member 1 answers: tasks, and a loop over
//! epoll.

use super::Executor;
use crate::flows::Contestant;
use crate::forked::{Case, Host, Seat};
use crate::ping_pong::{Both, CAPACITY, open};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use shmq::{GetError, Queue, WaitStrategy, future::Readiness};
use std::{marker::PhantomData, os::fd::AsRawFd, sync::atomic::Ordering::Relaxed};

const WORDS: usize = 8;
type Message = [u64; WORDS];

pub fn tasks<E: Executor>(name: &'static str) -> Contestant {
    (name, Box::new(Tasks::<E>(PhantomData)))
}

pub fn readiness(name: &'static str) -> Contestant {
    (name, Box::new(ByReadiness))
}

/// Both members are tasks on an executor of their own.
struct Tasks<E>(PhantomData<E>);

/// Both members are event loops.
struct ByReadiness;

fn create(name: &str) -> Box<dyn Host> {
    let queue = |way| Queue::<Message>::create(format!("{name}-{way}"), CAPACITY).expect("create a queue");
    Box::new(Both(queue("out"), queue("back")))
}

/// The queue to send through, and that to receive from.
fn ends(seat: &Seat<'_>, name: &str) -> (Queue<Message>, Queue<Message>) {
    let queue = |way| open(&format!("{name}-{way}"), WaitStrategy::Adaptive);
    if seat.produces() { (queue("out"), queue("back")) } else { (queue("back"), queue("out")) }
}

impl<E: Executor> Case for Tasks<E> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        create(name)
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let (executor, (to, from)) = (E::new(), ends(seat, name));
        seat.serve(|share, moved| {
            let sum = executor.block_on(async {
                let mut sum = 0_u64;
                for turn in 0..share {
                    if seat.produces() {
                        to.put_async(&[turn; WORDS]).await.expect("put");
                    }
                    let message = from.get_async().await.expect("get");
                    assert_eq!(message, [turn; WORDS], "the message of turn {turn}");
                    if !seat.produces() {
                        to.put_async(&message).await.expect("put");
                    }
                    sum = sum.wrapping_add(message[WORDS - 1]);
                }
                sum
            });
            moved.store(share, Relaxed);
            sum
        });
    }
}

impl Case for ByReadiness {
    fn create(&self, name: &str) -> Box<dyn Host> {
        create(name)
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let (to, from) = ends(seat, name);
        let mut readable = from.readable().expect("make a descriptor");
        let (mut poll, mut events) = (Poll::new().expect("epoll_create"), Events::with_capacity(8));
        poll.registry()
            .register(&mut SourceFd(&readable.as_raw_fd()), Token(0), Interest::READABLE)
            .expect("register the descriptor");
        seat.serve(|share, moved| {
            let mut sum = 0_u64;
            for turn in 0..share {
                if seat.produces() {
                    to.try_put(&[turn; WORDS]).expect("put");
                }
                let message = receive(&from, &mut readable, &mut poll, &mut events);
                assert_eq!(message, [turn; WORDS], "the message of turn {turn}");
                if !seat.produces() {
                    to.try_put(&message).expect("put");
                }
                sum = sum.wrapping_add(message[WORDS - 1]);
            }
            moved.store(share, Relaxed);
            sum
        });
    }
}

fn receive(from: &Queue<Message>, readable: &mut Readiness, poll: &mut Poll, events: &mut Events) -> Message {
    loop {
        match from.try_get() {
            Ok(message) => return message,
            Err(GetError::Empty) if !readable.rearm().expect("rearm") => poll.poll(events, None).expect("epoll_wait"),
            Err(GetError::Empty) => {}
            Err(error) => panic!("get: {error}"),
        }
    }
}
