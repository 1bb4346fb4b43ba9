//! Every example, run as a user runs it: its exit status, what it prints, and what it leaves in
//! `/dev/shm` (nothing).
//!
//! Cargo builds the examples for `cargo test`. Here they run as children, each with a time limit.
//! An example that hangs is killed together with its workers, and its output is shown.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// Far more than any of them needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running example, the leader of a process group.
struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    /// Segments that it was seen to use.
    segments: BTreeSet<PathBuf>,
    started: Instant,
}

struct Ended {
    status: ExitStatus,
    out: String,
    err: String,
    segments: BTreeSet<PathBuf>,
}

/// A file that only this test program uses.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("examples-{}-{name}", std::process::id()))
}

fn write_scratch(name: &str, contents: &[u8]) -> PathBuf {
    let path = scratch(name);
    fs::write(&path, contents).unwrap();
    path
}

impl Running {
    /// `run` distinguishes several runs of one example.
    fn start(run: &str, example: &str, arguments: &[&str], stdin: Stdio) -> Running {
        let test = env::current_exe().unwrap();
        let binary = test.ancestors().nth(2).unwrap().join("examples").join(example);
        assert!(binary.exists(), "{} is not there: `cargo test` or `cargo build --examples` makes it", binary.display());
        let (out, err) = (scratch(&format!("{run}.out")), scratch(&format!("{run}.err")));
        let child = Command::new(binary)
            .args(arguments)
            .stdin(stdin)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Running { child, out, err, segments: BTreeSet::new(), started: Instant::now() }
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal to the example and its workers, as the terminal does.
    fn signal_all(&self, signal: i32) {
        // SAFETY: any numbers may be passed; the group is the child's, which was not waited for.
        unsafe { libc::kill(-self.pid(), signal) };
    }

    fn workers(&self) -> Vec<i32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Polls until `ready` returns true. The example must not end before that.
    fn until(&mut self, what: &str, mut ready: impl FnMut(&mut Running) -> bool) {
        while !ready(self) {
            if self.child.try_wait().unwrap().is_some() || self.started.elapsed() > PATIENCE {
                self.give_up(what);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn give_up(&mut self, what: &str) -> ! {
        self.signal_all(libc::SIGKILL);
        let status = self.child.wait();
        let [out, err] = [&self.out, &self.err].map(|path| fs::read_to_string(path).unwrap_or_default());
        panic!("waited for {what} in vain: {status:?}\nstdout: {out}\nstderr: {err}");
    }

    fn note_segments(&mut self) {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid())).unwrap_or_default();
        let paths = maps.lines().filter_map(|line| line.split_once("/dev/shm/")).map(|(_, name)| name.trim_end());
        self.segments.extend(paths.filter(|name| !name.contains(" (deleted)")).map(|name| Path::new("/dev/shm").join(name)));
    }

    /// Waits for the end, after which nothing may be left.
    fn end(self) -> Ended {
        let ended = self.end_beside_others();
        ended.assert_nothing_left();
        ended
    }

    /// Waits for the end. Other processes may still use the segments.
    fn end_beside_others(mut self) -> Ended {
        let status = loop {
            self.note_segments();
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if self.started.elapsed() > PATIENCE => self.give_up("its end"),
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let [out, err] = [&self.out, &self.err].map(|path| {
            let text = String::from_utf8(fs::read(path).unwrap()).unwrap();
            fs::remove_file(path).unwrap();
            text
        });
        Ended { status, out, err, segments: self.segments }
    }
}

fn run(example: &str, arguments: &[&str]) -> Ended {
    Running::start(example, example, arguments, Stdio::null()).end()
}

impl Ended {
    fn assert_nothing_left(&self) {
        let left: Vec<_> = self.segments.iter().filter(|path| path.exists()).collect();
        assert!(left.is_empty(), "left behind: {left:?}\nstdout: {}\nstderr: {}", self.out, self.err);
    }

    fn assert_success(&self) -> &str {
        assert!(self.status.success(), "{}\nstdout: {}\nstderr: {}", self.status, self.out, self.err);
        &self.out
    }
}

#[test]
fn globals_are_not_shared() {
    let expected = "the first child added 100 and sees 101\nthe second child sees 1\nthe parent sees 1\n";
    assert_eq!(run("globals", &[]).assert_success(), expected);
}

#[cfg(feature = "object")]
#[test]
fn bounded_queue_is_full_after_three() {
    let out = run("bounded", &[]);
    let lines: Vec<&str> = out.assert_success().lines().collect();
    let expected = [
        "put message 1; full: false",
        "put message 2; full: false",
        "put message 3; full: true",
        "message 4 waited for room until its timeout",
        "message 4 was refused at once: full",
        "got message 1; full: false",
        "put message 4; 3 in the queue",
        "got message 2",
        "got message 3",
        "got message 4",
        "empty",
    ];
    assert_eq!(lines, expected);
}

#[cfg(feature = "async")]
#[test]
fn one_epoll_waits_for_queues_and_a_socket() {
    let expected = "the client has 100 answers, their sum is 338350\n100 requests served\n";
    assert_eq!(run("epoll", &[]).assert_success(), expected);
}

#[cfg(feature = "async")]
#[test]
fn streams_under_combinators_lose_nothing() {
    let expected = [
        "select: 20 readings, their sum is 5555",
        "timeout: nothing for 20 ms",
        "timeout: Some(7) came later",
        "take_until: [1, 2, 3]",
        "left in the queue: 4",
    ];
    let out = run("async_stream", &[]);
    assert_eq!(out.assert_success().lines().collect::<Vec<_>>(), expected);
}

/// SIGTERM to the program alone, to the whole process group, and after the death of a worker: all
/// requests are answered, and no process is left.
#[cfg(all(feature = "async", feature = "derive"))]
#[test]
fn async_tokio_answers_all_requests_before_it_ends() {
    for (name, to_all, kills) in [("alone", false, false), ("group", true, false), ("killed", false, true)] {
        let mut running = Running::start(&format!("async-tokio-{name}"), "async_tokio", &[], Stdio::null());
        running.until("its workers", |running| fs::read_to_string(&running.out).unwrap().contains("workers ["));
        running.note_segments();
        let (program, workers) = (running.pid(), running.workers());
        assert_eq!(workers.len(), 3);
        // More requests arrive than three workers can answer: some are always under way.
        thread::sleep(Duration::from_millis(300));
        // SAFETY: any numbers may be passed; the worker is its parent's child, and not reaped before
        // it ends.
        let signal = |pid, signal| assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        if kills {
            signal(workers[0], libc::SIGKILL);
        }
        if to_all {
            running.signal_all(libc::SIGTERM)
        } else {
            signal(program, libc::SIGTERM)
        }
        let ended = running.end();
        let out = ended.assert_success();
        let (of_workers, last): (Vec<&str>, Vec<&str>) = out.lines().skip(1).partition(|line| line.starts_with("worker "));
        let numbers: Vec<u32> = last[0].split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(last.len() == 1 && last[0].starts_with("asked to end: "), "{out}");
        assert!(numbers[0] == numbers[1] && numbers[0] > 10, "{out}");
        assert_eq!(of_workers.len(), 3, "{out}");
        assert_eq!(of_workers.iter().filter(|line| line.ends_with("exit status: 0")).count(), 3 - usize::from(kills), "{out}");
        // SAFETY: any numbers may be passed; no signal is sent.
        assert_eq!(unsafe { libc::kill(-program, 0) }, -1, "processes of the service are still there");
    }
}

#[cfg(feature = "object")]
#[test]
fn reader_gets_what_writer_puts() {
    let out = run("reader_writer", &[]);
    let lines: Vec<&str> = out.assert_success().lines().collect();
    let of = |who: &str| lines.iter().filter(|line| line.starts_with(who)).copied().collect::<Vec<_>>();
    assert_eq!(of("writer"), ["writer: put A", "writer: put B", "writer: put C"]);
    assert_eq!(of("reader"), ["reader: got A", "reader: got B", "reader: got C", "reader: that was all"]);
    assert_eq!((lines.len(), lines.last()), (8, Some(&"both have ended")));
}

#[cfg(feature = "object")]
#[test]
fn pool_workers_share_a_queue() {
    let out = run("pool_queue", &[]);
    let lines: Vec<&str> = out.assert_success().lines().collect();
    assert_eq!(lines.len(), 11);
    (0..10).for_each(|n| assert_eq!(lines[n], format!("task {n} says hello")));
    assert_eq!(lines[10], "squares: [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]");
}

/// The service of the docs, word for word: whichever signal a service manager or a terminal sends
/// to the whole process group, the service finishes what it has begun.
#[cfg(feature = "object")]
#[test]
fn pool_service_finishes_its_tasks() {
    let example = include_str!("../examples/pool_service.rs");
    let (_, program) = example.split_once("\n\n").unwrap();
    let program = program.split_once("use ").map(|(_, rest)| format!("use {rest}")).unwrap();
    assert!(include_str!("../docs/services.md").contains(&program), "docs/services.md shows another program");
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let mut running = Running::start(&format!("service-{signal}"), "pool_service", &[], Stdio::null());
        running.until("its workers", |running| fs::read_to_string(&running.out).unwrap().contains("workers ["));
        // Several tasks are in progress: more arrive than two workers can process.
        thread::sleep(Duration::from_millis(400));
        running.note_segments();
        running.signal_all(signal);
        let group = running.pid();
        let ended = running.end();
        let said = ended.assert_success().lines().last().unwrap();
        let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(said.starts_with("asked to end: ") && numbers[0] == numbers[1] && numbers[0] > 2, "{said}");
        // SAFETY: any numbers may be passed; no signal is sent.
        let is_left = || unsafe { libc::kill(-group, 0) } == 0;
        let begun = Instant::now();
        while is_left() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5)); // the fork server ends when the program has
        }
        assert!(!is_left(), "processes of the service are still there");
    }
}

