//! The killer: at random it kills and replaces processes, or stops and continues them.

use super::ledger::Ledger;
use super::workers::Worker;
use crate::support::Rng;
use crate::support::process::{Child, fork};
use std::time::{Duration, Instant};

/// What a process of the storm does, and what may be lost with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Puts,
    Takes,
    /// Takes, and is only stopped, so that nothing may be lost with it.
    TakesAndLives,
}

/// A process of the storm: its name, its side and what it does.
pub type Role<'a> = (&'static str, Side, &'a dyn Fn(&mut Worker));

/// Places in the ledger for that many roles, and one for the killer itself. A victim and its
/// successor live at the same time.
pub fn places(roles: usize) -> usize {
    2 * roles + 1
}

/// What the storm did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Toll {
    pub putters_killed: u64,
    pub takers_killed: u64,
    pub stops: u64,
}

struct Running {
    child: Child,
    place: usize,
    stopped_until: Option<Instant>,
}

/// The time until the next kill or stop.
fn pause(rng: &mut Rng) -> Duration {
    let most_ms = if rng.chance(4) { 40 } else { 3 };
    rng.duration_below(Duration::from_millis(most_ms))
}

/// How long a process is stopped: now and then long enough for sleepers to scan for dead processes,
/// and for tickets to expire.
fn length_of_stop(rng: &mut Rng) -> Duration {
    let most_ms = if rng.chance(10) { 400 } else { 20 };
    rng.duration_below(Duration::from_millis(most_ms))
}

/// Kills and stops, one after the other, until `end` or until the ledger is full; then lets the
/// last processes finish.
pub fn storm(ledger: Ledger, roles: &[Role<'_>], rng: &mut Rng, end: Instant) -> Toll {
    let mut toll = Toll::default();
    let start = |role: usize, place: usize, rng: &mut Rng| {
        let mut worker = Worker { ledger, place, rng: rng.split() };
        let child = fork(roles[role].0, move || roles[role].2(&mut worker));
        Running { child, place, stopped_until: None }
    };
    let mut all: Vec<Running> = (0..roles.len()).map(|role| start(role, 2 * role, rng)).collect();
    while Instant::now() < end && !ledger.is_nearly_full() {
        std::thread::sleep(pause(rng));
        let now = Instant::now();
        for one in all.iter_mut().filter(|one| one.stopped_until.is_some_and(|until| until <= now)) {
            one.child.go_on();
            one.stopped_until = None;
        }
        let role = rng.below(roles.len() as u64) as usize;
        let victim = &mut all[role];
        let spared = roles[role].1 == Side::TakesAndLives;
        if (spared || rng.chance(30)) && victim.stopped_until.is_none() {
            victim.child.stop();
            victim.stopped_until = Some(now + length_of_stop(rng));
            toll.stops += 1;
            continue;
        }
        if spared {
            continue;
        }
        // Stopped processes are killed too.
        let successor = start(role, victim.place ^ 1, rng);
        let victim = std::mem::replace(victim, successor);
        victim.child.kill();
        ledger.settle_for_the_dead(victim.place);
        match roles[role].1 {
            Side::Puts => toll.putters_killed += 1,
            Side::Takes => toll.takers_killed += 1,
            Side::TakesAndLives => unreachable!("it is spared"),
        }
    }
    all.iter().filter(|one| one.stopped_until.is_some()).for_each(|one| one.child.go_on());
    ledger.stop();
    all.into_iter().for_each(|one| one.child.expect_success());
    toll
}
