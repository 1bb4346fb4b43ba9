//! What became of a chunk, and of each of its tasks.

use super::error::TaskError;
use super::message::{Results, tag};
use crate::object::{Codec, MessagePack};
use serde::de::DeserializeOwned;

/// What became of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Index of its first task.
    pub first: u64,
    pub count: u32,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Results as the worker put them, part by part.
    Results(Vec<Vec<u8>>),
    /// None of its tasks has a result.
    Failed(TaskError),
}

impl Piece {
    /// What became of each of its tasks, in order: encoded results or errors, as many as there are
    /// tasks.
    pub fn results(&self) -> Box<dyn Iterator<Item = Result<&[u8], TaskError>> + '_> {
        let count = self.count as usize;
        match &self.content {
            Content::Failed(error) => Box::new(std::iter::repeat_with(|| Err(error.clone())).take(count)),
            Content::Results(parts) => {
                let found = parts.iter().flat_map(|part| Results(part)).map(outcome);
                Box::new(found.chain(std::iter::repeat_with(|| Err(garbled()))).take(count))
            }
        }
    }

    /// The error of the first of its tasks that has one.
    pub fn first_error(&self) -> Option<TaskError> {
        match &self.content {
            Content::Failed(error) => Some(error.clone()),
            Content::Results(parts) => {
                let mut found = parts.iter().flat_map(|part| Results(part));
                found.find(|(tag, _)| *tag != tag::VALUE).and_then(|item| outcome(item).err())
            }
        }
    }
}

/// Decodes one result.
pub(super) fn decode<R: DeserializeOwned>(mut bytes: &[u8]) -> Result<R, TaskError> {
    MessagePack::decode(&mut bytes).map_err(|error| TaskError::Result { why: error.to_string() })
}

/// A message that ends before all of its results.
pub(super) fn garbled() -> TaskError {
    TaskError::Result { why: "its message is not whole".to_owned() }
}

fn outcome((tag, bytes): (u8, &[u8])) -> Result<&[u8], TaskError> {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match tag {
        tag::VALUE => Ok(bytes),
        tag::PANICKED => Err(TaskError::Panicked { message: text() }),
        tag::BAD_ARGUMENT => Err(TaskError::Argument { why: text() }),
        _ => Err(TaskError::Result { why: text() }),
    }
}
