//! One kill: starts the processes, kills one of them, waits for the others, and judges.

use super::{
    Rival, Victim,
    ledger::{Ledger, MESSAGES, Role, SIDES, mix},
    party::{Party, Peer, Python},
    stage::{OnStage, Stage},
    verdict::{Accounts, Ended, Verdict},
};
use std::time::{Duration, Instant};

/// Without any progress for so long, a survivor hangs. Time in which one of them could run and got
/// no processor does not count, up to [`LONGEST`].
const BOUND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(4);
/// When all is well but for messages that the dead consumer may have had: how long they are waited
/// for.
const COMES_BACK: Duration = Duration::from_millis(300);
/// A round has the processors for itself for so long after the kill. Then others may start.
const ON_STAGE: Duration = Duration::from_millis(40);
/// Messages that each producer has to put after the kill.
const GOAL: u64 = 200;
/// Longest wait for the processes' coming.
const ATTACHING: Duration = Duration::from_secs(5);

/// How a kill went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub verdict: Verdict,
    /// The first error that a survivor met before it attached anew, or gave up.
    pub error: Option<String>,
    /// Messages that the dead consumer may have had: at most those of one call.
    pub gone: u64,
    /// Messages that came again, marked as such.
    pub again: u64,
    /// The sleeping consumer was asleep in the kernel; else it polls.
    pub asleep: bool,
    /// From the kill until all survivors had gone on, or until the bound.
    pub took: Duration,
}

/// Numbers that depend on the seed, the rival and the victim only.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, rival: &str, victim: Victim) -> Dice {
        Dice(rival.bytes().fold(mix(seed) ^ victim as u64, |state, byte| mix(state ^ u64::from(byte))))
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % below
    }
}

