//! A child that is stopped after exactly so many instructions.
//!
//! ```text
//!   fork --> prepares itself --> begin: a breakpoint --> the operation --> done = 1, a breakpoint
//!                                0 instructions                            all
//! ```
//!
//! A [`Trace`] comes from one run in single steps, which records the address of each instruction.
//! To stop a later child after k of them, it runs from breakpoint to breakpoint at full speed, each
//! on an instruction that is not met on the way to it, and single steps do the rest. A breakpoint
//! costs the tracer about three steps, and the cheapest way is a mixture of both. An operation that
//! does not repeat itself exactly (it lists a directory, or reads the time) may stop elsewhere:
//! such a stop is as good as any other, and is counted.
//!
//! Where the child has another thread (a future's reactor), only its first thread is stepped. The
//! other one is not traced and would die at a breakpoint in the text, so breakpoints are those of
//! the thread's debug registers, or there are only single steps.

use crate::stepped::machine::{self, ptrace};
use crate::support::harness::skip;
use crate::support::process::{
    Child, Exit, describe_process, exit_now, fork, is_asleep_on_a_futex, send_signal, shared_words, wait_for_count,
};
use crate::support::{PATIENCE, wait_at_most};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Exit code of a child that may not be traced.
const NOT_TRACED: i32 = 79;

/// Far more instructions than any operation takes: one that gets there never ends.
const ENDLESS: usize = 3_000_000;

/// How often a tracer polls a child that may sleep before it asks the kernel whether it does.
const POLLS: u32 = 2_000;

/// What a child does: it prepares itself and calls `begin`. It is killed in what it does from there
/// on.
pub type Body<'a> = &'a dyn Fn(&dyn Fn());

/// The instructions of one run of an operation.
pub struct Trace {
    /// The address of each instruction.
    addresses: Vec<usize>,
    /// The depth of the stack at each instruction, relative to where the operation began.
    depths: Vec<usize>,
    /// The cheapest way to each instruction, from an earlier one.
    ways: Vec<Way>,
    /// The first instruction after the child woke up, if it slept.
    pub woken_at: Option<usize>,
    breakpoints: Breakpoints,
}

/// What a breakpoint is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breakpoints {
    /// An instruction in the text of the program, for all threads.
    Text,
    /// A debug register of the one thread: the child has others.
    Register,
    /// The machine has no such register, or it cannot be written: single steps alone.
    None,
}

impl Breakpoints {
    /// What suits a child that stands still.
    fn of(pid: libc::pid_t) -> Breakpoints {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(1, Iterator::count);
        match threads {
            0 | 1 => Breakpoints::Text,
            _ if machine::break_at(pid, Some(kill_at as *const () as usize)).is_ok() => Breakpoints::Register,
            _ => Breakpoints::None,
        }
    }
}

/// Addresses of this program, as opposed to those of a library, are that close to one another.
const PROGRAM_BYTES: usize = 1 << 30;

/// One in that many rounds of a copying instruction counts as a place of its own.
const ROUNDS: usize = 64;

/// What meeting a breakpoint costs, in single steps.
const MEETING: u32 = 3;

/// That many additional steps are worth a way that [is certain](Killed::certain).
const CERTAINTY: u32 = 40;

#[derive(Clone, Copy)]
enum Move {
    Step,
    Breakpoint,
}

/// How to get to an instruction.
#[derive(Clone, Copy)]
struct Way {
    from: usize,
    by: Move,
    /// The cost of the whole way, in single steps.
    cost: u32,
    /// The last instruction of this program so far that is met for the first time.
    unique: usize,
}

impl Trace {
    fn new(addresses: Vec<usize>, depths: Vec<usize>, woken_at: Option<usize>, breakpoints: Breakpoints) -> Trace {
        let mut met: HashMap<usize, usize> = HashMap::new();
        let mut ways: Vec<Way> = Vec::with_capacity(addresses.len());
        // Places that are cheaper than all later ones. The cheapest place from some place on is the
        // first of them.
        let mut cheapest: Vec<usize> = Vec::new();
        for (place, &address) in addresses.iter().enumerate() {
            let before = met.insert(address, place);
            let mut way = Way { from: 0, by: Move::Step, cost: 0, unique: 0 };
            if place > 0 {
                let last = ways[place - 1];
                way = Way { from: place - 1, by: Move::Step, cost: last.cost + 1, unique: last.unique };
                // A breakpoint where the child stands is met at once, so the way starts after that.
                let first = before.map_or(0, |before| before + 1);
                if let Some(&from) = cheapest.get(cheapest.partition_point(|&from| from < first)) {
                    let cost = ways[from].cost + MEETING;
                    if cost < way.cost {
                        way = Way { from, by: Move::Breakpoint, cost, ..way };
                    }
                }
                if before.is_none() && is_of_this_program(address) {
                    way.unique = place;
                }
            }
            while cheapest.last().is_some_and(|&from: &usize| ways[from].cost >= way.cost) {
                cheapest.pop();
            }
            cheapest.push(place);
            ways.push(way);
        }
        Trace { addresses, depths, ways, woken_at, breakpoints }
    }

    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Had the child one thread?
    pub fn is_alone(&self) -> bool {
        self.breakpoints == Breakpoints::Text
    }

