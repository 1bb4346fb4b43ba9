//! Topics beside queues, and the figures that they are to keep: one run, one table.
//!
//! `cargo bench --bench topic -- [--quick] [--json] [--check]
//! [TITLE]`; `--check` ends with status 1 if a target is missed (see `rounds`), a part of a title
//! leaves the others out.
//!
//! Beside other libraries: `cargo compare --only broadcast`.

mod baseline;
mod broadcasts;
mod flows;
mod forked;
mod ping_pong;
mod report;
mod rounds;
mod topics;

use forked::Placement::{Free, Pinned};
use report::Unit::MillionsPerSecond;
use rounds::{Effort, Flags, Plan};
use std::{process::ExitCode, time::Duration};
use topics::{Figure, cost, frames, paced, sleepers};

const FULL: Effort = Effort { repetitions: 11, sample: Duration::from_millis(60) };
const QUICK: Effort = Effort { repetitions: 5, sample: Duration::from_millis(15) };

const COST: &str = "publish cost by subscribers";
const PACED: &str = "a paced publisher";
const SLEEPERS: &str = "sleepers";
const FRAMES: &str = "frames in place";

fn plan() -> Plan {
    use broadcasts::{Batches, ByPublisher, ByTopic, InPlace, lossy};
    use flows::{endpoints_batch, endpoints_copy, flow_to_all};
    let mut plan = Plan::new();
    let of_eight = vec![
        (endpoints_copy::<1>(), None),
        (("publisher", flow_to_all::<ByPublisher<1>>()), None),
        (("topic, by lock", flow_to_all::<ByTopic<1>>()), None),
        (("publisher, lossy", lossy::<1>()), None),
        (endpoints_batch::<1>(), None),
        (("publisher, batch_32", flow_to_all::<Batches<1>>()), None),
    ];
    plan.group("1 to 1, 8 B", (1, 1), Pinned, MillionsPerSecond, of_eight);
    let of_a_line = vec![
        (endpoints_copy::<8>(), None),
        (("publisher", flow_to_all::<ByPublisher<8>>()), Some(0.9)),
        (("topic, by lock", flow_to_all::<ByTopic<8>>()), None),
        (("publisher, lossy", lossy::<8>()), None),
        (("publisher, in place", flow_to_all::<InPlace<8>>()), None),
        (endpoints_batch::<8>(), None),
        (("publisher, batch_32", flow_to_all::<Batches<8>>()), None),
    ];
    plan.group("1 to 1, 64 B", (1, 1), Pinned, MillionsPerSecond, of_a_line);
    let to_three = vec![
        (("publisher", flow_to_all::<ByPublisher<8>>()), None),
        (("publisher, batch_32", flow_to_all::<Batches<8>>()), None),
        (("publisher, lossy", lossy::<8>()), None),
    ];
    plan.group("1 to 3 on two cores, 64 B", (1, 3), Free, MillionsPerSecond, to_three);
    plan
}

fn main() -> ExitCode {
    let flags = Flags::given();
    let effort = Effort::chosen(&flags, FULL, QUICK);
    let mut plan = plan();
    plan.groups.retain(|group| flags.want(group.title));
    let has_groups = !plan.groups.is_empty();
    let titles = [COST, PACED, SLEEPERS, FRAMES];
    if !has_groups && !titles.iter().any(|title| flags.want(title)) {
        println!("no group has that title");
        return ExitCode::FAILURE;
    }
    let report = if has_groups { plan.measure(effort) } else { None };
    let has_two_cores = forked::kernel::separate_cores().len() > 1;
    if !has_two_cores {
        println!("one core: what runs between processes is not measured");
    }
    let mut figures: Vec<Figure> = Vec::new();
    if flags.want(COST) && has_two_cores {
        figures.extend(cost::figures(effort.repetitions, 40));
    }
    if flags.want(PACED) && has_two_cores {
        figures.extend(paced::figures(4 * effort.repetitions, effort.sample / 8));
    }
    if flags.want(SLEEPERS) {
        figures.extend(sleepers::figures(5 * effort.repetitions as u64));
    }
    if flags.want(FRAMES) {
        figures.extend(frames::figures(effort.repetitions));
    }
    if flags.has("--json") {
        let figures: Vec<_> = figures.iter().map(Figure::json).collect();
        let contestants = report.as_ref().map(|report| report.json());
        println!("{:#}", serde_json::json!({ "contestants": contestants, "figures": figures }));
    } else {
        report.iter().for_each(|report| print!("{report}"));
        println!("\nfigures, median [lowest..highest]");
        figures.iter().for_each(|figure| println!("{figure}"));
    }
    let misses = report.map_or(0, |report| report.misses()) + figures.iter().filter(|figure| figure.is_missed()).count();
    ExitCode::from(u8::from(flags.has("--check") && misses > 0))
}
