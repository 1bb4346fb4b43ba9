//! One request to JetStream, and what its failure means.

use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::{self, response::Response};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// What JetStream answered: no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// JetStream's code for it.
    pub code: u64,
    /// In the server's words.
    pub why: String,
}

impl Refused {
    /// Is there no such stream?
    pub fn is_no_stream(&self) -> bool {
        self.code == 10059
    }

    /// Is there no such message?
    pub fn is_no_message(&self) -> bool {
        self.code == 10037
    }

    /// Is there no room: in the stream (10077, of which there are other reasons too), for the
    /// account (10002), on the disk (10023, 10028, 10047)?
    pub fn is_full(&self) -> bool {
        matches!(self.code, 10002 | 10023 | 10028 | 10047 | 10077)
    }

    /// Is the message larger than the stream takes?
    pub fn is_too_large(&self) -> bool {
        self.code == 10054
    }

    /// Is JetStream not there for this account, or switched off?
    pub fn is_no_jetstream(&self) -> bool {
        matches!(self.code, 10039 | 10076)
    }

    pub(crate) fn of(error: &jetstream::Error) -> Refused {
        Refused { code: error.error_code().0, why: error.to_string() }
    }
}

/// Why there is no answer that says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnswered {
    /// JetStream said no.
    Refused(Refused),
    /// The server is away, starting, or slow: ask again.
    Away(String),
}

/// Asks JetStream: `subject` is without the prefix of its interface.
///
/// The client's own bound begins when the request was sent, and without a connection it is not
/// sent once as much waits as the client takes. So `bound` holds for both together.
pub(super) async fn ask(
    jetstream: &jetstream::Context,
    bound: Duration,
    subject: String,
    payload: &Value,
) -> Result<Value, NotAnswered> {
    let asked = timeout(bound, jetstream.request::<String, Value, Response<Value>>(subject, payload)).await;
    let Ok(answer) = asked else { return Err(NotAnswered::Away("no answer in time".into())) };
    match answer {
        Ok(Response::Ok(value)) => Ok(value),
        Ok(Response::Err { error }) => Err(NotAnswered::Refused(Refused::of(&error))),
        Err(error) => Err(NotAnswered::Away(match error.kind() {
            RequestErrorKind::NoResponders => "JetStream does not answer".to_owned(),
            _ => error.to_string(),
        })),
    }
}