    /// Is this one of the many rounds of a copying instruction, but not one of the first or last
    /// rounds and not one of the few in between that count?
    pub fn is_amid_a_copy(&self, steps: usize) -> bool {
        let from = steps.saturating_sub(2);
        let around = self.addresses.get(from..steps + 3).unwrap_or_default();
        steps % ROUNDS != 0 && !around.is_empty() && around.iter().all(|&address| address == self.addresses[steps])
    }

    /// The way to the instruction after `steps`: moves (a step, or a breakpoint) and where each
    /// leads. Also whether it is certain.
    fn way(&self, steps: usize) -> (Vec<(usize, Move)>, bool) {
        if self.breakpoints == Breakpoints::None {
            // Each step is compared with the trace, so the way is as certain as it is exact.
            return ((1..=steps).map(|place| (place, Move::Step)).collect(), true);
        }
        let unique = self.ways[steps].unique;
        let is_certain = (steps - unique) as u32 + MEETING <= self.ways[steps].cost + CERTAINTY;
        if is_certain {
            let first = (unique > 0).then_some((unique, Move::Breakpoint));
            return (first.into_iter().chain((unique + 1..=steps).map(|place| (place, Move::Step))).collect(), true);
        }
        let mut moves = Vec::new();
        let mut place = steps;
        while place > 0 {
            moves.push((place, self.ways[place].by));
            place = self.ways[place].from;
        }
        moves.reverse();
        (moves, false)
    }
}

fn is_of_this_program(address: usize) -> bool {
    address.abs_diff(kill_at as *const () as usize) < PROGRAM_BYTES
}

/// Where a child is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After so many instructions.
    After(usize),
    /// In the kernel, where it sleeps for the first time.
    Asleep,
}

/// Where a child was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed {
    /// It had done everything that it was asked to do.
    pub done: bool,
    /// It had slept, and was woken.
    pub woken: bool,
    /// It was at the planned place, as far as its tracer saw.
    pub exact: bool,
    /// It was certainly at that place: the way did not depend on an allocator or another library,
    /// which behave differently from run to run.
    pub certain: bool,
    pub pid: u32,
}

/// Follows a child through its whole operation in single steps, and then kills it. `wake` is called
/// when it sleeps.
pub fn trace(body: Body<'_>, wake: Option<&dyn Fn()>) -> Trace {
    let mut tracee = Tracee::start(body, wake);
    let (mut addresses, mut depths) = (Vec::new(), Vec::new());
    let mut woken_at = None;
    while !tracee.is_done() {
        let (address, depth) = tracee.place();
        addresses.push(address);
        depths.push(depth);
        assert!(addresses.len() < ENDLESS, "the operation never ends: {}", describe_process(tracee.pid()));
        tracee.step();
        if tracee.woken && woken_at.is_none() {
            woken_at = Some(addresses.len());
        }
    }
    let breakpoints = Breakpoints::of(tracee.pid());
    tracee.kill();
    Trace::new(addresses, depths, woken_at, breakpoints)
}

/// Kills a child at one place of its operation.
pub fn kill_at(body: Body<'_>, trace: &Trace, place: Place, wake: Option<&dyn Fn()>) -> Killed {
    let mut tracee = Tracee::start(body, wake.filter(|_| place != Place::Asleep));
    let mut certain = false;
    let exact = match place {
        Place::After(steps) => {
            let (exact, is_certain) = tracee.go_to(trace, steps);
            certain = is_certain;
            exact
        }
        Place::Asleep => {
            tracee.go_on();
            tracee.wait_until_asleep()
        }
    };
    // If the tracer did not run for a whole slice, the child has gone on without having been woken.
    if let (Place::After(steps), Some(woken_at)) = (place, trace.woken_at) {
        certain &= tracee.woken == (steps >= woken_at);
    }
    let killed =
        Killed { done: tracee.is_done(), woken: tracee.woken, exact, certain: certain && exact, pid: tracee.child.pid() };
    tracee.kill();
    killed
}

