//! From a stream to a queue.
//!
//! ```text
//!                 asked for        put                  acked          confirmed
//!   in the stream ---------> held ------> in the queue ------> ack sent ------> remembered
//!        ^                    | \             |                  |                | 60 s
//!        |                    |  refused       |                  |                v
//!        |                    |    \-> dead letters               |            forgotten
//!        +---- no sign of life for the ack wait, a restart -------+
//!
//!   --ack-on done:  in the queue --a worker's lease ends--> ack
//!                                \-given up--> dead letters --> ack
//! ```
//!
//! Invariants:
//! 1. A message is journaled before it is put, and acked after it was put (or after it stands in
//!    the stream of dead letters). So a kill at any instruction loses none: what was not acked
//!    comes again.
//! 2. What the journal knows is not put, but acked again (`seen.rs`, Invariants 1 to 5). So one
//!    bridge puts no message twice, however often the server sends it, for as long as it remembers
//!    it.
//! 3. A message counts as acked only when the server confirmed the ack. An ack that is not
//!    confirmed is sent again, for ever.
//! 4. What is held and not acked is renewed (`+WPI`) three times in each ack wait while there is a
//!    connection: the server gives it to no other bridge while this one lives and is connected.
//! 5. One task does all of it, and messages are put in the order in which the server sends them.
//! 6. A message is put only while the server counts it as this bridge's: it came, or its renewal
//!    was confirmed, less than the ack wait ago. A bridge that was stopped or cut off for longer
//!    leaves what it holds to the server.
//! 7. On a new connection nothing is asked for, and nothing acked, before the stream was found to
//!    be the same: another one of that name has other messages at the sequences that are known.
//!
//! | file | subject |
//! |---|---|
//! | `seen.rs`, `model.rs` | what was put, in words that outlive the bridge; killed at every step |
//! | `carrier/` | the loop |
//! | `putter.rs` | the queue's put side |
//! | `pulls.rs` | asking for messages |
//! | `acks.rs` | acks, sent until they are confirmed |
//! | `waits.rs` | `--ack-on done`: what the workers have |
//! | `letters.rs` | dead letters |
//! | `consumer.rs` | the durable consumer |
//! | `watch.rs` | what the server says of consumer and stream, now and then |

mod acks;
mod carrier;
mod consumer;
mod letters;
mod pulls;
mod putter;
mod seen;
mod waits;
mod watch;

use crate::failure::Failure;
use crate::journal::Segment;
use crate::metrics::Counters;
use crate::queue::Named;
use crate::settings::{InSettings, ServerSettings};
use crate::stop::Stop;
use carrier::Carrier;
use putter::Putter;
use seen::{Count, Doubt, Of, Refusal, Seen};
use shmq::DynQueue;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;
use waits::Waits;

/// How long a request to JetStream may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Words of the journal.
const WORDS: usize = seen::words_of(seen::RUNS) + waits::WORDS;

/// Carries messages from a stream to a queue until it is asked to end.
///
/// # Errors
/// [`Failure`]; nothing was lost: what was not put, or not acked, is in the stream.
pub async fn run(settings: &InSettings, server: &ServerSettings, counters: &Counters, stop: Stop) -> Result<(), Failure> {
    let named = Named::of(&settings.queue)?;
    let queue = crate::queue::open(&settings.queue)?;
    let journal = Segment::open(&format!("{}.bridge-in", settings.name()), WORDS, &settings.queue)?;
    let putter = Putter::of(&queue, settings.shared)?;
    let client = format!("shmq-bridge in {}", settings.name());
    let server = tokio::select! {
        server = crate::server::connect(server, &client, REQUEST) => server?,
        () = stop.wait() => return Ok(()),
    };
    let stream = consumer::stream(&server, settings, &queue).await?;
    let found = consumer::find(&server, &stream, settings).await?;
    let of = Of { queue: queue.nonce(), stream: consumer::made(&stream) };
    let journaled =
        if settings.adopt || !Seen::is_begun(journal.words()) { 0 } else { journal.words()[seen::CONSUMER].load(Acquire) };
    let (of_seen, of_waits) = journal.words().split_at(seen::words_of(seen::RUNS));
    let seen = go_on(of_seen, of, &queue, &putter, settings)?;
    let waits = Waits::recover(of_waits, &queue, &seen);
    check_sequence(seen.highest(), stream.cached_info().state.last_sequence, settings)?;
    let created = found.as_ref().map_or(0, |found| consumer::created(found.cached_info()));
    consumer::check_created(settings, &stream, created, journaled, seen.highest())?;
    // Nothing on the server is made before all else is in order.
    let consumer = match found {
        Some(found) => found,
        None => consumer::make(&server, &stream, settings).await?,
    };
    journal.words()[seen::CONSUMER].store(consumer::created(consumer.cached_info()), Release);
    let mut carrier = Carrier::new(settings, &server, stream, consumer, queue, named, putter, seen, waits, counters).await?;
    tracing::info!(
        queue = settings.queue,
        stream = settings.stream,
        consumer = settings.consumer(),
        owns_put_side = !settings.shared,
        "in: carrying"
    );
    carrier.run(&stop).await
}

