//! The registry: every rival, in the groups in which it is measured.

use super::{
    boost::{self, BoostMq},
    bytes::Words,
    disruptor::Disruptor,
    iceoryx::{FirstSample, Iceoryx},
    ipc::IpcChannel,
    mq::{self, PosixMq},
    pipe::Pipe,
    plain_ring::PlainRing,
    python, rings,
    seqpacket::{FirstPair, SeqPacket},
    threads::{Array, Crossbeam, CrossbeamBoxes, CrossbeamSpinning, Kanal, Rtrb, RtrbChunks, StdSync},
};
use crate::{
    first_message::{ByName, first_message},
    flows::{self, BATCH, flow, flow_to_all},
    forked::{Case, Host},
    idle::idle,
    ping_pong::{Turns, ping_pong, sleeping_ping_pong},
    runner::Measure,
    threads,
};
use How::{InThreads, Processes, Python};
use std::time::Duration;

/// Words of a 64-byte message.
const LINE: usize = 8;
/// From here on, messages between threads are owned by pointers.
pub const LARGE_WORDS: usize = 8192;

/// A rival in one group.
pub struct Rival {
    pub name: String,
    pub how: How,
}

/// How a rival is measured.
pub enum How {
    /// By forked workers, which the plan gives the case.
    Processes(Box<dyn Case>),
    /// By a Python program.
    Python(Measure),
    /// By threads of this process.
    InThreads(Measure),
}

fn rival(name: impl Into<String>, how: How) -> Rival {
    Rival { name: name.into(), how }
}

fn between_processes(name: &str, case: Box<dyn Case>) -> Rival {
    rival(name, Processes(case))
}

/// Rows of the rings in shared memory.
fn of_rings(rows: Vec<rings::Row>) -> impl Iterator<Item = Rival> {
    rows.into_iter().map(|(name, case)| between_processes(name, case))
}

fn between_threads(name: &str, measure: Measure) -> Rival {
    rival(name, InThreads(measure))
}

/// The rivals that this machine can run.
pub struct Registry {
    /// Kinds of the Python program, and their names in the tables.
    python: Vec<(&'static str, &'static str)>,
    /// Rivals that are left out, and why.
    pub notes: Vec<String>,
}

impl Registry {
    pub fn new(with_python: bool) -> Registry {
        let mut notes = Vec::new();
        let python = if with_python { python::kinds(&mut notes) } else { Vec::new() };
        if !boost::BUILT {
            notes.push("boost message_queue: skipped, built without its headers (Debian: libboost-dev, then cargo clean)".into());
        }
        notes.extend(rings::absent());
        Registry { python, notes }
    }

    /// Messages of `W` words, as fast as they go.
    pub fn throughput<const W: usize>(&mut self, sides: u32, with_python: bool) -> Vec<Rival> {
        let bytes = W * 8;
        let mut rivals = Vec::new();
        if sides == 1 {
            rivals.push(between_processes("iceoryx2", flow::<Iceoryx<W, false>>()));
            rivals.push(between_processes("ipc-channel", flow::<IpcChannel<W>>()));
            rivals.extend(of_rings(rings::one_to_one::<W>()));
        } else {
            rivals.extend(of_rings(rings::several::<W>()));
        }
        rivals.push(between_processes("shared_memory + raw_sync ring", flows::baseline::<W>().1));
        if boost::BUILT {
            rivals.push(between_processes("boost message_queue", flow::<Words<BoostMq, W>>()));
        }
        if self.has_mq(bytes) {
            rivals.push(between_processes("POSIX mq", flow::<Words<PosixMq, W>>()));
        }
        if sides == 1 || bytes <= libc::PIPE_BUF {
            rivals.push(between_processes("pipe", flow::<Words<Pipe, W>>()));
        }
        if sides == 1 && bytes < 1 << 20 {
            rivals.push(between_processes("SOCK_SEQPACKET", flow::<Words<SeqPacket, W>>()));
        }
        if with_python {
            rivals.extend(self.python(|kind| python::flow(kind, bytes, sides)));
        }
        let capacity = flows::capacity(W);
        if const { W >= LARGE_WORDS } {
            rivals.push(between_threads("crossbeam-channel of boxes", threads::flow::<CrossbeamBoxes<W>>(capacity, 1)));
            return rivals;
        }
        rivals.push(between_threads("crossbeam-channel", threads::flow::<Crossbeam<W>>(capacity, sides)));
        rivals.push(between_threads("crossbeam ArrayQueue", threads::flow::<Array<W>>(capacity, sides)));
        rivals.push(between_threads("kanal", threads::flow::<Kanal<W>>(capacity, sides)));
        if sides == 1 {
            rivals.push(between_threads("std sync_channel", threads::flow::<StdSync<W>>(capacity, sides)));
            rivals.push(between_threads("rtrb", threads::flow::<Rtrb<W>>(capacity, sides)));
            rivals.push(between_threads("rtrb, 32 a call", threads::flow::<RtrbChunks<W>>(capacity, sides)));
            rivals.push(between_threads("disruptor", threads::flow::<Disruptor<W, 1>>(capacity, sides)));
            rivals.push(between_threads("disruptor, 32 a call", threads::flow::<Disruptor<W, BATCH>>(capacity, sides)));
        }
        rivals
    }

