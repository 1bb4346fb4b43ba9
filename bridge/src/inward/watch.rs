//! What the server says of consumer and stream, now and then: asked by a task of its own, so that
//! the loop does not wait for the answer.

use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{Context, consumer, stream};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// What came of it, or of a letter.
#[derive(Debug)]
pub enum Note {
    /// The consumer as it is.
    Consumer {
        /// All up to this sequence were acked.
        floor: u64,
        /// When it was made.
        created: u64,
        /// What it is made to be.
        config: Box<consumer::Config>,
    },
    /// The stream ends there, and was made then.
    Stream {
        /// Its last sequence.
        last: u64,
        /// Nanoseconds since 1970.
        created: u64,
        /// The highest sequence that had been put when this was asked: more may have been since.
        highest: u64,
        /// What it is made to be.
        config: Box<stream::Config>,
        /// The connection that was asked by: their count.
        connection: u64,
    },
    /// The stream is gone.
    NoStream,
    /// The consumer is gone.
    NoConsumer,
    /// A dead letter was stored, or why it was not.
    Letter(u64, async_nats::Subject, Result<bool, String>),
}

/// Bound on one question; without an answer it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for the consumer's floor, and, if it is said what the highest sequence is that was put, and
/// by which connection, for the stream's end.
pub async fn ask(jetstream: Context, stream: Stream, consumer: String, about_stream: Option<(u64, u64)>, notes: Sender<Note>) {
    let name = stream.cached_info().config.name.clone();
    if let Some((highest, connection)) = about_stream {
        let note = match tokio::time::timeout(PATIENCE, jetstream.get_stream(&name)).await {
            Ok(Ok(stream)) => {
                let (created, info) = (super::consumer::made(&stream), stream.cached_info());
                Some(Note::Stream {
                    last: info.state.last_sequence,
                    created,
                    highest,
                    config: Box::new(info.config.clone()),
                    connection,
                })
            }
            Ok(Err(error)) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code().0 == 10059 => Some(Note::NoStream),
                _ => None,
            },
            Err(_) => None,
        };
        if let Some(note) = note {
            let _ = notes.send(note).await;
        }
    }
    let note = match tokio::time::timeout(PATIENCE, stream.consumer_info(&consumer)).await {
        Ok(Ok(info)) => Note::Consumer {
            floor: info.ack_floor.stream_sequence,
            created: super::consumer::created(&info),
            config: Box::new(info.config),
        },
        Ok(Err(error)) if error.kind() == ConsumerInfoErrorKind::NotFound => Note::NoConsumer,
        _ => return,
    };
    let _ = notes.send(note).await;
}
