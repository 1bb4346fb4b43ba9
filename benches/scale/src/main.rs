//! A model of shmq on 2 to 64 cores: prints how far it is from what was measured on two, and what it
//! says of more.

mod amdahl;
mod lines;
mod measured;
mod protocol;
mod random;
mod ring;
mod run;
#[cfg(test)]
mod tests;

use amdahl::bound;
use lines::{Costs, Ps};
use measured::TWO_CORES;
use protocol::{Shape, Turn, Way};
use run::{Setting, run};

const MESSAGE_BYTES: u64 = 64;
const US: Ps = 1_000_000;

fn until(costs: &Costs) -> Ps {
    // As many messages far apart as near, about.
    1_000 * US * costs.transfer / Costs::NEAR.transfer
}

fn print_check() {
    println!("Two cores: the model beside docs/performance.md (M messages/s)\n");
    println!("| | measured | model | model / measured | model, far |\n|---|---|---|---|---|");
    for row in TWO_CORES {
        let (near, far) = (row.modelled(Costs::NEAR).rate, row.modelled(Costs::FAR).rate);
        println!("| {} | {} | {near:.1} | {:.2} | {far:.1} |", row.name, row.rate, near / row.rate);
    }
}

/// The bound, near, far.
fn cell(shape: Shape, pairs: usize) -> String {
    let rate = |costs: Costs| {
        run(Setting { shape, costs, cores: 2 * pairs, putters: pairs, getters: pairs, until: until(&costs) + 20 * shape.work })
            .rate
    };
    let digits = |rate: f64| if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    let bound = bound(&shape, &Costs::NEAR, pairs);
    format!("{} / {} ({})", digits(rate(Costs::NEAR)), digits(rate(Costs::FAR)), digits(bound))
}

fn print_scale(work: Ps) {
    println!("\n64 B, {} us of work a message on each side: near / far (bound of the locks), M messages/s\n", work / US);
    println!("| | 2 cores | 4 | 16 | 64 |\n|---|---|---|---|---|");
    let base =
        Shape { way: Way::Queue, message_bytes: MESSAGE_BYTES, batch: 1, lanes: 1, turn: Turn::Home, work, each: u64::MAX };
    println!("| endpoints, 1x1 | {} | | | |", cell(Shape { way: Way::Endpoints, ..base }, 1));
    for (lanes, turn, name) in [
        (1, Turn::Home, ""),
        (2, Turn::Home, ", 2 lanes, own first"),
        (4, Turn::Next, ", 4 lanes in turn"),
        (4, Turn::Home, ", 4 lanes, own first"),
        (16, Turn::Next, ", 16 lanes in turn"),
        (16, Turn::Home, ", 16 lanes, own first"),
    ] {
        for batch in [1, 32] {
            let calls = if batch == 1 { "" } else { ", 32 a call" };
            let shape = Shape { lanes, turn, batch, ..base };
            let cells: Vec<String> = [1, 2, 8, 32]
                .iter()
                .map(|&pairs| if lanes == 1 || pairs >= lanes { cell(shape, pairs) } else { "-".to_string() })
                .collect();
            println!("| `Queue` NxN{calls}{name} | {} |", cells.join(" | "));
        }
    }
}

fn main() {
    print_check();
    print_scale(0);
    print_scale(US);
}