    /// Messages of `W` words, one to one, by what can give them to several.
    pub fn broadcast_to_one<const W: usize>(&self) -> Vec<Rival> {
        let mut rivals = vec![between_processes("iceoryx2", flow_to_all::<Iceoryx<W, false>>())];
        rivals.extend(of_rings(rings::broadcasts_to_one::<W>()));
        rivals
    }

    /// Messages of `W` words, each to three consumers.
    pub fn broadcast_to_three<const W: usize>(&self) -> Vec<Rival> {
        let mut rivals = vec![between_processes("iceoryx2", flow_to_all::<Iceoryx<W, false, 3>>())];
        if const { W < LARGE_WORDS } {
            rivals.push(between_processes("iceoryx2, event", flow_to_all::<Iceoryx<W, true, 3>>()));
        }
        rivals.extend(of_rings(rings::broadcasts_to_three::<W>()));
        rivals
    }

    /// Round trips of 64 B; both sides spin.
    pub fn spinning(&self, times: &'static Turns) -> Vec<Rival> {
        let mut rivals = vec![between_processes("iceoryx2, polled", ping_pong::<Iceoryx<LINE, false>>(times, 0))];
        rivals.extend(of_rings(rings::spinning(times)));
        rivals.extend([
            between_threads("rtrb", threads::ping_pong::<Rtrb<LINE>>(false)),
            between_threads("disruptor", threads::ping_pong::<Disruptor<LINE, 1>>(false)),
            between_threads("crossbeam-channel, polled", threads::ping_pong::<CrossbeamSpinning<LINE>>(false)),
            between_threads("crossbeam ArrayQueue", threads::ping_pong::<Array<LINE>>(false)),
        ]);
        rivals
    }

    /// Round trips of 64 B; each message wakes its receiver.
    pub fn blocking(&mut self, times: &'static Turns) -> Vec<Rival> {
        let mut rivals = vec![
            between_processes("iceoryx2, event", sleeping_ping_pong::<Iceoryx<LINE, true>>(times)),
            between_processes("ipc-channel", sleeping_ping_pong::<IpcChannel<LINE>>(times)),
            between_processes("shared_memory + raw_sync ring", sleeping_ping_pong::<PlainRing<LINE>>(times)),
        ];
        if boost::BUILT {
            rivals.push(between_processes("boost message_queue", sleeping_ping_pong::<Words<BoostMq, LINE>>(times)));
        }
        if self.has_mq(LINE * 8) {
            rivals.push(between_processes("POSIX mq", sleeping_ping_pong::<Words<PosixMq, LINE>>(times)));
        }
        rivals.push(between_processes("pipe", sleeping_ping_pong::<Words<Pipe, LINE>>(times)));
        rivals.push(between_processes("SOCK_SEQPACKET", sleeping_ping_pong::<Words<SeqPacket, LINE>>(times)));
        rivals.extend(of_rings(rings::blocking(times)));
        rivals.extend(self.python(python::ping_pong));
        rivals.push(between_threads("crossbeam-channel", threads::ping_pong::<Crossbeam<LINE>>(true)));
        rivals.push(between_threads("std sync_channel", threads::ping_pong::<StdSync<LINE>>(true)));
        rivals.push(between_threads("kanal", threads::ping_pong::<Kanal<LINE>>(true)));
        rivals
    }

