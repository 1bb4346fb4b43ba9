//! A model server's broadcast: one writer gives each step to eight ranks, which sleep until it comes.
//! One rank is killed, and neither the writer nor another rank hangs.
//!
//! `cargo run --release --example ranks`

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use shmq::{Process, Queue, Topic, WaitStrategy};

const RANKS: usize = 8;
const STEPS: u64 = 300;
/// The rank that is killed, and when.
const VICTIM: usize = 3;
const DEADLY: u64 = STEPS / 2;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(100);

#[shmq::message]
struct Step {
    number: u64,
    tokens: [u32; 30],
}

fn main() -> Result<(), Box<dyn Error>> {
    // `Block`: a rank that waits sleeps in the kernel at once, and takes no core from the model.
    let steps = Topic::<Step>::builder().capacity(16).wait_strategy(WaitStrategy::Block).create()?;
    let sums = Queue::<u64>::new(RANKS)?;
    let mut ranks = Vec::new();
    for _ in 0..RANKS {
        ranks.push(Process::spawn(|| run(&steps, &sums))?);
    }
    steps.wait_subscribers(RANKS, PATIENCE)?;

    let publisher = steps.publisher()?;
    let (mut sum, mut longest) = (0, Duration::ZERO);
    for number in 0..STEPS {
        if number == DEADLY {
            ranks[VICTIM].kill()?;
        }
        let step = Step { number, tokens: std::array::from_fn(|at| (number as u32 + 1) * at as u32) };
        sum += sum_of(&step);
        let start = Instant::now();
        // Waits for all ranks that are alive. An error would name the one that it waited for.
        publisher.publish_timeout(&step, PATIENCE)?;
        longest = longest.max(start.elapsed());
        sleep(Duration::from_millis(2));
    }
    steps.close();

    for (rank, process) in ranks.iter().enumerate() {
        let status = process.join()?;
        assert!(if rank == VICTIM { status.signal() == Some(9) } else { status.success() }, "rank {rank}: {status}");
    }
    for _ in 1..RANKS {
        assert_eq!(sums.try_get()?, sum, "all ranks that live have seen all steps");
    }
    println!("{STEPS} steps to {RANKS} ranks, one was killed; {} have the same sum", RANKS - 1);
    println!("the writer waited {} ms at most, and woke the ranks {} times", longest.as_millis(), steps.stats().wakes);
    Ok(())
}

/// One rank. It has nothing to do but to wait, and that must cost nothing.
fn run(steps: &Topic<Step>, sums: &Queue<u64>) -> Result<(), Box<dyn Error>> {
    let subscriber = steps.subscribe()?;
    let start = Instant::now();
    let mut sum = 0;
    for (expected, step) in subscriber.iter().enumerate() {
        let step = step?;
        assert_eq!(step.number, expected as u64);
        sum += sum_of(&step);
    }
    let (running, elapsed) = (processor_time(), start.elapsed());
    assert!(running < elapsed / 4, "it ran for {running:?} of {elapsed:?}");
    sums.put(&sum)?;
    Ok(())
}

fn sum_of(step: &Step) -> u64 {
    step.tokens.iter().map(|&token| token as u64).sum()
}

/// Time for which this process has been running on some core.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for a write.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
