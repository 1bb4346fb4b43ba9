//! shmq beside its rivals in one run: tables, charts, every sample, and a verdict on each target.
//!
//! `cargo compare` from the root of the repository; `--help` for the rest. The
//! README beside this crate says what is measured and how.

#[path = "../../baseline/mod.rs"]
mod baseline;
#[path = "../../broadcasts/mod.rs"]
mod broadcasts;
#[path = "../../flows/mod.rs"]
mod flows;
#[path = "../../forked/mod.rs"]
mod forked;
/// Ping-pong of which only the total time is taken.
#[path = "../../ping_pong/mod.rs"]
mod untimed_ping_pong;

mod arguments;
mod bare_ring;
mod bystanders;
mod chart;
mod clock;
mod csv;
mod first_message;
mod idle;
mod killed;
mod limits;
mod machine_state;
mod objects;
mod ping_pong;
mod plan;
mod results;
mod rivals;
mod run;
mod runner;
mod shmq_ways;
mod table;
mod targets;
mod threads;

use arguments::Arguments;
use runner::{PlannedGroup, Runner};
use std::{fs, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    clock::calibrate();
    rivals::prepare();
    if arguments.self_test {
        return self_test(&arguments);
    }
    let plan::Plan { cases, mut groups, kills, notes } = plan::plan(&arguments);
    if groups.is_empty() && kills.is_empty() {
        eprintln!("no group is called like that; they are: {}", plan::KINDS.join(", "));
        return ExitCode::from(2);
    }
    let began = Instant::now();
    let mut runner = Runner::open(cases, arguments.effort());
    if runner.cores().len() < 2 {
        println!("one core: a spinning process would measure the scheduler; nothing to compare");
        return ExitCode::SUCCESS;
    }
    for repetition in 0..arguments.repetitions() {
        for group in &mut groups {
            eprint!("\r\x1b[K{} of {}: {}", repetition + 1, arguments.repetitions(), group.title);
            runner.measure(group, repetition);
        }
    }
    eprint!("\r\x1b[K");
    let groups = groups.into_iter().map(PlannedGroup::into_results).collect();
    let mut run = run::Run::new(groups, notes, runner.cores(), arguments.repetitions(), began.elapsed());
    run.states = machine_state::MachineStates::of(&run.groups);
    runner.close();
    run.killed = match killed::run(&kills, &arguments.kills()) {
        Ok(results) => results,
        Err(problem) => {
            eprintln!("killing processes failed: {problem}");
            return ExitCode::FAILURE;
        }
    };
    rivals::clean();

    let verdicts = targets::verdicts(&run);
    let written = fs::create_dir_all(&arguments.out)
        .and_then(|()| csv::write(&run, &verdicts, &arguments.out))
        .and_then(|()| chart::draw(&run, &arguments.out).map_err(|problem| std::io::Error::other(problem.to_string())));
    if arguments.json {
        println!("{:#}", csv::json(&run, &verdicts));
    } else {
        print!("{}{}{}", table::Table(&run), killed::Lines(&run.killed), targets::Verdicts(&verdicts));
    }
    match written {
        Ok(()) => {
            eprintln!("raw results and charts: {}", arguments.out.display());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("writing to {} failed: {problem}", arguments.out.display());
            ExitCode::FAILURE
        }
    }
}

/// Checks that the bench notices lost and torn messages.
fn self_test(arguments: &Arguments) -> ExitCode {
    let mut cases = vec![untimed_ping_pong::bare_cache_line().1];
    let first = cases.len();
    cases.extend(rivals::faulty::cases());
    let mut runner = Runner::open(cases, arguments.effort());
    let noticed = rivals::faulty::self_test(&mut runner, first);
    runner.close();
    let passed = killed::self_test::self_test() && noticed;
    println!("{}", if passed { "passed" } else { "FAILED" });
    ExitCode::from(u8::from(!passed))
}