#[cfg(feature = "object")]
#[test]
fn pool_limits_sheds_and_ends_what_is_too_much() {
    let ended = run("pool_limits", &[]);
    let out = ended.assert_success();
    let mut lines: Vec<&str> = out.lines().collect();
    let last = lines.pop();
    // Of six requests four have room at once; more, if a short one was done by then.
    let shed = |n: usize| format!("shed {n} requests, 2 workers were replaced");
    assert!((0..=2).any(|n| last == Some(&shed(n)) && lines.len() == 6 - n), "{out}");
    assert_eq!(lines.iter().filter(|line| **line == "given up after 300ms").count(), 2, "{out}");
    assert!(lines.contains(&"answered after 10 ms") && lines.contains(&"answered after 20 ms"), "{out}");
}

#[test]
fn pool_progress_counts_primes() {
    assert_eq!(run("pool_progress", &[]).assert_success(), "17984 primes below 200000\n");
}

#[cfg(feature = "object")]
#[test]
fn pool_overhead_measures_every_verb() {
    let out = run("pool_overhead", &["2", "10000"]);
    assert_eq!(out.assert_success().lines().count(), 5);
}

#[test]
fn hello() {
    assert_eq!(run("hello", &[]).assert_success(), "the child counted to 1000, which adds up to 500500\n");
}

