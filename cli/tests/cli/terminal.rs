//! `top` in a pseudo-terminal: the test reads what a user would see.

use crate::command::{Name, Running, bytes, run, shmq, wait_for};
use crate::peers;
use crate::support::wait_until;
use shmq::inspect::Inspector;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

/// A terminal of `columns` columns and 30 rows: the user's side and the program's side. `openpty`
/// is not used, because the programs of other tests would inherit its descriptors: the user's side
/// reads the end only when no process has the other side open.
pub fn terminal(columns: u16) -> (File, File) {
    let size = libc::winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let mut path = [0u8; 64];
    // SAFETY: the calls take a descriptor that is ours to close, and a buffer of that length; the
    // last one reads the size.
    let person = unsafe {
        let person = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert_ne!(person, -1, "posix_openpt: {}", std::io::Error::last_os_error());
        let person = OwnedFd::from_raw_fd(person);
        assert_eq!(libc::grantpt(person.as_raw_fd()), 0);
        assert_eq!(libc::unlockpt(person.as_raw_fd()), 0);
        assert_eq!(libc::ptsname_r(person.as_raw_fd(), path.as_mut_ptr().cast(), path.len()), 0);
        assert_eq!(libc::ioctl(person.as_raw_fd(), libc::TIOCSWINSZ, &size), 0);
        person
    };
    let path = CStr::from_bytes_until_nul(&path).expect("a path").to_str().expect("text");
    let program = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path).expect("the other side");
    (File::from(person), program)
}

/// A `top` at work.
struct Top {
    running: Running,
    keys: File,
}

fn top(arguments: &[&str]) -> (Top, File) {
    top_of(&[&["top", "--interval", "0.1"], arguments].concat())
}

fn top_of(arguments: &[&str]) -> (Top, File) {
    top_in(terminal(120), arguments)
}

fn top_in((person, program): (File, File), arguments: &[&str]) -> (Top, File) {
    let stream = || Stdio::from(program.try_clone().expect("cloned"));
    let mut command = shmq(arguments);
    let child = command.env("TERM", "xterm").stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("it starts");
    (Top { running: Running::of(child), keys: person.try_clone().expect("cloned") }, person)
}

impl Top {
    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }
}

/// Collects what is drawn while `with` goes on.
fn while_watching(mut person: File, top: &mut Top, with: impl FnOnce(&mut Top, &Mutex<String>)) {
    let drawn = Mutex::new(String::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bytes = [0; 4096];
            // An error: the program has closed its side.
            while let Ok(count @ 1..) = person.read(&mut bytes) {
                drawn.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        // The reader ends with the program, which must not outlive a failure.
        let outcome = catch_unwind(AssertUnwindSafe(|| with(top, &drawn)));
        if let Err(failure) = outcome {
            let _ = top.running.child.kill();
            resume_unwind(failure);
        }
    });
}

#[track_caller]
fn wait_to_see(drawn: &Mutex<String>, text: &str) {
    wait_until(text, || drawn.lock().unwrap().contains(text), || format!("{:?}", drawn.lock().unwrap()));
}