    /// From nothing to the first message.
    pub fn creation(&mut self, times: &'static Turns) -> Vec<Rival> {
        let mut rivals = vec![
            between_processes("iceoryx2", first_message::<FirstSample<true>>(times)),
            between_processes("iceoryx2, one node", first_message::<FirstSample<false>>(times)),
            between_processes("shared_memory + raw_sync ring", first_message::<ByName<PlainRing<LINE>>>(times)),
        ];
        if boost::BUILT {
            rivals.push(between_processes("boost message_queue", first_message::<ByName<Words<BoostMq, LINE>>>(times)));
        }
        if self.has_mq(LINE * 8) {
            rivals.push(between_processes("POSIX mq", first_message::<ByName<Words<PosixMq, LINE>>>(times)));
        }
        rivals.push(between_processes("pipe", first_message::<ByName<Words<Pipe, LINE>>>(times)));
        rivals.push(between_processes("SOCK_SEQPACKET pair", first_message::<FirstPair>(times)));
        rivals.extend(of_rings(rings::creation(times)));
        rivals.extend(self.python(python::first));
        rivals
    }

    /// CPU time of a receiver that waits `lasts` for its message.
    pub fn idle(&self, lasts: Duration) -> Vec<Rival> {
        let mut rivals = vec![
            between_processes("iceoryx2, event", idle::<Iceoryx<LINE, true>>(lasts)),
            between_processes("iceoryx2, polled", idle::<Iceoryx<LINE, false>>(lasts)),
            between_processes("shared_memory + raw_sync ring", idle::<PlainRing<LINE>>(lasts)),
        ];
        if boost::BUILT {
            rivals.push(between_processes("boost message_queue", idle::<Words<BoostMq, LINE>>(lasts)));
        }
        rivals.push(between_processes("pipe", idle::<Words<Pipe, LINE>>(lasts)));
        rivals.extend(of_rings(rings::idling(lasts)));
        rivals.extend(self.python(python::idle));
        rivals
    }

    /// 64 B messages, both sides on one core.
    pub fn one_core(&mut self) -> Vec<Rival> {
        let mut rivals = vec![
            between_processes("iceoryx2, event", flow::<Iceoryx<LINE, true>>()),
            between_processes("shared_memory + raw_sync ring", flows::baseline::<LINE>().1),
        ];
        if boost::BUILT {
            rivals.push(between_processes("boost message_queue", flow::<Words<BoostMq, LINE>>()));
        }
        if self.has_mq(LINE * 8) {
            rivals.push(between_processes("POSIX mq", flow::<Words<PosixMq, LINE>>()));
        }
        rivals.push(between_processes("pipe", flow::<Words<Pipe, LINE>>()));
        rivals.push(between_processes("SOCK_SEQPACKET", flow::<Words<SeqPacket, LINE>>()));
        rivals.extend(of_rings(rings::one_core()));
        let capacity = flows::capacity(LINE);
        rivals.push(between_threads("crossbeam-channel", threads::flow_on_one_core::<Crossbeam<LINE>>(capacity)));
        rivals.push(between_threads("std sync_channel", threads::flow_on_one_core::<StdSync<LINE>>(capacity)));
        rivals.push(between_threads("kanal", threads::flow_on_one_core::<Kanal<LINE>>(capacity)));
        rivals
    }

    /// 64 B messages through channels of these capacities.
    pub fn growth(&self, capacities: &[usize]) -> Vec<Rival> {
        let rtrb = |&capacity: &usize| rival(format!("rtrb, {capacity}"), InThreads(threads::flow::<Rtrb<LINE>>(capacity, 1)));
        let crossbeam = |&capacity: &usize| {
            rival(format!("crossbeam-channel, {capacity}"), InThreads(threads::flow::<Crossbeam<LINE>>(capacity, 1)))
        };
        capacities.iter().map(rtrb).chain(capacities.iter().map(crossbeam)).collect()
    }

    fn python(&self, measure: impl Fn(&'static str) -> Measure) -> Vec<Rival> {
        self.python.iter().map(|&(kind, name)| rival(name, Python(measure(kind)))).collect()
    }

    /// Does the system grant a POSIX queue for messages of this size? If not, notes why.
    fn has_mq(&mut self, bytes: usize) -> bool {
        let made = mq::create(&format!("{}-probe", std::process::id()), 1024, bytes);
        let note = match made {
            Ok(queue) => {
                Host::unlink(&queue);
                return true;
            }
            Err(problem) => format!("POSIX mq of {bytes} B messages: skipped, {problem} (see /proc/sys/fs/mqueue)"),
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        false
    }
}