#[cfg(feature = "derive")]
#[test]
fn zero_copy() {
    let ended = run("zero_copy", &[]);
    assert!(ended.assert_success().starts_with("200 frames of 1920x1080 in "), "{}", ended.out);
}

/// The numbers of a line that begins with `start`.
#[cfg(feature = "derive")]
fn numbers_of(out: &str, start: &str) -> Vec<u64> {
    let line = out.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line of {start}:\n{out}"));
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// The dead logger stops the feed until a slice of its waiting is over; the bound is for a busy
/// machine.
#[cfg(feature = "derive")]
#[test]
fn market_data_loses_nothing_to_the_death_of_a_logger() {
    let ended = run("market_data", &[]);
    let out = ended.assert_success();
    let of = |start| numbers_of(out, start);
    assert_eq!(of("strategy: saw all"), [200_000]);
    let screen = of("screen: showed");
    assert!(screen.iter().sum::<u64>() == 200_000 && screen[0] > 1, "{out}");
    let feed = of("feed: ");
    assert!(feed[0] == 200_000 && feed[1] < 20_000, "{out}");
    let logger = of("logger, life ");
    assert!(logger[0] == 2 && (100_000..200_000).contains(&logger[1]), "{out}");
    assert_eq!(out.lines().count(), 4);
}

#[cfg(feature = "derive")]
#[test]
fn a_program_without_the_struct_prints_its_fields() {
    let ended = run("dynamic", &[]);
    let expected = [
        "trade/1 (16 bytes): {price@0: f64, volume@8: u32, venue@12: [u8; 4]}",
        "price = 9.5, volume = 100, venue = XETR",
        "price = 9.75, volume = 20, venue = XETR",
        "price = 9.25, volume = 3, venue = XETR",
    ];
    assert_eq!(ended.assert_success().lines().collect::<Vec<_>>(), expected);
}

#[cfg(feature = "derive")]
#[test]
fn frames_are_read_in_place_and_by_a_slow_preview() {
    let ended = run("frames", &[]);
    let out = ended.assert_success();
    for start in ["recorder: ", "detector: ", "camera: "] {
        assert_eq!(numbers_of(out, start)[0], 120, "{out}");
    }
    let preview = numbers_of(out, "preview: ");
    assert!(preview.iter().sum::<u64>() == 120 && preview[0] > 0, "{out}");
    assert_eq!(out.lines().count(), 4);
}

#[cfg(feature = "derive")]
#[test]
fn ranks_go_on_when_one_is_killed() {
    let ended = run("ranks", &[]);
    let mut lines = ended.assert_success().lines();
    assert_eq!(lines.next(), Some("300 steps to 8 ranks, one was killed; 7 have the same sum"));
    let writer = numbers_of(&ended.out, "the writer waited");
    assert!(writer[0] < 20_000 && writer[1] >= 1, "{}", ended.out);
    assert_eq!(lines.count(), 1);
}

#[cfg(feature = "derive")]
#[test]
fn worker_pool() {
    let expected = "4 workers, 1 of them killed: 1000 tasks done, 59542 steps in all\n";
    assert_eq!(run("worker_pool", &[]).assert_success(), expected);
}

#[test]
fn ping_pong() {
    for strategy in ["adaptive", "block", "spin"] {
        let ended = run("ping_pong", &["500", strategy]);
        assert!(ended.assert_success().starts_with(&format!("500 round trips ({strategy}): p50 ")), "{}", ended.out);
    }
}

#[test]
fn two_programs() {
    let name = format!("two-programs-{}", std::process::id());
    let segment = PathBuf::from(format!("/dev/shm/shmq.{name}"));
    for (first, second) in [("put", "get"), ("get", "put")] {
        let arguments = |verb| if verb == "put" { vec![verb, name.as_str(), "hello", "you"] } else { vec![verb, name.as_str()] };
        let mut waiting = Running::start(first, "two_programs", &arguments(first), Stdio::null());
        waiting.until("the queue", |_| segment.exists());
        let second_ended = Running::start(second, "two_programs", &arguments(second), Stdio::null()).end_beside_others();
        let first_ended = waiting.end_beside_others();
        let (put, get) = if first == "put" { (first_ended, second_ended) } else { (second_ended, first_ended) };
        assert_eq!((put.assert_success(), get.assert_success()), ("", "hello you\n"));
        put.assert_nothing_left();
        get.assert_nothing_left();
        assert!(!segment.exists());
    }
    let ended = run("two_programs", &["put", "a/b", "text"]);
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("a/b"), "{}", ended.err);
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn words_of(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(is_space).filter(|word| !word.is_empty())
}

/// The line that wordcount should end with, except for the seconds.
fn expected_line(data: &[&[u8]], workers: usize) -> String {
    let lines: usize = data.iter().map(|data| data.iter().filter(|&&byte| byte == b'\n').count()).sum();
    let words: usize = data.iter().map(|data| words_of(data).count()).sum();
    let bytes: usize = data.iter().map(|data| data.len()).sum();
    format!("lines {lines} words {words} bytes {bytes} workers {workers} seconds ")
}

/// The table that wordcount should print, for words that are text.
fn expected_top(data: &[u8], most: usize) -> String {
    let mut counts = HashMap::new();
    words_of(data).for_each(|word| *counts.entry(word).or_insert(0) += 1);
    let mut counts: Vec<(&[u8], i32)> = counts.into_iter().collect();
    counts.sort_by_key(|&(word, count)| (-count, word));
    counts[..most.min(counts.len())].iter().fold(String::new(), |mut table, (word, count)| {
        writeln!(table, "{count:>12}  {}", std::str::from_utf8(word).unwrap()).unwrap();
        table
    })
}

/// Counts `data`, each element a file, with one worker and with eight. Returns the last table.
fn wordcount(name: &str, data: &[&[u8]]) -> String {
    let paths: Vec<PathBuf> = (0..).zip(data).map(|(i, data)| write_scratch(&format!("{name}-{i}.txt"), data)).collect();
    let mut table = String::new();
    for workers in [1, 8] {
        let number = workers.to_string();
        let mut arguments = vec!["--workers", &number, "--top", "5"];
        arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
        let mut running = Running::start(&format!("{name}-{workers}"), "wordcount", &arguments, Stdio::null());
        running.segments.extend(segments_of(running.pid()));
        let ended = running.end();
        let (top, last) = ended.assert_success().trim_end().rsplit_once('\n').unwrap_or(("", ended.out.trim_end()));
        let seconds = last.strip_prefix(&expected_line(data, workers));
        assert!(seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok()), "{last}, not {}", expected_line(data, workers));
        assert_eq!(ended.err, "");
        table = if top.is_empty() { String::new() } else { format!("{top}\n") };
    }
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
    table
}