/// Waits precisely, spinning.
fn pause(nanos: u64) {
    let until = Instant::now() + Duration::from_nanos(nanos);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn role_of(victim: Victim) -> Role {
    match victim {
        Victim::Producer => Role::Producer(0),
        Victim::Consumer | Victim::Sleeper => Role::Consumer(0),
    }
}

/// The process that goes on in the victim's place.
fn other(victim: Role) -> Role {
    match victim {
        Role::Producer(_) => Role::Producer(1),
        Role::Consumer(_) => Role::Consumer(1),
    }
}

struct Round<'r, 't> {
    rival: &'r Rival,
    victim: Victim,
    dice: Dice,
    ledger: Ledger,
    party: Party<'t>,
    /// The sleeper was killed just as a message woke it, which it may have taken.
    woken: bool,
    /// That message did not come within the bound.
    overdue: bool,
    /// The process in the victim's place could attach.
    came: bool,
}

/// One kill. `Err`: the round could not even begin.
pub fn round(
    rival: &Rival,
    victim: Victim,
    seed: u64,
    name: &str,
    ledger: Ledger,
    python: &mut Option<Python>,
    stage: &Stage,
) -> Result<Outcome, String> {
    let on_stage = stage.enter().map_err(|problem| problem.to_string())?;
    ledger.clear();
    let party = Party::new(&rival.team, python, ledger, name).map_err(|problem| problem.to_string())?;
    let mut round = Round {
        rival,
        victim,
        dice: Dice::new(seed, &rival.name, victim),
        ledger,
        party,
        woken: false,
        overdue: false,
        came: true,
    };
    let asleep = round.begin()?;
    let killed = round.kill();
    if (0..SIDES).any(|index| ledger.producer(index).returned() + GOAL >= MESSAGES) {
        return Err("a producer had put all its messages before the kill".into());
    }
    let mut on_stage = Some(on_stage);
    let ended = match round.replace(killed, &mut on_stage) {
        None => round.go_on(killed, &mut on_stage),
        ended => ended,
    };
    let accounts = round.accounts(ended);
    // What comes only when the next message wakes its consumer had hung.
    let verdict = if round.overdue && accounts.is_complete() { Verdict::Hangs } else { accounts.judge() };
    let survivors = round.survivors();
    let error = survivors.into_iter().find_map(|role| ledger.wrong(role));
    let again = (0..SIDES).map(|index| ledger.consumer(index).again()).sum();
    Ok(Outcome { seed, verdict, error, gone: accounts.gone(), again, asleep, took: killed.elapsed() })
}

impl Round<'_, '_> {
    /// Is the process that goes on in the victim's place attached before the kill?
    fn beside(&self) -> bool {
        if role_of(self.victim).produces() { self.rival.many_producers } else { self.rival.many_consumers }
    }

    fn survivors(&self) -> [Role; 2] {
        let victim = role_of(self.victim);
        let peer = if victim.produces() { Role::Consumer(0) } else { Role::Producer(0) };
        [other(victim), peer]
    }

    fn start(&mut self, roles: &[Role]) -> Result<(), String> {
        roles.iter().try_for_each(|&role| self.party.start(role)).map_err(|problem| problem.to_string())?;
        let deadline = Instant::now() + ATTACHING;
        while !roles.iter().all(|&role| self.ledger.is_ready(role)) {
            if Instant::now() > deadline {
                let why = roles.iter().find_map(|&role| self.ledger.wrong(role));
                return Err(format!("not attached within {ATTACHING:?}: {}", why.unwrap_or_else(|| "no error".into())));
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    /// Lets the processes come and, but for the sleeper, work. Returns whether the victim sleeps.
    fn begin(&mut self) -> Result<bool, String> {
        let busy = self.victim != Victim::Sleeper;
        let (victim, beside) = (role_of(self.victim), self.beside());
        let mut first = vec![Role::Consumer(0), Role::Producer(0)];
        if busy && beside {
            first.push(other(victim));
        }
        self.start(&first)?;
        if busy {
            // Not earlier: a consumer may get only what is put after it attached.
            first.iter().filter(|role| role.produces()).for_each(|role| self.ledger.producer(role.index()).allow(MESSAGES));
            // Until the victim is at work.
            let deadline = Instant::now() + Duration::from_secs(1);
            let works = || match victim {
                Role::Producer(index) => self.ledger.producer(index).returned() > 0,
                Role::Consumer(index) => self.ledger.consumer(index).noted() > 0,
            };
            while !works() && Instant::now() < deadline {
                std::hint::spin_loop();
            }
            return Ok(false);
        }
        let asleep = self.falls_asleep(victim);
        if beside {
            self.start(&[other(victim)])?;
            self.falls_asleep(other(victim));
        }
        Ok(asleep)
    }

    /// Waits until a consumer is asleep; not for long, since some poll.
    fn falls_asleep(&self, role: Role) -> bool {
        let Some(peer) = self.party.peer(role) else { return false };
        let deadline = Instant::now() + Duration::from_millis(10);
        let mut seen = 0;
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(100));
            seen = if peer.is_asleep() { seen + 1 } else { 0 };
            if seen == 4 {
                return true;
            }
        }
        false
    }

    /// Kills the victim at a moment of the seed's, and returns when.
    fn kill(&mut self) -> Instant {
        let role = role_of(self.victim);
        // Half of the sleepers are killed just as a message wakes them.
        self.woken = self.victim == Victim::Sleeper && self.dice.roll(2) == 0;
        let nanos = match self.victim {
            Victim::Sleeper if self.woken => self.dice.roll(150_000),
            _ => self.dice.roll(2_000_000),
        };
        if self.woken {
            self.ledger.producer(0).allow(1);
        }
        pause(nanos);
        let killed = Instant::now();
        self.party.kill(role);
        killed
    }

    /// Where only one may be attached: its replacement comes. Returns how it failed to.
    fn replace(&mut self, killed: Instant, on_stage: &mut Option<OnStage>) -> Option<Ended> {
        let role = other(role_of(self.victim));
        if !self.beside()
            && let Err(problem) = self.party.start(role)
        {
            return Some(Ended::Error(problem.to_string()));
        }
        // Where ends are connected, the peer of a sleeper finds the death only when it sends, and
        // the replacement cannot attach before.
        let bound = if self.victim == Victim::Sleeper { COMES_BACK } else { BOUND };
        let ended = self.wait(killed, on_stage, bound, |round| round.ledger.is_ready(role));
        self.came = self.victim == Victim::Sleeper || self.ledger.is_ready(role);
        ended
    }

    /// The survivors have as many messages to move as they get from here. Waits for them, and
    /// returns how one of them ended.
    fn go_on(&mut self, killed: Instant, on_stage: &mut Option<OnStage>) -> Option<Ended> {
        if !self.came {
            return None;
        }
        let survivor = if self.victim == Victim::Producer { 1 } else { 0 };
        let page = self.ledger.producer(survivor);
        if self.victim == Victim::Sleeper {
            // A single message has to wake the survivor, unless the victim took it.
            page.allow(1);
            if let Some(ended) = self.wait(killed, on_stage, BOUND, |round| round.accounts(None).is_complete()) {
                return Some(ended);
            }
            // The messages that follow show whether it is lost, or only no consumer woke.
            self.overdue = !self.accounts(None).is_complete();
        }
        let from = if page.limit() >= MESSAGES { page.returned() } else { page.limit() };
        page.allow((from + GOAL).min(MESSAGES));
        if let Some(ended) = self.wait(killed, on_stage, COMES_BACK, |round| round.accounts(None).is_complete()) {
            return Some(ended);
        }
        if self.accounts(None).is_almost_complete() {
            return None;
        }
        let ended = self.wait(killed, on_stage, BOUND - COMES_BACK, |round| round.accounts(None).is_complete());
        if ended.is_none() {
            std::thread::sleep(Duration::from_millis(1)); // for what comes twice
        }
        ended
    }

    fn accounts(&self, ended: Option<Ended>) -> Accounts {
        let mut goals = [None; SIDES];
        let survivor = if self.victim == Victim::Producer { 1 } else { 0 };
        goals[survivor] = Some(if self.came { self.ledger.producer(survivor).limit() } else { MESSAGES });
        let may_have_taken = self.victim == Victim::Consumer || self.woken;
        let dead = may_have_taken.then_some((0, self.rival.call));
        Accounts::read(&self.ledger, goals, dead, ended)
    }

    /// Waits until `done`, or until there was no progress for `bound`; leaves the stage if that
    /// takes long. Returns how a survivor ended meanwhile.
    fn wait(
        &mut self,
        killed: Instant,
        on_stage: &mut Option<OnStage>,
        bound: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Ended> {
        let starved = |party: &Party<'_>| party.peers().iter().map(Peer::starved).max().unwrap_or_default();
        let (mut since, mut progress, mut starved_then) = (Instant::now(), self.ledger.progress(), starved(&self.party));
        loop {
            if done(self) {
                return None;
            }
            if let Some((role, status)) = self.party.ended() {
                let text = self.ledger.wrong(role).unwrap_or_else(|| format!("it ended with {status}"));
                return Some(if status < 0 { Ended::Crash(format!("signal {}", -status)) } else { Ended::Error(text) });
            }
            let now = self.ledger.progress();
            if now != progress {
                (since, progress, starved_then) = (Instant::now(), now, starved(&self.party));
            } else if since.elapsed() > bound {
                let unfair = starved(&self.party).saturating_sub(starved_then);
                if since.elapsed() > (bound + unfair).min(LONGEST) {
                    return None;
                }
            }
            if killed.elapsed() > ON_STAGE && on_stage.take().is_some() {
                self.party.peers().iter().for_each(Peer::step_back);
            }
            std::thread::sleep(Duration::from_micros(if on_stage.is_some() { 100 } else { 3000 }));
        }
    }
}