/// Goes on with the journal, or begins it.
fn go_on<'w>(
    words: &'w [AtomicU64],
    of: Of,
    queue: &DynQueue,
    putter: &Putter,
    settings: &InSettings,
) -> Result<Seen<'w, [AtomicU64]>, Failure> {
    let puts = queue.stats().puts;
    let count = if putter.is_owner() { Count::Owned(puts) } else { Count::Shared(puts) };
    let anew = || Ok(Seen::begin_anew(words, seen::RUNS, of, puts));
    if settings.adopt {
        tracing::warn!(queue = settings.queue, "in: the journal is begun anew (--adopt)");
        return anew();
    }
    if !Seen::is_begun(words) {
        if putter.is_owner() && puts != 0 {
            return Err(identity(
                settings,
                format!(
                    "{puts} messages were put into the queue before, and this bridge has no journal of them. If the journal \
                     \"{}.bridge-in\" was lost, what the stream has without an ack may be in the queue already, and may double. If \
                     other processes have put them, use another queue, or --shared. To begin anew all the same: --adopt",
                    settings.name()
                ),
            ));
        }
        return anew();
    }
    match Seen::recover(words, seen::RUNS, of, count) {
        Ok((seen, doubt)) => {
            match doubt {
                Doubt::None => {}
                Doubt::WasPut(sequence) => {
                    tracing::info!(sequence, "in: the last bridge was killed after it had put this message")
                }
                Doubt::PutAgain(sequence) => {
                    tracing::info!(sequence, "in: the last bridge was killed before it had put this message")
                }
            }
            Ok(seen)
        }
        Err(refusal) => Err(identity(settings, words_for(refusal))),
    }
}

fn words_for(refusal: Refusal) -> String {
    let adopt = "To begin anew: --adopt";
    match refusal {
        Refusal::Version(version) => format!("the journal is of version {version}, which this bridge does not know. {adopt}"),
        Refusal::Queue => format!(
            "the queue was made anew since the journal was written: what the journal says was put there is not in this queue. {adopt}; \
             what the stream has without an ack is put again then, and may double if a worker of the old queue has had it"
        ),
        Refusal::Stream => format!(
            "the stream was made anew since the journal was written: its sequences are of other messages. {adopt}; nothing is lost \
             by it, and what was put from the old stream and is published anew doubles"
        ),
        Refusal::ForeignPuts(puts, sequence) => format!(
            "other processes have put {puts} messages while the bridge was down, and it was killed while it put message {sequence} of \
             the stream: whether that is in the queue cannot be known. Start with --shared: it is put again, and may double"
        ),
        Refusal::Garbage => format!("the journal is damaged. {adopt}; what the stream has without an ack may double"),
    }
}

/// Has the stream's sequence gone back, behind what was put? Then its numbers are given to other
/// messages, which the journal would take for those that it knows.
fn check_sequence(highest: u64, last: u64, settings: &InSettings) -> Result<(), Failure> {
    if highest <= last {
        return Ok(());
    }
    Err(identity(
        settings,
        format!(
            "message {highest} of the stream was put, and the stream ends at {last} now: its store is older than that (restored, or \
             reset). To begin anew: --adopt; what is published again doubles"
        ),
    ))
}

fn identity(settings: &InSettings, why: String) -> Failure {
    Failure::Identity { queue: settings.queue.clone(), stream: settings.stream.clone(), why }
}
