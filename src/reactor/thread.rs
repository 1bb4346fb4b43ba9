//! One thread of the reactor: registers with what tasks wait for, sleeps, notifies.
//!
//! The diagram and the invariants are those of the module above.

use super::nodes::Call;
use super::room::{Aspect, Awaited, Room};
use super::sleep::{Control, MOST_ROOMS, Sleep, must_nap};
use super::wants::Available;
use crate::attachment::Visit;
use crate::background::Presence;
use crate::lock::{KeptCondvar, Registration, unordered_moment};
use crate::os::{Blocked, Deadline, coarse_now_ns, now_ns};
use crate::wait::SLICE_NS;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Sleep after a panic of code that is not this crate's.
const AFTER_PANIC_NS: u64 = 1_000_000;
/// By how much the coarse clock may be behind.
const TICK_NS: u64 = 10_000_000;
/// Time for probes for dead processes in one slice, of one thread. With more rooms than that is
/// enough for, each has its turn later. (Measured: 2 us for an idle queue, so all 127 of a thread
/// have their turn in each slice, unless there is much to find.)
const PROBES_NS: u64 = 1_000_000;

/// A thread, seen by tasks.
#[derive(Default)]
pub(super) struct Shard {
    control: Control,
    /// Rooms that the thread does not know yet, and how many it has in all.
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    new: Vec<Arc<Room>>,
    count: usize,
}

impl Shard {
    /// Starts the thread of a new shard, with no signal for it to handle.
    pub fn start(retire: fn(&Arc<Room>) -> bool) -> io::Result<&'static Shard> {
        let shard: &'static Shard = Box::leak(Box::default());
        // A new thread has the mask of the thread that makes it.
        let _blocked = Blocked::all();
        std::thread::Builder::new().name("shmq-reactor".into()).spawn(move || shard.run(retire))?;
        Ok(shard)
    }

    pub fn wake(&self) {
        self.control.wake();
    }

    /// Has it a place for one more room?
    pub fn has_place(&self) -> bool {
        self.lock().count < MOST_ROOMS
    }

    pub fn add(&self, room: Arc<Room>) {
        let mut inbox = self.lock();
        inbox.count += 1;
        inbox.new.push(room);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's life, which ends with the process.
    fn run(&self, retire: fn(&Arc<Room>) -> bool) {
        let presence = Presence::begin();
        let mut worker = Worker::default();
        loop {
            let read = self.control.read();
            let until = {
                let _at_work = presence.work();
                worker.rooms.extend(self.lock().new.drain(..).map(Watch::new));
                // A subscriber of events may panic in a probe, or in the end of an attachment. All
                // futures of the process rest on this thread.
                let worked = catch_unwind(AssertUnwindSafe(|| self.work(&mut worker, retire)));
                worked.unwrap_or_else(|panic| {
                    std::mem::forget(panic); // its drop might panic
                    worker.rooms.iter().for_each(|watch| watch.room.note_news());
                    Deadline::in_ns(AFTER_PANIC_NS)
                })
            };
            // From here on it only sleeps (background).
            worker.sleep.begin(&self.control, read);
            worker.rooms.iter().for_each(|watch| watch.add_to(&mut worker.sleep));
            let until = if worker.rooms.is_empty() { Deadline::NEVER } else { until };
            worker.sleep.sleep(&self.control, read, until, worker.has_tasks);
        }
    }

    fn work(&self, worker: &mut Worker, retire: fn(&Arc<Room>) -> bool) -> Deadline {
        let until = worker.round();
        if worker.slice_has_ended {
            let before = worker.rooms.len();
            worker.rooms.retain(|watch| !(watch.is_idle() && retire(&watch.room)));
            self.lock().count -= before - worker.rooms.len();
        }
        until
    }
}

/// A room, and where the reactor is registered for it.
struct Watch {
    room: Arc<Room>,
    place: Option<Place>,
    /// The words have fired since it registered, or since it last served: it may have consumed a
    /// wake (Invariant 5).
    has_fired: bool,
    has_tasks: bool,
    was_idle: bool,
    /// When tasks that are held off are to try again.
    held_until_ns: u64,
    /// It was registered without an ordered barrier: what came just before may not be visible yet.
    is_unordered: bool,
    linger: Linger,
}

