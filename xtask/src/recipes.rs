//! The recipes, in the order of a whole run: what fails soonest comes first.

use crate::run::{Outcome, Result, is_there, output_of, run, run_and_keep, run_each, run_script};

/// A step by name.
pub struct Recipe {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn() -> Result,
}

const fn recipe(name: &'static str, about: &'static str, run: fn() -> Result) -> Recipe {
    Recipe { name, about, run }
}

/// All that a change must pass.
pub const CI: &[Recipe] = &[
    recipe("fmt", "the format of all packages", fmt),
    recipe("typos", "spelling (pip install typos)", typos),
    recipe("clippy", "all features, none, the portable locks, the counted writes", clippy),
    recipe("powerset", "the library with each set of features", powerset),
    recipe("doc", "documentation without warnings", doc),
    recipe("public-api", "the public API is that of tests/public-api.txt (cargo install cargo-public-api)", public_api),
    recipe("deny", "licenses, versions and sources of dependencies (cargo install cargo-deny)", deny),
    recipe("msrv", "the oldest compiler that Cargo.toml promises, of Debian 12", || run_script(".ci/msrv")),
    recipe("package", "what would be published builds by itself", package),
    recipe("fuzz", "the fuzz target compiles", || run_each(&[], &["cargo check --locked --manifest-path fuzz/Cargo.toml"])),
    recipe("test", "the README's command, and that doctests are merged", test),
    recipe("cli", "the command", || run_each(&[], &["cargo test --locked -p shmq-cli"])),
    recipe("python", "the Python package, with CPython's own tests (Python 3.11 or newer)", || run_script(".ci/python")),
    recipe("bridge", "the bridge to NATS, beside real servers (PyPI has them)", || run_script(".ci/bridge")),
    recipe("capi", "the C interface: shmq.h, its tests by gcc and clang and under sanitizers, its ABI", || {
        run_script(".ci/capi")
    }),
    recipe("tracing", "the events", || run_each(&[], &["cargo test --locked --features tracing --test tracing"])),
    recipe("async", "the bench of futures, some messages of each contestant", || {
        run_each(&[], &["cargo test --locked --features async,sink --bench async"])
    }),
    recipe("crashes", "kills, storms and garbage once more, on a release build", crashes),
    recipe("two-deaths", "two deaths, at a sample of all pairs of atomic writes", two_deaths),
    recipe("portable", "the portable locks: the API, without crashes", portable),
    recipe("loom", "the ring under loom", loom),
    recipe("wordcount", "the main job, on the README", || run_each(&[], &["cargo run --release --locked --example wordcount"])),
    recipe("tsan", "ThreadSanitizer, with Debian's compiler", || run_script(".ci/tsan/run")),
];

/// What takes longer.
pub const DEEP: &[Recipe] = &[
    recipe("bench", "the benches are built, and the one of futures is run (a minute)", || {
        run_each(&[], &["cargo bench --no-run --locked", "cargo bench --locked --features async --bench async"])
    }),
    recipe(
        "compare",
        "the comparison with rivals is linted and notices faults (a C compiler, Rust 1.89, many dependencies)",
        compare,
    ),
    recipe("scale", "the model of more cores is linted and agrees with what was measured on two (half a minute)", scale),
    recipe("release", "the other tests of several processes on a release build", release),
    recipe("coverage", "the lines of src that the quicker tests run, in words", || run_script(".ci/coverage")),
    recipe("aarch64", "builds for aarch64, and runs what needs threads only under qemu-user", || run_script(".ci/aarch64")),
    recipe("sweep", "a kill at every instruction, of all operations (an hour)", || {
        run_each(&[], &["cargo test --release --locked --features async --test kill_everywhere -- --ignored"])
    }),
    recipe("pairs", "two deaths, at all pairs of atomic writes (hours)", || {
        run_each(&COUNTED, &["cargo test --release --locked --test two_deaths -- --ignored"])
    }),
    recipe("torn", "ten million reads of topics that may be torn, and storms over topics for minutes", || {
        run_each(&[], &["cargo test --release --locked --test topic_crashes -- --ignored"])
    }),
    recipe("bridge-storm", "500 kills of the bridge and all around it, and 50 cuts of the link (minutes)", || {
        run_script(".ci/bridge storm")
    }),
    recipe("storm", "storms for minutes", || {
        run_each(&[], &["cargo test --release --locked --test storm --test spill_crashes -- --ignored"])
    }),
];

