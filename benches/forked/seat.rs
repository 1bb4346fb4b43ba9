//! The worker's side: a seat in a party, and the control block that it shares with the parent.
//!
//! The invariants are those of the parent module.

use super::kernel;
use crossbeam_utils::CachePadded;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{
        AtomicI32, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// The largest party: four producers and four consumers.
pub(super) const WORKERS: usize = 8;
pub(super) const NOT_PINNED: i32 = -1;

/// One thing to measure. Built before the fork, so that parent and workers agree on it by its
/// index.
pub trait Case {
    /// Makes what the workers will attach to; called in the parent.
    fn create(&self, name: &str) -> Box<dyn Host>;
    /// A worker's part: attach by name, then [`Seat::serve`].
    fn play(&self, seat: &Seat<'_>, name: &str);
    /// Does every consumer get all messages? Else each message goes to one of them.
    fn is_broadcast(&self) -> bool {
        false
    }
}

/// What the parent holds of a case while its party is seated.
pub trait Host {
    /// Takes the name away once all workers are attached, so that nothing is left in `/dev/shm`
    /// however the bench ends.
    fn unlink(&self);
    /// What to print when the case hangs.
    fn state(&self) -> String;
}

/// Where the members of a party run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Placement {
    /// Member i on the i-th separate core.
    Pinned,
    /// All members on the first core.
    OneCore,
    /// Wherever the scheduler likes.
    Free,
}

impl Placement {
    /// The core of a member.
    pub fn core(self, cores: &[usize], member: usize) -> Option<usize> {
        match self {
            Placement::Pinned => Some(cores[member % cores.len()]),
            Placement::OneCore => Some(cores[0]),
            Placement::Free => None,
        }
    }
}

#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Order {
    Join = 1,
    Run,
    Leave,
    Exit,
}

pub(super) const PHASES: [&str; 5] = ["idle", "attaching", "ready", "at the start line", "running"];
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Phase {
    Idle,
    Attaching,
    Ready,
    AtStart,
    Running,
}

#[repr(C)]
pub(super) struct Desk {
    // Written by the parent.
    pub ordered: CachePadded<AtomicU32>, // futex word: raised once for each order
    pub order: AtomicU32,
    pub case: AtomicU32,
    pub member: AtomicU32,
    pub producers: AtomicU32,
    pub party: AtomicU32,
    pub cpu: AtomicI32,
    pub share: AtomicU64,
    // Written by the worker.
    pub moved: CachePadded<AtomicU64>, // messages of this sample so far
    pub phase: AtomicU32,
    pub start_nanos: AtomicU64,
    pub end_nanos: AtomicU64,
    pub checksum: AtomicU64,
    pub cpu_nanos: AtomicU64, // on processors, from the start to the end
    pub switches: AtomicU64,  // of its threads, from the start to the end
    pub torn: AtomicU64,      // messages of which not all words were of one
}

#[repr(C)]
pub(super) struct Control {
    pub at_start: CachePadded<AtomicU32>,
    pub answers: CachePadded<AtomicU32>, // futex word: members who have answered the current order
    pub desks: [Desk; WORKERS],
}

/// A worker's place in a party: members `0..producers` produce, the others consume.
pub struct Seat<'c> {
    control: &'c Control,
    desk: &'c Desk,
    answered: &'c Cell<u32>,
    pub member: u32,
    pub producers: u32,
    pub party: u32,
}

impl Seat<'_> {
    pub fn produces(&self) -> bool {
        self.member < self.producers
    }

    /// Serves samples until the party leaves. `part` gets this member's share of the messages and a
    /// word in which to note now and then how many it has moved, moves them all, and returns the
    /// sum of the words that it wrote or read.
    pub fn serve(&self, mut part: impl FnMut(u64, &AtomicU64) -> u64) {
        self.answer(Phase::Ready);
        while self.next_order() == Order::Run as u32 {
            let desk = self.desk;
            desk.moved.store(0, Relaxed);
            self.meet_at_start();
            let (cpu_nanos, switches) = (kernel::cpu_nanos(), kernel::switches());
            desk.start_nanos.store(kernel::now_nanos(), Relaxed);
            let checksum = part(desk.share.load(Relaxed), &desk.moved);
            desk.end_nanos.store(kernel::now_nanos(), Relaxed);
            desk.checksum.store(checksum, Relaxed);
            desk.cpu_nanos.store(kernel::cpu_nanos() - cpu_nanos, Relaxed);
            desk.switches.store(kernel::switches() - switches, Relaxed);
            self.answer(Phase::Ready);
        }
    }

    /// Notes how many messages of this sample arrived torn.
    pub fn note_torn(&self, messages: u64) {
        self.desk.torn.store(messages, Relaxed);
    }

    /// Starts all members together: a wake-up takes longer than many a sample.
    fn meet_at_start(&self) {
        self.desk.phase.store(Phase::AtStart as u32, Relaxed);
        self.control.at_start.fetch_add(1, Relaxed);
        for poll in 0_u32.. {
            if self.control.at_start.load(Relaxed) >= self.party {
                break;
            }
            if poll % 64 == 63 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        self.desk.phase.store(Phase::Running as u32, Relaxed);
    }

    fn next_order(&self) -> u32 {
        while self.desk.ordered.load(Acquire) == self.answered.get() {
            kernel::futex_wait(&self.desk.ordered, self.answered.get(), None);
        }
        self.answered.set(self.answered.get().wrapping_add(1));
        self.desk.order.load(Relaxed)
    }

    fn answer(&self, phase: Phase) {
        self.desk.phase.store(phase as u32, Relaxed);
        if self.control.answers.fetch_add(1, Release) + 1 == self.party {
            kernel::futex_wake(&self.control.answers);
        }
    }
}

/// What a worker does with its life.
pub(super) fn work(control: &Control, desk: &Desk, cases: &[Box<dyn Case>], bench: u32) -> i32 {
    let everywhere = kernel::allowed();
    let answered = Cell::new(0);
    let seat = || Seat {
        control,
        desk,
        answered: &answered,
        member: desk.member.load(Relaxed),
        producers: desk.producers.load(Relaxed),
        party: desk.party.load(Relaxed),
    };
    while seat().next_order() == Order::Join as u32 {
        desk.phase.store(Phase::Attaching as u32, Relaxed);
        match desk.cpu.load(Relaxed) {
            NOT_PINNED => kernel::run_process_on(&everywhere),
            cpu => kernel::run_process_on(&[cpu as usize]),
        }
        let case = desk.case.load(Relaxed) as usize;
        if catch_unwind(AssertUnwindSafe(|| cases[case].play(&seat(), &name_of(bench, case)))).is_err() {
            return 101; // the panic's message is on stderr; the parent finds the status
        }
        seat().answer(Phase::Idle);
    }
    0
}

pub(super) fn name_of(bench: u32, case: usize) -> String {
    format!("bench-{bench}-{case}")
}
