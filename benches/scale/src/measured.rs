//! What was measured on two cores (`docs/performance.md`, the table of throughput), and how far from
//! it the model may be.

use crate::lines::{Costs, Ps};
use crate::run::{Outcome, Setting, run};
use crate::shape::{Shape, Way};

pub struct Measured {
    pub name: &'static str,
    pub way: Way,
    pub message_bytes: u64,
    pub batch: u64,
    /// Putters, and as many getters.
    pub pairs: usize,
    /// Messages a microsecond.
    pub rate: f64,
}

const fn row(name: &'static str, way: Way, (message_bytes, batch): (u64, u64), pairs: usize, rate: f64) -> Measured {
    Measured { name, way, message_bytes, batch, pairs, rate }
}

/// The model is at most this factor above or below.
#[cfg(test)]
pub const WITHIN: f64 = 1.5;

pub const TWO_CORES: [Measured; 12] = [
    row("Queue, 8 B, 1x1", Way::Queue, (8, 1), 1, 87.2),
    row("Queue, 64 B, 1x1", Way::Queue, (64, 1), 1, 55.6),
    row("Queue, 64 B, 2x2", Way::Queue, (64, 1), 2, 53.6),
    row("Queue, 64 B, 4x4", Way::Queue, (64, 1), 4, 47.8),
    row("Queue, 8 B by 32, 1x1", Way::Queue, (8, 32), 1, 208.0),
    row("Queue, 64 B by 32, 1x1", Way::Queue, (64, 32), 1, 81.3),
    row("Queue, 64 B by 32, 2x2", Way::Queue, (64, 32), 2, 68.7),
    row("Queue, 64 B by 32, 4x4", Way::Queue, (64, 32), 4, 71.0),
    row("endpoints, 8 B, 1x1", Way::Endpoints, (8, 1), 1, 189.0),
    row("endpoints, 64 B, 1x1", Way::Endpoints, (64, 1), 1, 76.9),
    row("endpoints, 8 B by 32, 1x1", Way::Endpoints, (8, 32), 1, 154.0),
    row("endpoints, 64 B by 32, 1x1", Way::Endpoints, (64, 32), 1, 84.1),
];

const MS: Ps = 1_000_000_000;

impl Measured {
    pub fn modelled(&self, costs: Costs) -> Outcome {
        let Measured { way, message_bytes, batch, pairs, .. } = *self;
        let shape = Shape { way, message_bytes, batch, ..Shape::ONE_LANE };
        // Long enough for several time slices, where processes share cores.
        let until = if pairs > 1 { 40 * MS } else { MS };
        run(Setting { shape, costs, cores: 2, putters: pairs, getters: pairs, until, most: u64::MAX })
    }
}