const COUNTED: [(&str, &str); 2] = [("RUSTFLAGS", "--cfg shmq_counted"), ("CARGO_TARGET_DIR", "target/counted")];
const PORTABLE: [(&str, &str); 2] = [("RUSTFLAGS", "--cfg shmq_portable_sync"), ("CARGO_TARGET_DIR", "target/portable")];

fn fmt() -> Result {
    run_each(
        &[],
        &[
            "cargo fmt --check --all",
            "cargo fmt --check --manifest-path fuzz/Cargo.toml",
            "cargo fmt --check --manifest-path python/Cargo.toml",
            "cargo fmt --check --manifest-path python/tests/interop/Cargo.toml",
            "cargo fmt --check --manifest-path bridge/Cargo.toml",
            "cargo fmt --check --manifest-path capi/Cargo.toml",
            "cargo fmt --check --manifest-path benches/compare/Cargo.toml",
            "cargo fmt --check --manifest-path benches/scale/Cargo.toml",
        ],
    )
}

fn typos() -> Result {
    if !is_there("typos") {
        return Ok(Outcome::Skipped("typos is not there: pip install typos".to_string()));
    }
    run_each(&[], &["typos"])
}

fn clippy() -> Result {
    run_each(
        &[],
        &[
            "cargo clippy --all-targets --all-features --locked -- -D warnings",
            "cargo clippy --all-targets --no-default-features --locked -- -D warnings",
            "cargo clippy --package shmq-derive --package shmq-cli --package xtask --all-targets --locked -- -D warnings",
        ],
    )?;
    run_each(&PORTABLE, &["cargo clippy --all-targets --locked -- -D warnings"])?;
    run_each(&COUNTED, &["cargo clippy --locked --test two_deaths -- -D warnings"])
}

/// The names of the features, of the section in `Cargo.toml`.
fn features() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("Cargo.toml").map_err(|error| format!("Cargo.toml: {error}"))?;
    let section = text.lines().skip_while(|line| *line != "[features]").skip(1).take_while(|line| !line.starts_with('['));
    let names = section.filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.split_once(" = ")?.0.to_string()));
    let names: Vec<String> = names.filter(|name| name != "default").collect();
    if names.is_empty() { Err("Cargo.toml has no features".to_string()) } else { Ok(names) }
}

fn powerset() -> Result {
    let names = features()?;
    for set in 0..1u32 << names.len() {
        let chosen: Vec<&str> = (0..).zip(&names).filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, name)| name.as_str()).collect();
        let features = if chosen.is_empty() { String::new() } else { format!(" --features {}", chosen.join(",")) };
        run(&[], &format!("cargo check --locked --lib --no-default-features{features}"))?;
    }
    Ok(Outcome::Done)
}

fn doc() -> Result {
    run_each(
        &[("RUSTDOCFLAGS", "-D warnings")],
        &["cargo doc --no-deps --all-features --locked", "cargo doc --no-deps -p shmq-cli --locked"],
    )
}

const LISTING: &str = "tests/public-api.txt";