/// Stops a child after that many instructions of its operation, runs `meanwhile`, and lets the
/// child finish; then it is killed.
pub fn interrupt_at(body: Body<'_>, trace: &Trace, steps: usize, meanwhile: &dyn Fn()) {
    let mut tracee = Tracee::start(body, None);
    tracee.go_to(trace, steps);
    meanwhile();
    if !tracee.is_done() {
        tracee.go_on();
        tracee.wait_for_stop();
        assert!(tracee.is_done(), "a child stops where it has finished");
    }
    tracee.kill();
}

/// Leaves four free blocks of each small size in glibc's cache, whatever the parent had in it, so
/// that allocating takes the same path in all children.
fn even_out_the_heap() {
    for bytes in (16..=1032).step_by(16) {
        let blocks = [(); 7].map(|()| Vec::<u8>::with_capacity(bytes - 8));
        drop(blocks);
        std::mem::forget([(); 3].map(|()| Vec::<u8>::with_capacity(bytes - 8)));
    }
}

/// Has a traced thread stopped (`true`) or ended (`false`)? `None`: neither (WNOHANG).
fn wait_for_thread(thread: libc::pid_t, options: libc::c_int) -> Option<bool> {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write.
    let found = unsafe { libc::waitpid(thread, &mut status, options | libc::__WALL) };
    assert_ne!(found, -1, "waitpid: {}", std::io::Error::last_os_error());
    (found != 0).then(|| libc::WIFSTOPPED(status))
}

/// Set in the process of a case whose children begin, and end, in another thread than their first.
static FOLLOWS_A_THREAD: AtomicBool = AtomicBool::new(false);

/// From now on, in this case, the thread that calls `begin` is stepped, and its second call of it
/// is the end of the operation.
#[cfg(feature = "async")]
pub fn follow_the_thread_that_begins() {
    FOLLOWS_A_THREAD.store(true, Relaxed);
}

struct Tracee<'a> {
    child: Child,
    /// The thread that is stepped.
    thread: libc::pid_t,
    done: &'static AtomicU64,
    wake: Option<&'a dyn Fn()>,
    woken: bool,
    stack_base: usize,
}