impl Top {
    /// As `wait_to_see`, for a word of a frame that is drawn whole: otherwise only the cells that
    /// changed are drawn.
    #[track_caller]
    fn wait_to_see(&self, drawn: &Mutex<String>, text: &str) {
        let (mut rows, mut checks) = (30, 0u32);
        let seen = || {
            checks += 1;
            if checks % 1000 == 65 {
                rows = 61 - rows;
                let size = libc::winsize { ws_row: rows, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
                // SAFETY: the call reads the size of a terminal that is open.
                unsafe { libc::ioctl(self.keys.as_raw_fd(), libc::TIOCSWINSZ, &size) };
            }
            drawn.lock().unwrap().contains(text)
        };
        wait_until(text, seen, || format!("{:?}", drawn.lock().unwrap()));
    }
}

#[test]
fn top_shows_queues_and_obeys_keys() {
    let name = Name::new("top");
    let queue = bytes(&name, 1 << 16);
    queue.put(b"message").expect("room");
    let (mut top, person) = top(&[&name]);
    while_watching(person, &mut top, |top, drawn| {
        wait_to_see(drawn, &name);
        wait_to_see(drawn, "nothing is wrong");
        drawn.lock().unwrap().clear();
        top.press("s");
        top.wait_to_see(drawn, "messages");
        queue.close();
        top.wait_to_see(drawn, "closed");
        top.press("/zzz\r");
        top.wait_to_see(drawn, "matches");
        top.press("q");
        assert_eq!(top.running.wait().code(), Some(0));
        // The terminal is as it was: main screen, cursor shown.
        wait_to_see(drawn, "\x1b[?1049l");
        wait_to_see(drawn, "\x1b[?25h");
    });
}

#[test]
fn top_restores_the_terminal_on_a_signal_to_end() {
    for how in ["SIGTERM", "ctrl-c"] {
        let (mut top, person) = top(&[]);
        while_watching(person, &mut top, |top, drawn| {
            wait_to_see(drawn, "shmq top");
            if how == "SIGTERM" {
                top.running.send(libc::SIGTERM)
            } else {
                top.press("\x03")
            }
            // It draws on a screen of its own.
            wait_to_see(drawn, "\x1b[?1049h");
            let code = top.running.wait().code();
            assert_eq!(code, Some(if how == "SIGTERM" { 128 + libc::SIGTERM } else { 0 }));
            wait_to_see(drawn, "\x1b[?1049l");
        });
    }
}

#[test]
fn top_ends_when_its_terminal_is_gone() {
    // All of it; or the keyboard alone, while what it draws is taken.
    for whole in [true, false] {
        let (person, program) = terminal(120);
        let (keyboard, keys) = terminal(120);
        let mut command = shmq(&["top", "--interval", "0.1"]);
        let input = if whole { program.try_clone().expect("cloned") } else { keys.try_clone().expect("cloned") };
        command.env("TERM", "xterm").stdin(input).stdout(program.try_clone().expect("cloned")).stderr(Stdio::null());
        let mut running = Running::of(command.spawn().expect("it starts"));
        // It keeps what the child was given.
        drop((command, program, keys));
        let drawn = Mutex::new(String::new());
        let mut bytes = [0; 4096];
        wait_until(
            "a picture",
            || {
                let count = (&person).read(&mut bytes).expect("it draws");
                drawn.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
                drawn.lock().unwrap().contains("quit")
            },
            || format!("{:?}", drawn.lock().unwrap()),
        );
        if whole {
            drop(person);
            assert_eq!(running.wait().code(), Some(128 + libc::SIGHUP));
            continue;
        }
        drop(keyboard);
        let rest = std::thread::spawn(move || while matches!((&person).read(&mut [0; 4096]), Ok(1..)) {});
        assert_eq!(running.wait().code(), Some(128 + libc::SIGHUP));
        rest.join().expect("it ends with its program");
    }
}

#[test]
fn top_ends_by_a_signal_whatever_its_terminal_does() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // A key that never comes complete.
        let (mut top, person) = top(&[]);
        while_watching(person, &mut top, |top, drawn| {
            wait_to_see(drawn, "quit");
            top.press("\x1b[1;");
            std::thread::sleep(Duration::from_millis(20));
            top.running.send(signal);
            assert_eq!(top.running.wait().code(), Some(128 + signal));
        });
        // The user's side reads nothing: the terminal takes no more, and no frame is finished.
        let (person, program) = terminal(120);
        fill(&program);
        let (mut top, person) = top_in((person, program), &["top", "--interval", "0.05"]);
        wait_until(
            "it to draw, in vain",
            || {
                std::thread::sleep(Duration::from_millis(50));
                crate::support::process::is_asleep(top.running.pid() as i32)
            },
            || "it runs".to_owned(),
        );
        top.running.send(signal);
        assert_eq!(top.running.wait().code(), Some(128 + signal));
        drop(person);
    }
}

/// Writes until the terminal takes no more.
fn fill(program: &File) {
    let set = |flags: libc::c_int| {
        // SAFETY: F_SETFL takes a number.
        assert_eq!(unsafe { libc::fcntl(program.as_raw_fd(), libc::F_SETFL, flags) }, 0)
    };
    set(libc::O_RDWR | libc::O_NONBLOCK);
    let mut program_side = program;
    while program_side.write(b"x").is_ok() {}
    set(libc::O_RDWR);
}