/// Compares, or writes the listing with `SHMQ_UPDATE=1`.
fn public_api() -> Result {
    if !is_there("cargo-public-api") {
        return Ok(Outcome::Skipped("cargo-public-api is not there: cargo install --debug cargo-public-api".to_string()));
    }
    // rustdoc writes JSON on nightly, or so; a directory of its own, since all is built anew for
    // it.
    let variables = [("RUSTC_BOOTSTRAP", "1"), ("CARGO_TARGET_DIR", "target/public-api")];
    let now = match output_of(&variables, "cargo public-api --all-features -sss --color never") {
        Ok(now) => now,
        // The tool knows the format of some compilers only.
        Err(error) => return Ok(Outcome::Skipped(error)),
    };
    if std::env::var_os("SHMQ_UPDATE").is_some() {
        std::fs::write(LISTING, now).map_err(|error| format!("{LISTING}: {error}"))?;
        return Ok(Outcome::Done);
    }
    let listed = std::fs::read_to_string(LISTING).map_err(|error| format!("{LISTING}: {error}"))?;
    let only_in = |these: &str, those: &str, sign: char| {
        let those: std::collections::HashSet<&str> = those.lines().collect();
        these.lines().filter(|line| !those.contains(line)).inspect(|line| println!("{sign} {line}")).count()
    };
    match only_in(&listed, &now, '-') + only_in(&now, &listed, '+') {
        0 => Ok(Outcome::Done),
        changed => {
            Err(format!("{changed} lines differ; if that is meant: SHMQ_UPDATE=1 cargo xtask public-api, and the CHANGELOG"))
        }
    }
}

fn deny() -> Result {
    if !is_there("cargo-deny") {
        return Ok(Outcome::Skipped("cargo-deny is not there: cargo install --debug cargo-deny".to_string()));
    }
    let check = "--workspace --all-features check --hide-inclusion-graph bans licenses sources";
    run_each(&[], &[&format!("cargo deny {check}"), &format!("cargo deny --manifest-path python/Cargo.toml {check}")])
}

fn package() -> Result {
    run_each(&[], &["cargo package --locked --allow-dirty -p shmq-derive -p shmq"])
}

fn test() -> Result {
    let lines = run_and_keep(&[], "cargo test --features async,sink")?;
    // One group is the merged program, the other what cannot be in it. If that does not compile,
    // rustdoc builds each by itself, for minutes, and does not say so.
    let groups = lines.windows(2).filter(|pair| pair[0].starts_with("running ") && pair[1].starts_with("test src/")).count();
    match groups {
        2.. => Ok(Outcome::Done),
        _ => {
            Err("the doctests do not merge into one program: one of them needs `standalone_crate`, see rustdoc's book"
                .to_string())
        }
    }
}

fn crashes() -> Result {
    run_each(
        &[],
        &[
            "cargo test --release --locked --features async --test kill_everywhere --test storm --test garbage --test topic_crashes \
             --test spill_crashes",
        ],
    )
}

/// A package of its own: its dependencies are built for nothing else.
fn compare() -> Result {
    run_each(
        &[],
        &[
            "cargo clippy --locked --config benches/compare/.cargo/config.toml --manifest-path benches/compare/Cargo.toml \
             --all-targets -- -D warnings",
            "cargo test --release --locked --config benches/compare/.cargo/config.toml \
             --manifest-path benches/compare/Cargo.toml",
            "cargo run --release --locked --config benches/compare/.cargo/config.toml \
             --manifest-path benches/compare/Cargo.toml -- --self-test",
        ],
    )
}

/// A package of its own as well: it depends on nothing, not even on the crate.
fn scale() -> Result {
    run_each(
        &[],
        &[
            "cargo clippy --locked --manifest-path benches/scale/Cargo.toml --all-targets -- -D warnings",
            "cargo test --locked --manifest-path benches/scale/Cargo.toml",
        ],
    )
}

fn release() -> Result {
    run_each(&[], &["cargo test --release --locked --test ipc --test sync --test process_api --test pool --test python_parity"])
}

fn two_deaths() -> Result {
    run_each(&COUNTED, &["cargo test --locked --test two_deaths"])
}

fn portable() -> Result {
    run_each(&PORTABLE, &["cargo test --locked --lib --test api --test queue --test ipc --test sync"])
}

fn loom() -> Result {
    let variables = [("RUSTFLAGS", "--cfg loom"), ("CARGO_TARGET_DIR", "target/loom"), ("LOOM_MAX_PREEMPTIONS", "3")];
    run_each(&variables, &["cargo test --locked --lib --release --no-default-features ring::"])
}
