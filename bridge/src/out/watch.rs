//! [`Watch`]: what may change while the bridge carries, though nothing breaks: the queue's name, and
//! the stream's configuration.

use crate::failure::Failure;
use crate::queue::Named;
use crate::server::{self, Facts, NotAnswered, Server};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How often the queue's name is checked, and how often the stream is asked for.
const NAME: Duration = Duration::from_secs(1);
const STREAM: Duration = Duration::from_secs(5);

/// The question to the server is a task of its own: the loop does not wait for its answer.
pub(super) struct Watch {
    named: Named,
    server: Server,
    stream: String,
    next: Instant,
    next_question: Instant,
    question: Option<JoinHandle<Result<Facts, NotAnswered>>>,
}

impl Watch {
    pub(super) fn over(named: Named, server: &Server, stream: &str) -> Watch {
        let now = Instant::now();
        let (server, stream) = (server.clone(), stream.to_owned());
        Watch { named, server, stream, next: now, next_question: now + STREAM, question: None }
    }

    /// The stream, as it is by now. Cancel-safe.
    ///
    /// # Errors
    /// [`Failure::Queue`] once the queue has lost its name.
    pub(super) async fn next(&mut self) -> Result<Facts, Failure> {
        loop {
            let next = self.next;
            let answer = async {
                match &mut self.question {
                    Some(question) => question.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = answer => {
                    self.question = None;
                    // No answer: the loop finds that out by itself.
                    if let Ok(Ok(facts)) = answer {
                        return Ok(facts);
                    }
                }
                () = sleep_until(next) => {
                    self.named.check()?;
                    let now = Instant::now();
                    self.next = now + NAME;
                    if self.question.is_none() && now >= self.next_question {
                        self.next_question = now + STREAM;
                        let (server, stream) = (self.server.clone(), self.stream.clone());
                        self.question = Some(tokio::spawn(async move { server::facts(&server, &stream).await }));
                    }
                }
            }
        }
    }
}
