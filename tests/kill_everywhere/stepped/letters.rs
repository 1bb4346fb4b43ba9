//! Killed while a message moves from one queue to another: given up to the dead letters, or
//! forwarded. Afterwards it is in one of them, or in both.

use crate::stepped::contents::{Numbered, attach, expect_whole, holding, put};
use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use crate::support::unique_name;
use shmq::letters::Reason;
use shmq::{DeadLetters, Fate, GetError, MessageId, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_handing_over,
        killed_in_handing_over_by_recover,
        killed_in_handing_over_what_is_no_value,
        killed_in_forwarding
    ]
}

/// A queue, and its queue for dead letters, which is removed with it.
struct Worn {
    queue: Queue<u64>,
    /// Of the first message.
    id: MessageId,
    letters: DeadLetters,
}

impl Worn {
    /// The first message reached its delivery limit, the last time at a process that died. The
    /// second was not delivered.
    fn new() -> Worn {
        let letters = DeadLetters::create(unique_name("letters"), 4096).unwrap();
        let builder = Queue::<u64>::builder().name(unique_name("worn")).capacity(4).max_participants(6).max_deliveries(1);
        let queue = builder.dead_letters(letters.name()).create().unwrap();
        put(&queue, 10).unwrap();
        let first = queue.try_lease_ack().unwrap();
        let id = first.id();
        first.give_back_uncounted();
        put(&queue, 11).unwrap();
        let child = fork("one who dies with a lease", || {
            std::mem::forget(queue.try_lease().unwrap());
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(child.killed_or_succeeded());
        Worn { queue, id, letters }
    }
}

impl Drop for Worn {
    fn drop(&mut self) {
        let _ = DeadLetters::unlink(self.letters.name());
    }
}

fn drain(queue: &Queue<u64>) -> Vec<u64> {
    std::iter::from_fn(|| match queue.try_get() {
        Ok(number) => Some(number),
        Err(GetError::Empty) => None,
        Err(error) => panic!("{error:?}, {queue:?}"),
    })
    .collect()
}

/// Message 10 is a letter, once or twice, whatever survivors do first.
fn check_letters(Worn { queue, id, letters }: &Worn, killed: Killed, turn: u64) -> Finding {
    // A note of a message that is still there counts for nothing.
    let fate = queue.is_done(*id);
    assert!(fate == Fate::GivenUp || (fate == Fate::Pending && !killed.done), "{fate:?}, {killed:?}, {queue:?}");
    let recoveries = queue.stats().recoveries;
    if turn % 2 == 0 {
        queue.recover();
    }
    let found = drain(queue);
    queue.recover();
    let again = queue.recover();
    assert_eq!((again.given_up, again.redelivered), (0, 0), "recovered already: {again:?}, {queue:?}");
    assert_eq!(drain(queue), [0; 0], "{queue:?}");
    letters.recover();
    let there: Vec<_> = std::iter::from_fn(|| letters.try_get().ok()).collect();
    assert!((1..=2).contains(&there.len()), "{} letters, {killed:?}, {queue:?}", there.len());
    for letter in &there {
        assert_eq!(
            (letter.value::<u64>(), &letter.reason, letter.queue.as_str()),
            (Some(10), &Reason::TooManyDeliveries, queue.name())
        );
    }
    assert!(found == [11] || found.is_empty(), "{found:?}");
    assert!(!killed.done || there.len() == 1, "done, and {} letters", there.len());
    assert_eq!(queue.is_done(*id), Fate::GivenUp, "{killed:?}, {queue:?}");
    expect_whole(queue);
    Finding { stage: Some(usize::from(found.is_empty())), repaired: queue.stats().recoveries != recoveries }
}

fn killed_in_handing_over() {
    let operation = Operation {
        what: "dead letters, get",
        world: &Worn::new,
        body: &|worn, begin| {
            attach_without_a_scan(&worn.queue);
            begin();
            assert_eq!(worn.queue.try_get().unwrap(), 11);
        },
        wake: None,
        recovery: Some(&|worn, begin| {
            begin();
            worn.queue.recover();
        }),
        check: &check_letters,
    };
    operation.sweep_every(7);
}

fn killed_in_handing_over_by_recover() {
    let operation = Operation {
        what: "dead letters, recover",
        world: &Worn::new,
        body: &|worn, begin| {
            attach_without_a_scan(&worn.queue);
            begin();
            worn.queue.recover();
        },
        wake: None,
        recovery: None,
        check: &|worn, killed, turn| Finding { stage: None, ..check_letters(worn, killed, turn) },
    };
    operation.sweep_every(7);
}

/// Attaches without a scan, so that most of attaching is not among the instructions that are
/// stepped through. The scan for dead processes that follows attaching is among them.
fn attach_without_a_scan(queue: &Queue<u64>) {
    let _ = queue.stats();
}

fn killed_in_handing_over_what_is_no_value() {
    struct Odd {
        truths: Queue<[bool; 8]>,
        letters: DeadLetters,
    }
    impl Drop for Odd {
        fn drop(&mut self) {
            let _ = DeadLetters::unlink(self.letters.name());
        }
    }
    let world = || {
        let letters = DeadLetters::create(unique_name("letters"), 4096).unwrap();
        let name = unique_name("truths");
        let builder = Queue::<[bool; 8]>::builder().name(&name).capacity(4).max_participants(6).schema("eight");
        let truths = builder.dead_letters(letters.name()).create().unwrap();
        let bytes = Queue::<[u8; 8]>::builder().name(&name).schema("eight").open().unwrap();
        bytes.put_slice(&[[7; 8], [1; 8]]).unwrap();
        Odd { truths, letters }
    };
    let operation = Operation {
        what: "dead letters, no value",
        world: &world,
        body: &|odd: &Odd, begin| {
            assert_eq!(odd.truths.recover().dead_participants, 0);
            begin();
            assert!(matches!(odd.truths.try_get(), Err(GetError::Invalid)));
        },
        wake: None,
        recovery: None,
        check: &|odd: &Odd, killed, _| {
            odd.truths.recover();
            let mut invalid = 0;
            let mut found = Vec::new();
            loop {
                match odd.truths.try_get() {
                    Ok(truth) => found.push(truth),
                    Err(GetError::Invalid) => invalid += 1,
                    Err(GetError::Empty) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert_eq!(found, [[true; 8]]);
            odd.letters.recover();
            let there: Vec<_> = std::iter::from_fn(|| odd.letters.try_get().ok()).collect();
            assert!((1..=2).contains(&there.len()) && there.iter().all(|letter| letter.bytes == [7; 8]), "{there:?}");
            assert!(!killed.done || (there.len(), invalid) == (1, 0), "{killed:?}: {} letters", there.len());
            Finding { stage: None, repaired: false }
        },
    };
    operation.sweep_every(7);
}

fn killed_in_forwarding() {
    let operation = Operation {
        what: "forward",
        world: &|| (holding::<u64>(&[10, 11]), u64::queue()),
        body: &|(from, to): &(Queue<u64>, Queue<u64>), begin| {
            attach(from);
            attach(to);
            begin();
            from.try_lease().unwrap().try_forward(to).unwrap();
        },
        wake: None,
        recovery: Some(&|(from, to), begin| {
            begin();
            from.recover();
            to.recover();
        }),
        check: &|(from, to), killed, _| {
            let recoveries = from.stats().recoveries;
            from.recover();
            to.recover();
            let (left, there) = (drain(from), drain(to));
            let stage = match (&left[..], &there[..]) {
                ([10, 11], []) => 0,
                ([10, 11], [10]) => 1,
                ([11], [10]) => 2,
                other => panic!("{other:?}, {killed:?}"),
            };
            assert!(!killed.done || stage == 2, "done, and at {stage}");
            expect_whole(from);
            expect_whole(to);
            Finding { stage: Some(stage), repaired: from.stats().recoveries != recoveries }
        },
    };
    operation.sweep();
}
