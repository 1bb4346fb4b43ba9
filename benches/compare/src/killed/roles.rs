//! What the processes of a round do: a producer puts numbered messages, a consumer takes and notes
//! them.
//!
//! Both go on after an error: they note it, attach anew and try again, as a program would.

use super::ledger::{Ledger, MESSAGES, Role, WORDS, stamp};
use crate::{flows::Transport, forked::Host};
use std::{
    any::Any,
    marker::PhantomData,
    panic::{self, AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

/// A way to move 64-byte messages between processes of which some are killed.
///
/// Every [`Transport`] of eight words is one.
pub trait Contender: 'static {
    type Host: Host + 'static;
    type Sender;
    type Receiver;
    fn create(name: &str, capacity: usize) -> Self::Host;
    fn sender(name: &str) -> Self::Sender;
    fn receiver(name: &str) -> Self::Receiver;
    /// Puts a message whose eight words are the stamp. It is committed when this returns; panics if
    /// it was not put.
    fn put(to: &Self::Sender, stamp: u64);
    /// Waits for messages and passes on the sum of each one's words, and whether the queue says
    /// that a consumer which died may have had it.
    fn take(from: &Self::Receiver, note: &mut dyn FnMut(u64, bool));
}

impl<T: Transport> Contender for T {
    type Host = T::Host;
    type Sender = T::Sender;
    type Receiver = T::Receiver;

    fn create(name: &str, capacity: usize) -> T::Host {
        const { assert!(T::WORDS as u64 == WORDS, "messages of a round are cache lines") };
        T::create(name, capacity)
    }

    fn sender(name: &str) -> T::Sender {
        T::sender(name)
    }

    fn receiver(name: &str) -> T::Receiver {
        T::receiver(name)
    }

    fn put(to: &T::Sender, stamp: u64) {
        T::send(to, stamp..stamp + 1);
    }

    fn take(from: &T::Receiver, note: &mut dyn FnMut(u64, bool)) {
        note(T::receive(from, 1), false);
    }
}

/// The parts of a round.
pub trait Roles {
    fn create(&self, name: &str) -> Box<dyn Host>;
    /// Until it is killed, or gives up. Returns the exit status.
    fn play(&self, role: Role, ledger: &Ledger, name: &str) -> i32;
}

/// So small that producers meet a full channel and consumers an empty one all the time.
const CAPACITY: usize = 64;
/// Errors after which a process gives up.
const MOST_ERRORS: u32 = 3;
const GAVE_UP: i32 = 3;

pub struct Playing<C>(PhantomData<fn() -> C>);

impl<C: Contender> Playing<C> {
    pub fn boxed() -> Box<dyn Roles> {
        Box::new(Playing::<C>(PhantomData))
    }
}

fn text(panicked: Box<dyn Any + Send>) -> String {
    let whole = match panicked.downcast::<String>() {
        Ok(text) => *text,
        Err(panicked) => panicked.downcast_ref::<&str>().map_or_else(|| "a panic".to_owned(), |text| (*text).to_owned()),
    };
    let line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    // Of a failed comparison, its words.
    let words = line.strip_prefix("assertion `left == right` failed: ").and_then(|rest| rest.split_once(" left: "));
    words.map_or(line.clone(), |(words, _)| words.to_owned())
}

/// Repeats `part` with a fresh end, until it has failed too often. The part is done only when the
/// process is killed.
fn attached<E>(role: Role, ledger: &Ledger, mut attach: impl FnMut() -> E, mut part: impl FnMut(&E)) -> i32 {
    panic::set_hook(Box::new(|_| ())); // the ledger has the text
    for _ in 0..MOST_ERRORS {
        let body = AssertUnwindSafe(|| {
            let end = attach();
            ledger.ready(role);
            loop {
                part(&end);
            }
        });
        let failed: Result<(), _> = catch_unwind(body);
        if let Err(panicked) = failed {
            ledger.went_wrong(role, &text(panicked));
        }
        thread::sleep(Duration::from_millis(2));
    }
    GAVE_UP
}

fn produce<C: Contender>(index: usize, ledger: &Ledger, name: &str) -> i32 {
    let page = ledger.producer(index);
    let attach = || C::sender(name);
    attached(Role::Producer(index), ledger, attach, |end| {
        let number = page.returned();
        if number >= page.limit().min(MESSAGES) {
            return thread::sleep(Duration::from_micros(20));
        }
        match catch_unwind(AssertUnwindSafe(|| C::put(end, stamp(index, number)))) {
            Ok(()) => page.count(number + 1),
            Err(panicked) => {
                page.fail(number);
                page.count(number + 1);
                panic::resume_unwind(panicked);
            }
        }
    })
}

fn consume<C: Contender>(index: usize, ledger: &Ledger, name: &str) -> i32 {
    let page = ledger.consumer(index);
    let attach = || C::receiver(name);
    attached(Role::Consumer(index), ledger, attach, |end| {
        page.ask(true);
        C::take(end, &mut |sum, again| page.note(sum, again));
        page.ask(false);
    })
}

impl<C: Contender> Roles for Playing<C> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(C::create(name, CAPACITY))
    }

    fn play(&self, role: Role, ledger: &Ledger, name: &str) -> i32 {
        match role {
            Role::Producer(index) => produce::<C>(index, ledger, name),
            Role::Consumer(index) => consume::<C>(index, ledger, name),
        }
    }
}
