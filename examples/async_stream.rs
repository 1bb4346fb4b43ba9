//! Queues as streams, under the combinators of `futures`: `select`, a time-out, `take_until`. None
//! of them loses a message, since a stream takes one only when it yields it.
//!
//! `cargo run --release --features async --example async_stream`

use std::error::Error;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use shmq::sync::Event;
use shmq::{GetError, Process, Queue};

fn main() -> Result<(), Box<dyn Error>> {
    let [near, far] = [Queue::<u64>::new(4)?, Queue::<u64>::new(4)?];
    let (asked, end) = (Event::new()?, Event::new()?);
    let sensor = |queue: &Queue<u64>, step: u64| (1..=10).try_for_each(|n| queue.put(&(n * step)));
    let producers = [
        Process::spawn(|| sensor(&near, 1).map(|()| near.close()))?,
        Process::spawn(|| sensor(&far, 100).map(|()| far.close()))?,
    ];
    let (late, last) = (Queue::<u64>::new(4)?, Queue::<u64>::new(4)?);
    let more = Process::spawn(|| {
        asked.wait()?;
        late.put(&7)?;
        (1..=3).try_for_each(|n| last.put(&n))?;
        while !last.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        end.set();
        last.put(&4)?;
        Ok::<(), Box<dyn Error>>(())
    })?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Two queues as one, until both are closed and drained.
        let both = stream::select(near.stream(), far.stream());
        let (count, sum) = both.try_fold((0, 0), |(count, sum), reading| async move { Ok((count + 1, sum + reading)) }).await?;
        println!("select: {count} readings, their sum is {sum}");

        // An item that does not come in time is not lost: it is the next.
        let mut late = late.stream();
        let in_time = tokio::time::timeout(Duration::from_millis(20), late.next()).await;
        println!("timeout: {}", if in_time.is_err() { "nothing for 20 ms" } else { "in time" });
        asked.set();
        println!("timeout: {:?} came later", late.try_next().await?);

        // Until another future is ready, here one that waits for an event of another process.
        let taken: Vec<u64> = last.stream().take_until(end.wait_async()).try_collect().await?;
        println!("take_until: {taken:?}");
        Ok::<(), GetError>(())
    })?;

    for process in producers.iter().chain([&more]) {
        assert!(process.join()?.success());
    }
    println!("left in the queue: {}", last.try_get()?);
    Ok(())
}
