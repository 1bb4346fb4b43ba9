//! The plain `shared_memory` + `raw_sync` ring of `benches/baseline`, for ping-pongs and first
//! messages.

use crate::{
    baseline::Baseline,
    flows::{Transport, sum},
};
use std::ops::Range;

pub struct PlainRing<const W: usize>;

impl<const W: usize> Transport for PlainRing<W> {
    const WORDS: usize = W;
    type Host = Baseline;
    type Sender = Baseline;
    type Receiver = Baseline;

    fn create(name: &str, capacity: usize) -> Baseline {
        Baseline::create(name, capacity, W)
    }

    fn sender(name: &str) -> Baseline {
        Baseline::open(name)
    }

    fn receiver(name: &str) -> Baseline {
        Baseline::open(name)
    }

    fn send(ring: &Baseline, stamps: Range<u64>) {
        for stamp in stamps {
            ring.put(&[stamp; W]);
        }
    }

    fn receive(ring: &Baseline, count: u64) -> u64 {
        let mut message = [0; W];
        let mut total = 0_u64;
        for _ in 0..count {
            ring.get(&mut message);
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}
