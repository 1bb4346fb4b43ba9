//! shmq beside everything that one could pick instead, in one run: a table, charts, raw figures, and a verdict on each target.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`; `-- --help` for the rest. The README beside this crate says what is
//! measured and how.

#[path = "../../baseline/mod.rs"]
mod baseline;
#[path = "../../flows/mod.rs"]
mod flows;
#[path = "../../forked/mod.rs"]
mod forked;
#[path = "../../ping_pong/mod.rs"]
mod ping_pong;

mod arguments;
mod chart;
mod clock;
mod crowd;
mod figures;
mod first_message;
mod idle;
mod lab;
mod limits;
mod plan;
mod python;
mod rally;
mod raw;
mod records;
mod rivals;
mod shmq_ways;
mod states;
mod table;
mod targets;
mod threads;

use arguments::Arguments;
use lab::Lab;
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
    rivals::iceoryx::prepare();
    if arguments.self_test {
        return self_test(&arguments);
    }
    let plan::Plan { cases, mut groups, notes } = plan::plan(&arguments);
    if groups.is_empty() {
        eprintln!("no group is called like that; they are: {}", plan::KINDS.join(", "));
        return ExitCode::from(2);
    }
    let began = Instant::now();
    let mut lab = Lab::open(cases, arguments.effort());
    if lab.cores().len() < 2 {
        println!("one core: whoever spins would measure the scheduler; nothing to compare");
        return ExitCode::SUCCESS;
    }
    for repetition in 0..arguments.repetitions() {
        for group in &mut groups {
            eprint!("\r\x1b[K{} of {}: {}", repetition + 1, arguments.repetitions(), group.title);
            lab.measure(group, repetition);
        }
    }
    eprint!("\r\x1b[K");
    let mut run = figures::Run::new(groups, notes, lab.cores(), arguments.repetitions(), began.elapsed());
    run.states = states::States::of(&run.groups);
    lab.close();
    rivals::iceoryx::clean();

    let verdicts = targets::verdicts(&run);
    let written = fs::create_dir_all(&arguments.out)
        .and_then(|()| raw::write(&run, &verdicts, &arguments.out))
        .and_then(|()| chart::draw(&run, &arguments.out).map_err(|problem| std::io::Error::other(problem.to_string())));
    if arguments.json {
        println!("{:#}", raw::json(&run, &verdicts));
    } else {
        print!("{}{}", table::Table(&run), targets::Verdicts(&verdicts));
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

/// The bench must find out who loses or tears messages.
fn self_test(arguments: &Arguments) -> ExitCode {
    let mut cases = vec![ping_pong::bare_cache_line().1];
    let first = cases.len();
    cases.extend(rivals::faulty::cases());
    let mut lab = Lab::open(cases, arguments.effort());
    let passed = rivals::faulty::self_test(&mut lab, first);
    lab.close();
    println!("{}", if passed { "passed" } else { "FAILED" });
    ExitCode::from(u8::from(!passed))
}
