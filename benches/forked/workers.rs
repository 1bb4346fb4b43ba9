//! The parent's side: seats parties, starts samples, checks their results, and prints the state of
//! every worker if one hangs.

use super::{
    kernel,
    seat::{Case, Control, Desk, Host, NOT_PINNED, Order, PHASES, Placement, WORKERS, name_of, work},
};
use std::{
    fmt,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
    time::{Duration, Instant},
};

/// An order that is not answered by then is a hang, whatever the case.
const HANG: Duration = Duration::from_secs(30);
/// Sleeps are cut to this, to check for dead workers and for the deadline.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

struct Worker {
    pid: libc::pid_t,
    running: bool,
}

struct Party {
    case: usize,
    host: Box<dyn Host>,
    producers: u32,
    consumers: u32,
}

/// Why a party failed. The workers are of no more use.
#[derive(Debug)]
pub struct Fault {
    pub why: String,
    /// Messages that the producers had sent and the consumers had received by then, as far as they
    /// had noted it.
    pub sent: u64,
    pub received: u64,
}

/// The forked workers, seen by the parent.
pub struct Workers {
    control: &'static Control,
    cases: Vec<Box<dyn Case>>,
    workers: Vec<Worker>,
    cores: Vec<usize>,
    party: Option<Party>,
}

impl Workers {
    /// Forks the workers. The process must still have one thread.
    pub fn fork(cases: Vec<Box<dyn Case>>) -> Workers {
        let control: &'static Control = kernel::share();
        let (cores, bench) = (kernel::separate_cores(), std::process::id());
        let mut workers = Workers { control, cases, workers: Vec::new(), cores, party: None };
        for desk in &control.desks {
            let pid = kernel::fork(|| work(control, desk, &workers.cases, bench));
            workers.workers.push(Worker { pid, running: true });
        }
        workers
    }

    /// The cores that a pinned party uses, in the order of its members.
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// Seats `producers` and `consumers` at a case and waits until all are attached. A party that
    /// cannot ends the bench.
    pub fn seat(&mut self, case: usize, producers: u32, consumers: u32, placement: Placement) {
        self.try_seat(case, producers, consumers, placement).unwrap_or_else(|fault| self.fail(&fault.why));
    }

    /// As [`seat`](Workers::seat), for a bench that goes on with other workers.
    pub fn try_seat(&mut self, case: usize, producers: u32, consumers: u32, placement: Placement) -> Result<(), Fault> {
        let name = name_of(std::process::id(), case);
        let host = self.cases[case].create(&name);
        let party = producers + consumers;
        assert!(self.party.is_none() && party as usize <= WORKERS, "a party is seated, or {party} is too large a one");
        self.party = Some(Party { case, host, producers, consumers });
        for (member, desk) in (0..party).zip(&self.control.desks) {
            let core = placement.core(&self.cores, member as usize);
            desk.cpu.store(core.map_or(NOT_PINNED, |core| core as i32), Relaxed);
            desk.case.store(case as u32, Relaxed);
            desk.member.store(member, Relaxed);
            desk.producers.store(producers, Relaxed);
            desk.party.store(party, Relaxed);
        }
        self.order(Order::Join)?;
        self.party.as_ref().expect("seated above").host.unlink();
        Ok(())
    }

    /// Moves at least `messages` through the seated party (without consumers, its producers receive
    /// as well, and check what they do); returns how many and the time from the
    /// first start to the last end. Checks that all arrived, by number and by sum; if not, it ends
    /// the bench.
    pub fn run(&mut self, messages: u64) -> (u64, Duration) {
        self.try_run(messages).unwrap_or_else(|fault| self.fail(&fault.why))
    }

    /// As [`run`](Workers::run), for a bench that goes on with other workers.
    pub fn try_run(&mut self, messages: u64) -> Result<(u64, Duration), Fault> {
        let Party { case, producers, consumers, .. } = *self.party.as_ref().expect("a party is seated");
        let copies = if self.cases[case].is_broadcast() { u64::from(consumers) } else { 1 };
        let total = messages.max(1).next_multiple_of(u64::from(producers * consumers.max(1)));
        let (sent, received) = self.control.desks[..(producers + consumers) as usize].split_at(producers as usize);
        sent.iter().for_each(|desk| desk.share.store(total / u64::from(producers), Relaxed));
        received.iter().for_each(|desk| desk.share.store(total * copies / u64::from(consumers), Relaxed));
        let received = if consumers == 0 { sent } else { received };
        self.control.at_start.store(0, Relaxed);
        self.order(Order::Run)?;
        let sum = |desks: &[Desk], of: fn(&Desk) -> u64| desks.iter().map(of).fold(0, u64::wrapping_add);
        let moved = |desk: &Desk| desk.moved.load(Relaxed);
        let checksum = |desk: &Desk| desk.checksum.load(Relaxed);
        let torn = sum(received, |desk| desk.torn.load(Relaxed));
        let written = sum(sent, checksum);
        // Of a broadcast, each consumer has to have all messages; of others, all consumers
        // together.
        let arrived = |desk: &Desk| moved(desk) == total && checksum(desk) == written;
        let arrived = match copies {
            1 => sum(received, moved) == total && sum(received, checksum) == written,
            _ => received.iter().all(arrived),
        };
        if sum(sent, moved) != total || !arrived || torn > 0 {
            return Err(self.fault(format!("messages of {total} lost, duplicated or damaged, {torn} of them torn")));
        }
        let start = sent.iter().chain(received).map(|desk| desk.start_nanos.load(Relaxed)).min();
        let end = sent.iter().chain(received).map(|desk| desk.end_nanos.load(Relaxed)).max();
        Ok((total, Duration::from_nanos(end.zip(start).map_or(0, |(end, start)| end - start))))
    }