struct Place {
    condvar: KeptCondvar,
    registration: Registration,
}

/// Whether the reactor stays registered when no task waits any more.
///
/// A task that was notified often waits again at once, before the next message comes (a request and
/// its answer). Then it is watched already, and need not wake the reactor (measured: see
/// `docs/performance.md`). Where messages come first, each time costs the notifier a wake for
/// nothing, so it is not tried again for a while.
#[derive(Default)]
struct Linger {
    is_on: bool,
    /// Times that it is not tried.
    pause: u32,
}

/// Times that lingering is not tried after it was in vain.
const LINGER_PAUSE: u32 = 16;

impl Linger {
    /// The last task has been notified: is it worth its while?
    fn begin(&mut self) -> bool {
        self.is_on = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        self.is_on
    }

    /// A wake has come, or the slice is over, and no task waits.
    fn end(&mut self, woken: bool) {
        if std::mem::take(&mut self.is_on) && woken {
            self.pause = LINGER_PAUSE;
        }
    }
}

impl Watch {
    fn new(room: Arc<Room>) -> Watch {
        Watch {
            room,
            place: None,
            has_fired: false,
            has_tasks: true,
            was_idle: false,
            held_until_ns: u64::MAX,
            is_unordered: false,
            linger: Linger::default(),
        }
    }

    fn add_to(&self, sleep: &mut Sleep) {
        if let Some(place) = &self.place {
            sleep.add(place.condvar.get(), place.registration);
        }
    }

    /// Has it had no task for a slice?
    fn is_idle(&self) -> bool {
        self.was_idle && !self.has_tasks && self.place.is_none()
    }

    /// Has the word fired since it registered, or last checked?
    fn is_woken(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.condvar.get().has_fired(place.registration))
    }

    /// Takes the count back, then passes on a wake that may have been consumed, if nothing is known
    /// of what it was for any more (Invariant 5).
    fn leave(&mut self, is_unknown: bool) {
        // It lingers only where it is registered.
        self.linger.is_on = false;
        let Some(place) = self.place.take() else { return };
        let condvar = place.condvar.get();
        condvar.deregister(place.registration);
        if is_unknown && std::mem::take(&mut self.has_fired) && condvar.has_waiters() {
            condvar.wake(1);
        }
    }
    /// Checks the room: registers or leaves, notifies tasks, passes on what they do not take.
    /// Returns whether a task was notified.
    fn check(&mut self, is_woken: bool, mut slice_has_ended: bool, naps: bool, calls: &mut Vec<Call>) -> bool {
        let room = Arc::clone(&self.room);
        let _visit = Visit::begin();
        self.has_fired |= is_woken;
        self.is_unordered = false;
        let (awaited, is_wanted) = {
            let mut state = room.lock();
            let has_waiting = state.nodes.has_waiting();
            let has_left = std::mem::take(&mut state.has_left);
            if !has_waiting && (is_woken || slice_has_ended || has_left) {
                self.linger.end(is_woken);
            }
            state.nodes.end_pause(now_ns);
            state.is_watched = has_waiting || self.linger.is_on;
            (state.awaited.clone(), has_waiting && !state.nodes.is_held_off())
        };
        self.was_idle = !self.has_tasks && awaited.is_none();
        self.has_tasks = awaited.is_some();
        self.held_until_ns = u64::MAX;
        let Some(awaited) = awaited else {
            if !self.linger.is_on {
                self.leave(true);
            }
            return false;
        };
        let mut has_notified = false;
        self.register(&*awaited, is_wanted && !naps);
        loop {
            // What there is first, then the tasks that answer for it (Invariant 4).
            let available = awaited.available(room.aspect);
            let fitting = room.fitting(&*awaited);
            let mut state = room.lock();
            let ends_slice = std::mem::take(&mut slice_has_ended);
            let found_late = ends_slice && state.nodes.end_slice();
            let left_over = state.nodes.serve(available, fitting, usize::MAX, now_ns, calls);
            if ends_slice {
                state.nodes.remind(calls);
            }
            let has_waiting = state.nodes.has_waiting();
            let is_held_off = has_waiting && state.nodes.is_held_off();
            if !has_waiting && !left_over && !calls.is_empty() {
                self.linger.begin();
            }
            let stays = self.place.is_some() && !is_held_off && (has_waiting || self.linger.is_on);
            // A task that comes from now on tells the reactor, unless it stays registered, or
            // checks at a time that is set.
            state.is_watched = stays || is_held_off;
            self.held_until_ns = state.nodes.held_until_ns().unwrap_or(u64::MAX);
            drop(state);
            if !stays {
                self.leave(false);
            }
            let passes_on = std::mem::take(&mut self.has_fired) && left_over || found_late && available != Available::NOTHING;
            if passes_on {
                awaited.pass_on(room.aspect);
            }
            has_notified |= !calls.is_empty();
            if calls.is_empty() || room.call(calls) {
                return has_notified;
            }
            // A waker has panicked: what its task answered for is open again.
            self.has_fired = true;
        }
    }

    /// Registers where tasks wait, stays registered, or leaves (Invariants 1, 5 and 6).
    fn register(&mut self, awaited: &dyn Awaited, is_wanted: bool) {
        match &mut self.place {
            Some(_) if !is_wanted && !self.linger.is_on => self.leave(false),
            Some(place) => match place.condvar.get().renewed(place.registration) {
                Some(renewed) => {
                    // The wake that belongs to it may come while the reactor sleeps on the new one.
                    self.has_fired |= renewed != place.registration;
                    place.registration = renewed;
                }
                // Invariant 6.
                None => {
                    self.has_fired = true;
                    place.registration = place.condvar.get().register();
                    self.is_unordered = !awaited.heavy_barrier();
                }
            },
            None => {}
        }
        if is_wanted && self.place.is_none() {
            if let Some(condvar) = awaited.condvar(self.room.aspect) {
                let registration = condvar.get().register();
                self.is_unordered = !awaited.heavy_barrier();
                self.place = Some(Place { condvar, registration });
                // All who wait for a stop are woken: to stay costs no other waiter a wake.
                self.linger.is_on = self.room.aspect == Aspect::Stopped;
            }
        }
    }
}

