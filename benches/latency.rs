//! Round trips of 64 bytes between two forked processes on two cores, beside what the machine
//! itself needs: a cache line passed back and forth for spinning, a futex for sleeping.
//!
//! `cargo bench --bench latency`; a filter narrows it: `cargo bench --bench latency -- spinning`.

mod baseline;
mod flows;
mod forked;
mod measured;
mod ping_pong;

use criterion::Criterion;
use forked::{Placement, Workers};
use measured::{Shape, measure};
use shmq::WaitStrategy::{Adaptive, Block, Spin};
use std::time::Duration;

const TWO: Shape = Shape { name: "1x1", producers: 1, consumers: 1, placement: Placement::Pinned };

fn main() {
    let groups = [
        (
            "round_trip/spinning",
            vec![
                ping_pong::bare_cache_line(),
                ping_pong::queue::<8>("queue", Spin),
                ping_pong::endpoints::<8>("endpoints", Spin),
            ],
        ),
        ("round_trip/default", vec![ping_pong::queue::<8>("queue", Adaptive), ping_pong::endpoints::<8>("endpoints", Adaptive)]),
        (
            "round_trip/blocking",
            vec![
                ping_pong::bare_futex(),
                ping_pong::queue::<8>("queue", Block),
                ping_pong::endpoints::<8>("endpoints", Block),
                ping_pong::baseline(),
            ],
        ),
    ];
    let (mut rows, mut cases) = (Vec::new(), Vec::new());
    for (group, contestants) in groups {
        for (name, case) in contestants {
            rows.push((group, name, cases.len()));
            cases.push(case);
        }
    }
    let mut workers = Workers::fork(cases); // before criterion, which may start threads

    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for row in rows.chunk_by(|a, b| a.0 == b.0) {
        let mut group = criterion.benchmark_group(row[0].0);
        for &(_, name, case) in row {
            measure(&mut group, name, &mut workers, case, TWO);
        }
        group.finish();
    }
    criterion.final_summary();
    workers.dismiss();
}
