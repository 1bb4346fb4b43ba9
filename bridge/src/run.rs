//! The command: settings, logs, signals, and one thread for each direction.

use crate::failure::Failure;
use crate::metrics::Registry;
use crate::settings::{Arguments, Settings};
use crate::stop::Stop;
use crate::{inward, mirror, out};
use clap::Parser;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::thread;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Does what the arguments say, the first of which is the command's name. Returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are printed too, with exit code 0.
            let _ = error.print();
            return error.exit_code() as u8;
        }
    };
    start_logs(arguments.plain_logs);
    match Settings::of(arguments).and_then(|settings| carry(&settings)) {
        Ok(()) => 0,
        Err(failure) => {
            tracing::error!(exit_code = failure.exit_code(), "{failure}");
            failure.exit_code()
        }
    }
}

fn start_logs(are_plain: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let has_colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A program that uses the library may have logs of its own.
    let _ = if are_plain { logs.without_time().with_ansi(false).try_init() } else { logs.with_ansi(has_colours).try_init() };
}

/// Runs all directions until a signal ends them, or one fails: then the others end too.
fn carry(settings: &Settings) -> Result<(), Failure> {
    let (stop, registry) = (Stop::new(), Registry::default());
    let signals = runtime(1)?;
    signals.spawn(stop_on_signals(stop.clone())?);
    if let Some(address) = settings.metrics {
        registry.serve(address)?;
    }
    let stop = &stop;
    let results: Vec<Result<(), Failure>> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for direction in &settings.out {
            let (named, counters) = (format!("out {}", direction.queue), registry.add("out", &direction.queue, direction.name()));
            threads.push(start(scope, named, stop, async move || {
                out::run(direction, &settings.server, &counters, stop.clone()).await
            }));
        }
        for direction in &settings.inward {
            let (named, counters) = (format!("in {}", direction.queue), registry.add("in", &direction.queue, direction.name()));
            threads.push(start(scope, named, stop, async move || {
                inward::run(direction, &settings.server, &counters, stop.clone()).await
            }));
        }
        for direction in &settings.mirror {
            let (named, counters) =
                (format!("mirror {}", direction.topic), registry.add("mirror", &direction.topic, &direction.subject));
            threads.push(start(scope, named, stop, async move || {
                mirror::run(direction, &settings.server, &counters, stop.clone()).await
            }));
        }
        threads.into_iter().map(|thread| thread?.join().expect("a direction does not panic")).collect()
    });
    // The first that failed; the others were asked to end by it.
    let mut failures = results.into_iter().filter_map(Result::err);
    let first = failures.next();
    failures.for_each(|failure| tracing::error!("{failure}"));
    first.map_or(Ok(()), Err)
}

/// A thread and a connection for each direction: none waits for another.
fn start<'scope, 'env, F>(
    scope: &'scope thread::Scope<'scope, 'env>,
    named: String,
    stop: &'scope Stop,
    direction: F,
) -> Result<thread::ScopedJoinHandle<'scope, Result<(), Failure>>, Failure>
where
    F: AsyncFnOnce() -> Result<(), Failure> + Send + 'scope,
{
    let os = |source| Failure::Os { what: "start a thread".into(), source };
    thread::Builder::new()
        .name(named)
        .spawn_scoped(scope, move || {
            // However it ends, by a panic too: the others end.
            struct StopAll<'a>(&'a Stop);
            impl Drop for StopAll<'_> {
                fn drop(&mut self) {
                    self.0.set();
                }
            }
            let _stop_all = StopAll(stop);
            runtime(1)?.block_on(direction())
        })
        .map_err(os)
}

fn runtime(threads: usize) -> Result<Runtime, Failure> {
    let os = |source| Failure::Os { what: "start the runtime".into(), source };
    runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(os)
}

/// SIGTERM and SIGINT ask for the end; a second one ends at once, as if the bridge were killed:
/// nothing is lost by it.
fn stop_on_signals(stop: Stop) -> Result<impl Future<Output = ()>, Failure> {
    Ok(async move {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            tracing::error!("signals cannot be caught: SIGTERM ends the bridge at once");
            return;
        };
        let mut next = async || tokio::select! { _ = term.recv() => 15, _ = int.recv() => 2 };
        next().await;
        tracing::info!("asked to end: finishing what is under way");
        stop.set();
        std::process::exit(128 + next().await);
    })
}