#[derive(Default)]
struct Worker {
    rooms: Vec<Watch>,
    sleep: Sleep,
    calls: Vec<Call>,
    slice_ends_ns: u64,
    slice_has_ended: bool,
    has_tasks: bool,
    /// The room that is probed next.
    next_probe: usize,
}

impl Worker {
    /// Checks all rooms (Invariant 6). Returns until when to sleep.
    fn round(&mut self) -> Deadline {
        // The coarse clock is behind the other: a slice ends a few milliseconds later. It saves two
        // reads of 100 ns in each hop.
        self.slice_has_ended = coarse_now_ns() >= self.slice_ends_ns;
        let naps = must_nap();
        let (mut held_until_ns, mut is_unordered) = (u64::MAX, false);
        self.has_tasks = false;
        for watch in &mut self.rooms {
            let is_woken = watch.is_woken();
            let is_due = self.slice_has_ended
                || naps
                || watch.is_unordered
                || (watch.held_until_ns != u64::MAX && watch.held_until_ns <= now_ns());
            // The news are taken in any case.
            let must_check = watch.room.take_news() || is_woken || is_due;
            if must_check && watch.check(is_woken, self.slice_has_ended, naps, &mut self.calls) {
                self.sleep.note_work();
            }
            self.has_tasks |= watch.has_tasks;
            held_until_ns = held_until_ns.min(watch.held_until_ns);
            is_unordered |= watch.is_unordered;
        }
        if self.slice_has_ended {
            self.slice_ends_ns = coarse_now_ns() + SLICE_NS;
            self.probe();
        }
        let until = Deadline::from_ns((self.slice_ends_ns + TICK_NS).min(held_until_ns));
        if is_unordered { unordered_moment(until) } else { until }
    }

    /// Probes for dead processes, room by room, for a while.
    fn probe(&mut self) {
        let until = Deadline::in_ns(PROBES_NS);
        for _ in 0..self.rooms.len() {
            self.next_probe = (self.next_probe + 1) % self.rooms.len();
            let room = &self.rooms[self.next_probe].room;
            let _visit = Visit::begin();
            let awaited = room.lock().awaited.clone();
            if let Some(awaited) = awaited {
                awaited.probe(room.aspect);
            }
            if until.has_passed() {
                return;
            }
        }
    }
}