    /// Nanoseconds on processors that each member spent in the last run, producers first.
    pub fn cpu_nanos(&self) -> Vec<u64> {
        let members = self.party.as_ref().map_or(0, |party| party.producers + party.consumers) as usize;
        self.control.desks[..members].iter().map(|desk| desk.cpu_nanos.load(Relaxed)).collect()
    }

    /// How often threads of the members have left a processor in the last run.
    pub fn switches(&self) -> u64 {
        let members = self.party.as_ref().map_or(0, |party| party.producers + party.consumers) as usize;
        self.control.desks[..members].iter().map(|desk| desk.switches.load(Relaxed)).sum()
    }

    /// Dismisses the party and drops what the parent held for it.
    pub fn clear(&mut self) {
        self.try_clear().unwrap_or_else(|fault| self.fail(&fault.why));
    }

    /// As [`clear`](Workers::clear), for a bench that goes on with other workers.
    pub fn try_clear(&mut self) -> Result<(), Fault> {
        self.order(Order::Leave)?;
        self.party = None;
        Ok(())
    }

    /// Kills the workers, whatever they do; returns the cases, for other workers.
    pub fn abandon(mut self) -> Vec<Box<dyn Case>> {
        self.end_workers();
        self.party = None;
        std::mem::take(&mut self.cases)
    }

    /// Ends the workers and checks how they ended.
    pub fn dismiss(mut self) {
        for (worker, desk) in self.workers.iter_mut().zip(&self.control.desks) {
            give(desk, Order::Exit);
            let status = kernel::ended(worker.pid, true);
            worker.running = false;
            assert_eq!(status, Some(0), "worker {} ended with this status", worker.pid);
        }
    }

    /// Gives the party an order and waits for its answer.
    fn order(&mut self, order: Order) -> Result<(), Fault> {
        let party = self.party.as_ref().map_or(0, |party| party.producers + party.consumers);
        self.control.answers.store(0, Relaxed);
        self.control.desks[..party as usize].iter().for_each(|desk| give(desk, order));
        let deadline = Instant::now() + HANG;
        loop {
            let answers = self.control.answers.load(Acquire);
            if answers == party {
                return Ok(());
            }
            kernel::futex_wait(&self.control.answers, answers, Some(CHECK_INTERVAL));
            for at in 0..self.workers.len() {
                if let Some(status) = kernel::ended(self.workers[at].pid, false) {
                    self.workers[at].running = false;
                    return Err(self.fault(format!("worker {at} ended with status {status}")));
                }
            }
            if Instant::now() > deadline {
                return Err(self.fault(format!("no answer within {HANG:?}")));
            }
        }
    }

    fn fault(&self, why: String) -> Fault {
        let moved = |desks: &[Desk]| desks.iter().map(|desk| desk.moved.load(Relaxed)).sum();
        let (producers, party) = self.party.as_ref().map_or((0, 0), |party| (party.producers, party.producers + party.consumers));
        let (sent, received) = self.control.desks[..party as usize].split_at(producers as usize);
        Fault { why, sent: moved(sent), received: moved(received) }
    }

    /// Prints the state of every worker, ends the workers and the bench.
    fn fail(&mut self, why: &str) -> ! {
        eprintln!("bench failed: {why}\n{self:?}");
        self.end_workers();
        std::process::exit(1);
    }

    fn end_workers(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.running) {
            kernel::kill(worker.pid);
            kernel::ended(worker.pid, true);
            worker.running = false;
        }
    }
}

/// Publishes an order (Invariant 1 of `forked`).
fn give(desk: &Desk, order: Order) {
    desk.order.store(order as u32, Relaxed);
    desk.ordered.fetch_add(1, Release);
    kernel::futex_wake(&desk.ordered);
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end_workers();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(party) = &self.party else { return f.write_str("no party is seated") };
        writeln!(f, "case {}, {}x{}: {}", party.case, party.producers, party.consumers, party.host.state())?;
        let members = self.workers.iter().zip(&self.control.desks).take((party.producers + party.consumers) as usize);
        for (member, (worker, desk)) in members.enumerate() {
            let role = if (member as u32) < party.producers { "producer" } else { "consumer" };
            let phase = PHASES.get(desk.phase.load(Relaxed) as usize).unwrap_or(&"?");
            let (moved, share) = (desk.moved.load(Relaxed), desk.share.load(Relaxed));
            let doing = if worker.running { kernel::activity(worker.pid) } else { "ended".into() };
            writeln!(f, "  {role} {member}, pid {}, {phase}, moved {moved} of {share}, {doing}", worker.pid)?;
        }
        Ok(())
    }
}
