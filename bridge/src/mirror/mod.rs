//! Topics.

use crate::failure::Failure;
use crate::metrics::Counters;
use crate::settings::{MirrorSettings, ServerSettings};
use crate::stop::Stop;

/// Publishes a topic until it is asked to end.
///
/// # Errors
/// [`Failure`]; nothing was lost.
pub async fn run(_settings: &MirrorSettings, _server: &ServerSettings, _counters: &Counters, _stop: Stop) -> Result<(), Failure> {
    Err(Failure::Settings("this direction is not built yet".into()))
}
