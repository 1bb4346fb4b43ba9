//! Messages per second between forked processes, by size, number of processes and verb, beside the
//! plain baseline.
//!
//! `cargo bench --bench throughput`; a filter narrows it: `cargo bench --bench throughput --
//! 1x1/64_B`. 1x1 runs on two cores of its own, 2x2 and 4x4 wherever the scheduler puts them.
//! Endpoints exist once a side, hence in 1x1.

mod baseline;
mod flows;
mod forked;
mod measured;

use criterion::{Criterion, Throughput};
use flows::Contestant;
use forked::{Placement, Workers};
use measured::{Shape, measure};
use std::time::Duration;

const SHAPES: [Shape; 3] = [
    Shape { name: "1x1", producers: 1, consumers: 1, placement: Placement::Pinned },
    Shape { name: "2x2", producers: 2, consumers: 2, placement: Placement::Free },
    Shape { name: "4x4", producers: 4, consumers: 4, placement: Placement::Free },
];

/// The same for every size.
fn contestants<const W: usize>() -> Vec<Contestant> {
    vec![
        flows::baseline::<W>(),
        flows::copy::<W>(),
        flows::in_place::<W>(),
        flows::batch::<W>(),
        flows::endpoints_copy::<W>(),
        flows::endpoints_in_place::<W>(),
        flows::endpoints_batch::<W>(),
    ]
}

fn main() {
    let sizes = [
        ("8_B", 8, contestants::<1>()),
        ("64_B", 64, contestants::<8>()),
        ("1_KiB", 1 << 10, contestants::<128>()),
        ("64_KiB", 64 << 10, contestants::<{ 8 << 10 }>()),
        ("1_MiB", 1 << 20, contestants::<{ 128 << 10 }>()),
    ];
    let (mut rows, mut cases) = (Vec::new(), Vec::new());
    for (size, bytes, contestants) in sizes {
        let mut names = Vec::new();
        for (name, case) in contestants {
            names.push((name, cases.len()));
            cases.push(case);
        }
        rows.push((size, bytes, names));
    }
    let mut workers = Workers::fork(cases); // before criterion, which may start threads

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for shape in SHAPES {
        for (size, bytes, names) in &rows {
            let mut group = criterion.benchmark_group(format!("{}/{size}", shape.name));
            group.throughput(if *bytes < 4096 { Throughput::Elements(1) } else { Throughput::Bytes(*bytes) });
            for &(name, case) in names.iter().filter(|(name, _)| shape.producers == 1 || !name.starts_with("endpoints")) {
                measure(&mut group, name, &mut workers, case, shape);
            }
            group.finish();
        }
    }
    criterion.final_summary();
    workers.dismiss();
}