/// The names that wordcount gives its queues.
fn segments_of(pid: i32) -> [PathBuf; 2] {
    ["blocks", "answers"].map(|what| PathBuf::from(format!("/dev/shm/shmq.wordcount-{pid}-{what}")))
}

/// Pseudo-random numbers, the same in each run.
fn numbers(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    })
}

/// Words of 1 to 30 letters, the short ones often, between all kinds of spaces.
fn generate_text(bytes: usize, seed: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 40);
    let mut numbers = numbers(seed);
    let mut draw = |below: u64| numbers.next().unwrap() % below;
    while text.len() < bytes {
        let length = 1 + draw(30).min(draw(30)) as usize;
        let letter = b'a' + draw(26) as u8;
        text.extend((0..length).map(|i| b'a' + (letter as usize + i * i) as u8 % 26));
        text.extend((0..1 + draw(8) / 7).map(|i| b" \n\t \x0b \x0c\r"[(i + draw(8)) as usize % 8]));
    }
    text.truncate(bytes);
    text
}

#[test]
fn wordcount_of_text() {
    let text = generate_text(3_000_000, 1);
    assert_eq!(wordcount("text", &[&text]), expected_top(&text, 5));
}

#[test]
fn wordcount_of_files_that_do_not_join_words() {
    let table = wordcount("files", &[b"", b"one two", b"three\n", b"", b"one", b" ", b"two"]);
    assert_eq!(table, "           2  one\n           2  two\n           1  three\n");
    assert_eq!(wordcount("empty", &[b""]), "");
}