impl<'a> Tracee<'a> {
    fn start(body: Body<'_>, wake: Option<&'a dyn Fn()>) -> Tracee<'a> {
        static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();
        let [done, thread, ..] = *WORDS.get_or_init(|| shared_words(2)) else { panic!("two words") };
        [done, thread].into_iter().for_each(|word| word.store(0, SeqCst));
        let follows = FOLLOWS_A_THREAD.load(Relaxed);
        let child = fork("a child to be killed", || {
            body(&|| {
                if follows && thread.load(SeqCst) != 0 {
                    done.store(1, SeqCst);
                    machine::stop_here();
                }
                if ptrace(libc::PTRACE_TRACEME, 0, 0, 0).is_err() {
                    exit_now(NOT_TRACED);
                }
                even_out_the_heap();
                // SAFETY: gettid has no preconditions.
                thread.store(unsafe { libc::gettid() } as u64, SeqCst);
                machine::stop_here();
            });
            done.store(1, SeqCst);
            machine::stop_here();
        });
        let mut tracee = Tracee { thread: child.pid() as libc::pid_t, child, done, wake: None, woken: false, stack_base: 0 };
        if follows {
            wait_for_count("another thread of the child to begin", thread, 1);
            tracee.thread = thread.load(SeqCst) as libc::pid_t;
        }
        if !tracee.wait_for_any_stop() {
            let exit = tracee.child.wait();
            assert_eq!(exit, Exit::Code(NOT_TRACED), "the child ended in its preparation");
            skip("ptrace is not permitted here");
        }
        machine::step_over(tracee.thread).expect("a traced child's registers can be written");
        let (_, stack_base) = machine::place(tracee.thread).expect("a stopped child's registers can be read");
        Tracee { wake, stack_base, ..tracee }
    }

    /// The thread that is stepped.
    fn pid(&self) -> libc::pid_t {
        self.thread
    }

    fn is_followed(&self) -> bool {
        self.thread != self.child.pid() as libc::pid_t
    }

    /// Waits until the thread stands still. `false`: the child has ended.
    fn wait_for_any_stop(&mut self) -> bool {
        if self.is_followed() { wait_for_thread(self.thread, 0) == Some(true) } else { self.child.wait_for_stop() }
    }

    fn has_stopped(&mut self) -> bool {
        if !self.is_followed() {
            return self.child.has_stopped();
        }
        let found = wait_for_thread(self.thread, libc::WNOHANG);
        assert_ne!(found, Some(false), "the child ended by itself: {:?}", self.child.wait());
        found == Some(true)
    }

    fn is_done(&self) -> bool {
        self.done.load(Relaxed) != 0
    }

    fn program_counter(&self) -> usize {
        machine::program_counter(self.pid()).expect("a stopped child's registers can be read")
    }

    /// Program counter, and how deep the stack is.
    fn place(&self) -> (usize, usize) {
        let (counter, pointer) = machine::place(self.pid()).expect("a stopped child's registers can be read");
        (counter, self.stack_base.wrapping_sub(pointer))
    }

    /// Executes one instruction, or one system call.
    fn step(&mut self) {
        ptrace(libc::PTRACE_SINGLESTEP, self.pid(), 0, 0).expect("a stopped child goes on");
        self.wait_for_stop();
    }

    fn go_on(&mut self) {
        ptrace(libc::PTRACE_CONT, self.pid(), 0, 0).expect("a stopped child goes on");
    }

    /// Executes that many instructions from the beginning. Returns whether it got exactly there, as
    /// far as can be seen, and whether that is certain.
    fn go_to(&mut self, trace: &Trace, steps: usize) -> (bool, bool) {
        let (moves, mut is_certain) = trace.way(steps);
        let mut exact = true;
        for (place, by) in moves {
            if self.is_done() {
                return (false, is_certain);
            }
            match by {
                Move::Step => {
                    exact &= trace.addresses[place - 1] == self.program_counter();
                    self.step();
                }
                Move::Breakpoint => {
                    exact &= self.run_to(trace.addresses[place], trace.breakpoints) && self.place().1 == trace.depths[place];
                    is_certain &= exact;
                }
            }
        }
        (exact, is_certain)
    }

    /// Runs until the instruction at `address` is next. `false`: the operation ended before.
    fn run_to(&mut self, address: usize, breakpoints: Breakpoints) -> bool {
        let pid = self.pid();
        if breakpoints == Breakpoints::Register {
            let set = |place| machine::break_at(pid, place).expect("a traced child's debug registers can be written");
            set(Some(address));
            self.go_on();
            self.wait_for_stop();
            set(None);
            return !self.is_done();
        }
        let word = ptrace(libc::PTRACE_PEEKTEXT, pid, address, 0).expect("the program's text can be read") as u64;
        let patch = |word: u64| {
            ptrace(libc::PTRACE_POKETEXT, pid, address, word as usize).expect("the program's text can be written");
        };
        patch(machine::with_breakpoint(word));
        self.go_on();
        self.wait_for_stop();
        patch(word);
        if self.is_done() {
            return false;
        }
        machine::step_back(pid, address).expect("a traced child's registers can be written");
        true
    }

    fn wait_for_stop(&mut self) {
        let Some(wake) = self.wake.filter(|_| !self.woken) else {
            assert!(self.wait_for_any_stop(), "the child ended by itself: {:?}", self.child.wait());
            return;
        };
        if self.stops_before_it_sleeps() {
            return;
        }
        self.woken = true;
        wake();
        assert!(self.wait_for_any_stop(), "the child ended by itself: {:?}", self.child.wait());
    }

    fn stops_before_it_sleeps(&mut self) -> bool {
        loop {
            for _ in 0..POLLS {
                if self.has_stopped() {
                    return true;
                }
                std::hint::spin_loop();
            }
            // One check alone may see a short sleep on the way.
            if (0..3).all(|_| is_asleep_on_a_futex(self.pid())) {
                return false;
            }
        }
    }

    /// `false`: the child went on without sleeping.
    fn wait_until_asleep(&mut self) -> bool {
        let mut stopped = false;
        let mut asleep = 0;
        let pid = self.pid();
        wait_at_most(
            PATIENCE,
            "a child to sleep",
            || {
                stopped = stopped || self.has_stopped();
                asleep = if is_asleep_on_a_futex(pid) { asleep + 1 } else { 0 };
                stopped || asleep >= 3
            },
            || describe_process(pid),
        );
        !stopped
    }

    /// Kills it by SIGKILL, wherever it stands.
    fn kill(mut self) {
        send_signal(self.child.pid() as libc::pid_t, libc::SIGKILL);
        if self.is_followed() {
            // Its end is reported apart from that of its process, which waits for this.
            assert_eq!(wait_for_thread(self.thread, 0), Some(false), "SIGKILL ends a thread");
        }
        assert!(!self.child.wait_for_stop(), "SIGKILL ends a process");
        assert_eq!(self.child.wait(), Exit::Signal(libc::SIGKILL));
    }
}
