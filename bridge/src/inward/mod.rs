//! From a stream to a queue.

use crate::failure::Failure;
use crate::metrics::Counters;
use crate::settings::{InSettings, ServerSettings};
use crate::stop::Stop;

/// Carries messages from a stream to a queue until it is asked to end.
///
/// # Errors
/// [`Failure`]; nothing was lost.
pub async fn run(_settings: &InSettings, _server: &ServerSettings, _counters: &Counters, _stop: Stop) -> Result<(), Failure> {
    Err(Failure::Settings("this direction is not built yet".into()))
}