#[test]
fn wordcount_of_binary_data() {
    let data: Vec<u8> = numbers(2).take(1_500_000).map(|number| number as u8).collect();
    wordcount("binary", &[&data, &[0; 200_000], &[0x85; 100], &[b'\n'; 300_000]]);
}

#[test]
fn wordcount_of_one_line_and_of_one_word() {
    let mut line = generate_text(3_000_000, 3);
    line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    assert_eq!(wordcount("line", &[&line]), expected_top(&line, 5));
    let word = vec![b'w'; 5_000_000];
    let table = wordcount("word", &[&word, &[&b"a "[..], &word, &b"\n"[..], &word].concat(), b"w"]);
    assert!(table.starts_with("           3  wwww") && table.contains("... (5000000 bytes"), "{table}");
}

#[test]
fn wordcount_of_the_readme() {
    let readme = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let ended = Running::start("readme", "wordcount", &["--workers", "2"], Stdio::null()).end();
    assert!(ended.assert_success().contains(&expected_line(&[&readme], 2)), "{}", ended.out);
}

#[test]
fn wordcount_of_what_cannot_be_read() {
    let there = write_scratch("there.txt", b"text");
    let missing = scratch("missing.txt");
    for (name, bad) in [("missing", missing.to_str().unwrap()), ("directory", "/tmp"), ("broken", "/proc/self/mem")] {
        let mut running = Running::start(name, "wordcount", &[there.to_str().unwrap(), bad], Stdio::null());
        running.segments.extend(segments_of(running.pid()));
        let ended = running.end();
        assert_eq!((ended.status.code(), ended.out.as_str()), (Some(2), ""), "{}", ended.err);
        assert!(ended.err.starts_with(&format!("wordcount: {bad}: ")), "{}", ended.err);
    }
    fs::remove_file(there).unwrap();
    for arguments in [&["--workers", "0"][..], &["--workers"], &["--top", "x"], &["--what"]] {
        assert_eq!(Running::start("usage", "wordcount", arguments, Stdio::null()).end().status.code(), Some(2));
    }
}

