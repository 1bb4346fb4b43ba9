//! A service under tokio: requests go to worker processes, each with a runtime of its own, and the
//! answers come back as a stream. SIGTERM ends it in good order: no more requests are taken, those
//! that are there are answered, and all workers have ended before it does.
//!
//! `cargo run --release --features async --example async_tokio`, then `kill -TERM PID`
//!
//! A worker may be killed at any time: the request that it had on lease goes to another worker. If
//! it had put its answer already, there is a second one, which finds its client served.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use shmq::sync::Barrier;
use shmq::{GetError, Process, Queue};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const WORKERS: usize = 3;

/// What tasks of the runtime can hand to each other.
type Failure = Box<dyn Error + Send + Sync>;

#[shmq::message]
struct Answer {
    request: u64,
    square: u64,
}

fn main() -> Result<(), Failure> {
    let requests = Queue::<u64>::new(16)?;
    let answers = Queue::<Answer>::new(16)?;
    let ready = Barrier::new(WORKERS + 1)?;
    // Forked before there are threads: before the runtime. Daemons end with this process, if it is
    // killed, too.
    let start = |_| Process::spawn_daemon(|| work(&requests, &answers, &ready));
    let workers: Vec<Process> = (0..WORKERS).map(start).collect::<Result<_, _>>()?;
    ready.wait()?;
    runtime::Runtime::new()?.block_on(serve(requests, answers, workers))
}

/// A worker process.
fn work(requests: &Queue<u64>, answers: &Queue<Answer>, ready: &Barrier) -> Result<(), Failure> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        // SIGTERM may reach the whole process group. From here on it does nothing in this process:
        // the program closes the queue when it is time to end.
        let _ignored = signal(SignalKind::terminate())?;
        ready.wait()?;
        loop {
            let request = match requests.lease_async().await {
                Ok(request) => request,
                Err(GetError::Closed) => return Ok(()), // and drained
                Err(error) => return Err(error.into()),
            };
            tokio::time::sleep(Duration::from_millis(5)).await; // work that takes a while
            answers.put_async(&Answer { request: *request, square: *request * *request }).await?;
            request.ack()?; // only now: until here, the request would come back
        }
    })
}

/// The clients that wait for an answer, by their request.
type Clients = Arc<Mutex<HashMap<u64, oneshot::Sender<u64>>>>;

async fn serve(requests: Queue<u64>, answers: Queue<Answer>, workers: Vec<Process>) -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    let clients = Clients::default();
    let receiver = tokio::spawn(receive(answers.clone(), Arc::clone(&clients)));
    let pids: Vec<u32> = workers.iter().map(Process::pid).collect();
    println!("process {}, workers {pids:?}", std::process::id());

    // Requests come until the signal does.
    let mut handlers = JoinSet::new();
    let mut arrivals = tokio::time::interval(Duration::from_millis(1));
    for request in 0.. {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = arrivals.tick() => { handlers.spawn(ask(requests.clone(), Arc::clone(&clients), request)); }
        }
    }

    // No more; those that are there are answered.
    let (asked, mut answered) = (handlers.len(), 0);
    while let Some(square) = handlers.join_next().await {
        square??;
        answered += 1;
    }
    requests.close();
    for worker in &workers {
        let status = worker.join_async().await?;
        println!("worker {}: {status}", worker.pid());
    }
    answers.close();
    receiver.await??;
    println!("asked to end: {answered} of {asked} requests answered");
    Ok(())
}

/// What a request handler does. It waits for room in the queue, if need be, and for its answer.
async fn ask(requests: Queue<u64>, clients: Clients, request: u64) -> Result<u64, Failure> {
    let (client, answer) = oneshot::channel();
    clients.lock().unwrap().insert(request, client);
    requests.put_async(&request).await?;
    Ok(answer.await?)
}

/// Hands answers to their clients until the queue is closed.
async fn receive(answers: Queue<Answer>, clients: Clients) -> Result<(), GetError> {
    let mut answers = answers.into_stream();
    while let Some(answer) = answers.next().await {
        let Answer { request, square } = answer.inspect_err(|_| clients.lock().unwrap().clear())?;
        // `None`: it was answered before, by a worker that died before its `ack`.
        if let Some(client) = clients.lock().unwrap().remove(&request) {
            let _ = client.send(square); // an error if the client has gone away
        }
    }
    Ok(())
}
