//! How many instructions a put and a get take, by copy and in place, counted by callgrind: unlike
//! times, they do not depend on the load of the machine.
//!
//! The program that is counted (`instructions/program.rs`) is built here as a release build, in a
//! package of its own below `target/` that has this crate's dependencies, as locked, and no others.
//! Where valgrind is not installed, or the locks are not the usual ones, the tests print that and
//! pass.
//!
//! A bound is a little above the count at the time when it was set. When one fails, check first
//! what was added to the fast path. Lower the bound when the fast path became shorter.
#![cfg(not(loom))]

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Upper bounds on the instructions of a put and of a get, including making and checking the
/// message. In place, a put is a loan and its commit, a get a lease and its release; of a topic, a
/// put is a publish, a get a subscriber's next. `dyn_`: by bytes, of a layout known at run time, into a
/// buffer of the caller's. A lease reads the coarse clock, to scan for dead
/// processes in time: some 30 instructions, as valgrind runs it.
const BOUNDS: [(&str, u64, u64); 16] = [
    ("queue_8", 109, 90),
    ("queue_64", 134, 120),
    ("endpoints_8", 64, 51),
    ("endpoints_64", 106, 79),
    ("queue_8_in_place", 146, 158),
    ("queue_64_in_place", 163, 172),
    ("endpoints_8_in_place", 115, 159),
    ("endpoints_64_in_place", 141, 174),
    ("slices_64_in_place", 222, 208),
    ("topic_8", 99, 54),
    ("topic_publisher_8", 52, 54),
    ("topic_publisher_64", 81, 80),
    ("topic_lossy_8", 52, 57),
    ("dyn_queue_64", 153, 117),
    ("dyn_endpoints_64", 116, 81),
    ("dyn_topic_publisher_64", 90, 116),
];

const ROUNDS: u64 = 300;
const MESSAGES: u64 = ROUNDS * 32;
/// For a release build of this crate and its dependencies on a busy machine.
const BUILD_PATIENCE: Duration = Duration::from_secs(1800);
/// A run takes half a second.
const RUN_PATIENCE: Duration = Duration::from_secs(300);

/// Waits for the end of a child, with a time limit. Returns its standard error.
fn finish(mut child: Child, patience: Duration, what: &str) -> (ExitStatus, String) {
    let mut pipe = child.stderr.take().expect("its standard error is a pipe");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("kill a child");
            child.wait().expect("wait for a child");
            panic!("{what} took longer than {patience:?}");
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = reader.join().expect("the reader does not panic").expect("read what it said");
    (status, text)
}

/// Builds the program, once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instructions");
        fs::create_dir_all(&package).unwrap();
        let quoted = |path: PathBuf| format!("{:?}", path.to_str().expect("a path in UTF-8"));
        let manifest = format!(
            "[package]\nname = \"instructions\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [[bin]]\nname = \"instructions\"\npath = {}\n\n[dependencies]\nshmq = {{ path = {} }}\n",
            quoted(crate_root.join("tests/instructions/program.rs")),
            quoted(crate_root.to_path_buf()),
        );
        fs::write(package.join("Cargo.toml"), manifest).unwrap();
        // The same versions, which are downloaded already: no network. (A published package has no
        // lock file.)
        if crate_root.join("Cargo.lock").exists() {
            fs::copy(crate_root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = Command::new(cargo)
            .args(["build", "--release", "--offline", "--quiet", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(package.join("target"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run cargo");
        let (status, said) = finish(build, BUILD_PATIENCE, "cargo build");
        assert!(status.success(), "cargo build ended with {status}:\n{said}");
        package.join("target/release/instructions")
    })
}

fn valgrind_is_here() -> bool {
    let asked =
        Command::new("valgrind").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Instructions of one message inside `function`.
fn count(case: &str, function: &str) -> u64 {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", &format!("--toggle-collect={function}")])
        .arg(program())
        .args([case, &ROUNDS.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run valgrind");
    let (status, said) = finish(run, RUN_PATIENCE, "valgrind");
    assert!(status.success(), "valgrind ended with {status}:\n{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim());
    let collected = collected.and_then(|number| number.parse::<u64>().ok());
    let collected = collected.unwrap_or_else(|| panic!("callgrind printed no count:\n{said}"));
    assert!(collected >= MESSAGES, "{collected} instructions for {MESSAGES} messages: {function} was not found");
    collected.div_ceil(MESSAGES)
}

#[test]
fn puts_and_gets_take_no_more_instructions_than_they_did() {
    if cfg!(shmq_portable_sync) {
        eprintln!("skipped: the bounds are those of the futex locks");
        return;
    }
    if !cfg!(target_arch = "x86_64") {
        eprintln!("skipped: the bounds are counts of x86_64 instructions");
        return;
    }
    if !valgrind_is_here() {
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    let counted = BOUNDS.map(|(case, puts, gets)| {
        let (put, get) = (count(case, "measured_puts"), count(case, "measured_gets"));
        println!("{case}: put {put} (at most {puts}), get {get} (at most {gets}) instructions");
        put <= puts && get <= gets
    });
    assert_eq!(counted, [true; BOUNDS.len()], "more instructions than the bounds above allow");
}