/// A wordcount that waits for more of its input, with three workers.
fn start_on_pipe(run: &str, text: &[u8]) -> Running {
    let arguments = ["--workers", "3", "--top", "5", "/dev/stdin"];
    let mut running = Running::start(run, "wordcount", &arguments, Stdio::piped());
    running.segments.extend(segments_of(running.pid()));
    running.child.stdin.as_mut().unwrap().write_all(text).unwrap();
    running.until("its workers", |running| running.workers().len() == 3);
    running
}

#[test]
fn wordcount_interrupted() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut running = start_on_pipe(&format!("interrupted-{signal}"), &generate_text(1_500_000, 4));
        let stdin = running.child.stdin.take();
        let (group, workers) = (running.pid(), running.workers());
        running.signal_all(signal);
        let ended = running.end();
        assert_eq!((ended.status.code(), ended.status.signal()), (Some(128 + signal), None), "{}", ended.err);
        assert!(ended.err.contains("interrupted"), "{}", ended.err);
        // SAFETY: any numbers may be passed; no signal is sent.
        assert_eq!(unsafe { libc::kill(-group, 0) }, -1, "some of {workers:?} are still there");
        drop(stdin);
    }
}

#[test]
fn wordcount_with_a_worker_killed() {
    let text = generate_text(4_000_000, 5);
    let mut running = start_on_pipe("killed", &text[..2_500_000]);
    let victims = running.workers();
    for victim in &victims[..2] {
        // SAFETY: any numbers may be passed; the worker is its parent's child, and not reaped
        // before it ends.
        assert_eq!(unsafe { libc::kill(*victim, libc::SIGKILL) }, 0);
    }
    running.child.stdin.take().unwrap().write_all(&text[2_500_000..]).unwrap();
    let ended = running.end();
    assert_eq!(ended.assert_success().rsplit_once("lines ").unwrap().0, expected_top(&text, 5));
    assert!(ended.out.contains(&expected_line(&[&text], 3)), "{}, not {}", ended.out, expected_line(&[&text], 3));
    for victim in &victims[..2] {
        assert!(ended.err.contains(&format!("worker {victim} ")), "{}", ended.err);
    }
}
