//! A model of shmq on 2 to 64 cores: prints how far it is from what was measured on two, and what it
//! says of more.

mod amdahl;
mod lines;
mod measured;
mod protocol;
mod random;
mod ring;
mod run;
mod shape;
#[cfg(test)]
mod tests;

use amdahl::bound;
use lines::{Costs, Ps};
use measured::TWO_CORES;
use run::{Setting, run};
use shape::{Shape, Turn, Way};

const US: Ps = 1_000_000;

/// Contended locks settle only after milliseconds.
const UNTIL: Ps = 30_000 * US;
const MOST: u64 = 300_000;

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
    let (cores, until, most) = (2 * pairs, UNTIL, MOST);
    let rate = |costs| run(Setting { shape, costs, cores, putters: pairs, getters: pairs, until, most }).rate;
    let digits = |rate: f64| if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    let bound = bound(&shape, &Costs::NEAR, pairs);
    format!("{} / {} ({})", digits(rate(Costs::NEAR)), digits(rate(Costs::FAR)), digits(bound))
}

fn print_scale(work: Ps) {
    println!("\n64 B, {} us of work a message on each side: near / far (bound of the locks), M messages/s\n", work / US);
    println!("| | 2 cores | 4 | 16 | 64 |\n|---|---|---|---|---|");
    let one = Shape { work, ..Shape::ONE_LANE };
    println!("| endpoints, 1x1 | {} | | | |", cell(Shape { way: Way::Endpoints, ..one }, 1));
    for (name, shape) in [
        ("", one),
        (", 2 lanes, own first", Shape { lanes: 2, ..one }),
        (", 4 lanes, own first", Shape { lanes: 4, ..one }),
        (", 4 lanes in turn", Shape { lanes: 4, turn: Turn::Next, ..one }),
        (", 16 lanes, own first", Shape { lanes: 16, ..one }),
        (", 16 lanes in turn", Shape { lanes: 16, turn: Turn::Next, ..one }),
    ] {
        for (batch, calls) in [(1, ""), (32, ", 32 a call")] {
            // Lanes need a putter and a getter each.
            let cells = [1, 2, 8, 32].map(|pairs| match shape.lanes <= pairs {
                true => cell(Shape { batch, ..shape }, pairs),
                false => "-".to_string(),
            });
            println!("| `Queue` NxN{calls}{name} | {} |", cells.join(" | "));
        }
    }
}

fn main() {
    print_check();
    print_scale(0);
    print_scale(US);
}