#[test]
fn top_of_80_columns_shows_names_whole_and_no_two_alike() {
    let names = ["north", "south"].map(|end| Name::new(&format!("orders-incoming-{end}")));
    let _queues = names.each_ref().map(|name| bytes(name, 1 << 16));
    let (mut top, person) = top_in(terminal(80), &["top", "--interval", "0.1", "orders-incoming"]);
    while_watching(person, &mut top, |top, drawn| {
        for name in &names {
            wait_to_see(drawn, name);
        }
        top.press("q");
        assert_eq!(top.running.wait().code(), Some(0));
    });
}

#[test]
fn top_takes_any_interval() {
    for interval in ["1e19", "inf", "0", "1e-300", "18446744073709551615"] {
        let (mut top, person) = top_of(&["top", "--interval", interval]);
        while_watching(person, &mut top, |top, drawn| {
            wait_to_see(drawn, "quit");
            top.press("q");
            assert_eq!(top.running.wait().code(), Some(0), "{interval}");
            assert!(!drawn.lock().unwrap().contains("panicked"));
        });
    }
}

#[test]
fn top_without_a_terminal_says_so() {
    assert!(run(&["top"]).expect(1).err.contains("needs a terminal"));
}

/// Nanoseconds that a process has run so far.
fn processor_ns(pid: u32) -> u64 {
    let printed = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("it runs");
    printed.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Measures what `top` costs two processes that use one queue at full speed. `top` runs and is
/// stopped in turn, at its default interval and twenty times as often: that shows the cost where
/// the noise of the machine hides it. It needs a release build and an idle machine, and prints the
/// figures.
///
/// ```sh
/// cargo test --release -p shmq-cli --test cli -- --ignored --nocapture top_disturbs
/// ```
#[test]
#[ignore = "a measurement of 80 seconds"]
fn top_disturbs_a_queue_at_full_speed_by_this_much() {
    let name = Name::new("top-full-speed");
    let queue = shmq::Queue::<u64>::create(&*name, 1024).expect("created");
    let stream = (peers::start("producer", &name), peers::start("consumer", &name));
    wait_for(&name, "a stream", || queue.stats().gets > 1_000_000);
    for (interval, rounds, window) in [("1", 12, Duration::from_secs(2)), ("0.05", 50, Duration::from_millis(300))] {
        let (mut top, person) = top_of(&["top", "--interval", interval]);
        while_watching(person, &mut top, |top, drawn| {
            wait_to_see(drawn, &name);
            println!(
                "8 B, 1x1, top every {interval} s, {rounds} pairs of {window:?}: {}",
                disturbance(top, &name, rounds, window)
            );
            top.press("q");
            assert_eq!(top.running.wait().code(), Some(0));
        });
    }
    queue.close();
    drop(stream);
}

fn disturbance(top: &Top, name: &str, rounds: usize, window: Duration) -> String {
    let inspector = Inspector::open(name).expect("there");
    // Gets per second, and the part of a processor that `top` used.
    let sample = || {
        let (before, used) = (inspector.glance(), processor_ns(top.running.pid()));
        std::thread::sleep(window);
        let now = inspector.glance();
        let seconds = (now.at - before.at).as_secs_f64();
        let used = (processor_ns(top.running.pid()) - used) as f64 / 1e9 / seconds;
        ((now.stats.gets - before.stats.gets) as f64 / seconds, used)
    };
    let (mut rates, mut ratios, mut used) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
    for round in 0..rounds {
        // The order alternates, so that a machine that gets faster or slower favours neither.
        let [first, second] = [round % 2, 1 - round % 2].map(|shown| {
            top.running.send(if shown == 1 { libc::SIGCONT } else { libc::SIGSTOP });
            let (rate, of_top) = sample();
            rates[shown].push(rate);
            if shown == 1 {
                used.push(of_top);
            }
            rate
        });
        ratios.push(if round % 2 == 0 { second / first } else { first / second });
    }
    top.running.send(libc::SIGCONT);
    ratios.sort_by(f64::total_cmp);
    let [without, with] = rates.map(|rates| median(rates) / 1e6);
    format!(
        "{with:.2} M/s with it, {without:.2} without; ratio {:.3} [quartiles {:.3}..{:.3}]; it used {:.2} % of a processor",
        ratios[rounds / 2],
        ratios[rounds / 4],
        ratios[rounds * 3 / 4],
        100.0 * median(used),
    )
}
