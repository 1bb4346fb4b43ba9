//! The rivals whose processes are killed. A line each: how it moves a 64 B message, and how many
//! producers and consumers may be attached at once.

use super::{
    Rival,
    broadcast::Recovering,
    iceoryx::Waking,
    leases::{EndpointLeases, QueueLeases},
};
#[cfg(feature = "tachyon")]
use crate::rivals::tachyon::Tachyon;
use crate::{
    forked::Host,
    rivals::{
        SLEEPS,
        boost::{self, BoostMq},
        bytes::Words,
        cloudtoid::Cloudtoid,
        ipc::IpcChannel,
        mq::{self, PosixMq},
        pipe::Pipe,
        plain_ring::PlainRing,
        python,
        ringfire::Ringfire,
        seqpacket::SeqPacket,
        shaq::{Mpmc, Spsc},
    },
    shmq_ways::{ADAPTIVE, ByEndpoints, ByQueue},
};

/// Words of a 64-byte message.
const LINE: usize = 8;

/// Those that this machine can run. The registry has the notes about the others.
pub fn rivals(with_python: bool) -> Vec<Rival> {
    let mut rivals = vec![
        Rival::new::<ByQueue<LINE, ADAPTIVE>>("shmq Queue"),
        Rival::new::<ByEndpoints<LINE, ADAPTIVE>>("shmq Producer/Consumer").one_producer().one_consumer(),
        Rival::new::<QueueLeases>("shmq Queue, loan and lease"),
        Rival::new::<EndpointLeases>("shmq Producer/Consumer, loan and lease").one_producer().one_consumer(),
        Rival::new::<PlainRing<LINE>>("shared_memory + raw_sync ring"),
        Rival::new::<Waking>("iceoryx2, event").one_consumer(),
    ];
    if boost::BUILT {
        rivals.push(Rival::new::<Words<BoostMq, LINE>>("boost message_queue"));
    }
    rivals.extend([
        Rival::new::<Spsc<LINE, 1, true>>("shaq spsc").one_producer().one_consumer(),
        Rival::new::<Mpmc<LINE, 1, true>>("shaq mpmc"),
        Rival::new::<Recovering>("shaq broadcast").one_producer().one_consumer(),
        Rival::new::<Ringfire<LINE, 1, SLEEPS>>("ringfire").one_producer().one_consumer(),
        Rival::new::<Cloudtoid<LINE, true>>("cloudtoid-interprocess"),
    ]);
    #[cfg(feature = "tachyon")]
    rivals.push(Rival::new::<Tachyon<LINE, 1, true>>("tachyon-ipc").one_producer().one_consumer());
    rivals.push(Rival::new::<Words<Pipe, LINE>>("pipe"));
    if has_mq() {
        rivals.push(Rival::new::<Words<PosixMq, LINE>>("POSIX mq"));
    }
    rivals.push(Rival::new::<Words<SeqPacket, LINE>>("SOCK_SEQPACKET").one_producer().one_consumer());
    rivals.push(Rival::new::<IpcChannel<LINE>>("ipc-channel").one_producer().one_consumer());
    if with_python {
        let mut noted_by_the_registry = Vec::new();
        let python = python::kinds(&mut noted_by_the_registry);
        // faster-fifo takes up to 32 a call.
        rivals.extend(python.into_iter().map(|(kind, name)| Rival::python(kind, name, if kind == "fifo" { 32 } else { 1 })));
    }
    rivals
}

fn has_mq() -> bool {
    mq::create(&format!("{}-kills", std::process::id()), 64, LINE * 8).map(|queue| Host::unlink(&queue)).is_ok()
}
