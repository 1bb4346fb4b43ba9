//! What a change must pass, one recipe a step: `cargo xtask` lists them.
//!
//! ```text
//! cargo xtask clippy test     these, one after the other
//! cargo xtask ci              all that .ci/run asks for
//! cargo xtask deep            what takes longer: before a release
//! ```
//!
//! Each prints its name and its commands before it runs them, and the time that it took after it. A
//! recipe whose tool cannot be had here says so and is skipped; none that runs tests is.

mod recipes;
mod run;

use recipes::{CI, DEEP, Recipe};
use run::Outcome;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository");
    std::env::set_current_dir(root).expect("the repository is there");
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() || names.iter().any(|name| name.starts_with('-')) {
        list();
        return ExitCode::SUCCESS;
    }
    let mut chosen: Vec<&Recipe> = Vec::new();
    for name in &names {
        match name.as_str() {
            "ci" => chosen.extend(CI),
            "deep" => chosen.extend(DEEP),
            name => match CI.iter().chain(DEEP).find(|recipe| recipe.name == name) {
                Some(recipe) => chosen.push(recipe),
                None => {
                    eprintln!("no recipe {name:?}; `cargo xtask` lists them");
                    return ExitCode::FAILURE;
                }
            },
        }
    }
    run_all(&chosen)
}

fn list() {
    println!("cargo xtask RECIPE...\n");
    for (group, recipes, about) in [("ci", CI, "all of these"), ("deep", DEEP, "all of these, before a release")] {
        println!("{group:14}{about}");
        recipes.iter().for_each(|recipe| println!("  {:12}{}", recipe.name, recipe.about));
    }
}

/// Stops at the first that fails.
fn run_all(chosen: &[&Recipe]) -> ExitCode {
    let before = run::segments();
    let mut times = Vec::new();
    for recipe in chosen {
        println!("\n=== {}: {}", recipe.name, recipe.about);
        let started = Instant::now();
        let outcome = (recipe.run)();
        let seconds = started.elapsed().as_secs_f64();
        let what = match &outcome {
            Ok(Outcome::Done) => format!("{seconds:.0} s"),
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(error) => format!("failed after {seconds:.0} s: {error}"),
        };
        println!("=== {}: {what}", recipe.name);
        times.push(format!("{:14}{what}", recipe.name));
        if outcome.is_err() {
            break;
        }
    }
    let passed = times.len() == chosen.len() && !times.iter().any(|line| line.contains("failed after"));
    println!("\n{}", times.join("\n"));
    let left: Vec<String> = run::segments().into_iter().filter(|segment| !before.contains(segment)).collect();
    if !left.is_empty() {
        println!("left behind in shared memory: {left:?}");
    }
    if passed && left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
