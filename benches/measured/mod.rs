//! One contestant in a criterion group: a party is seated at criterion's first measurement, so that
//! a filter costs nothing.

use crate::forked::{Placement, Workers};
use criterion::{BenchmarkGroup, SamplingMode, measurement::WallTime};
use std::time::Duration;

/// The processes that move the messages of a group.
#[derive(Clone, Copy)]
pub struct Shape {
    #[allow(dead_code)] // latency knows one shape only
    pub name: &'static str,
    pub producers: u32,
    pub consumers: u32,
    pub placement: Placement,
}

/// Measures the time of one message: an iteration is a message, or a round trip.
pub fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, workers: &mut Workers, case: usize, shape: Shape) {
    group.sampling_mode(SamplingMode::Flat); // every sample as long as a start line and a rest of a batch need
    let mut seated = false;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|messages| {
            if !seated {
                workers.seat(case, shape.producers, shape.consumers, shape.placement);
                seated = true;
            }
            let (moved, elapsed) = workers.run(messages);
            Duration::from_secs_f64(elapsed.as_secs_f64() * messages as f64 / moved as f64)
        });
    });
    if seated {
        workers.clear();
    }
}
