//! Messages that were delivered before.

use super::finding::{Finding, Severity, notice};
use super::observation::Observation;
use crate::text::capitalised;
use crate::units::messages;
use shmq::inspect::State;

/// A message delivered this often without being finished is probably what kills its consumers.
const MANY_DELIVERIES: u32 = 3;

impl Observation<'_> {
    pub(super) fn came_back(&self, findings: &mut Vec<Finding>) {
        if self.now.came_back != 0 {
            let taken = self.moved(|seen| seen.stats.gets) == Some(true);
            findings.push(Finding {
                severity: if taken || self.now.state != State::InUse { Severity::Notice } else { Severity::Trouble },
                code: "came-back",
                headline: format!("{} came back", messages(self.now.came_back)),
                explanation: format!(
                    "{} taken before and came back: the process that had it on lease died, or gave it back. It has not been taken again yet.",
                    capitalised(&(messages(self.now.came_back) + if self.now.came_back == 1 { " was" } else { " were" }))
                ),
                advice: "Find the process that died, and start (or check) a consumer.".to_owned(),
            });
        }
        if self.now.most_deliveries >= MANY_DELIVERIES {
            findings.push(notice(
                "many-deliveries",
                format!("delivered {} times", self.now.most_deliveries),
                format!(
                    "A message has been delivered {} times and was never finished: perhaps it kills its consumers.",
                    self.now.most_deliveries
                ),
                format!(
                    "See what is in it (`shmq peek {}`). A queue created with max_deliveries gives such messages up.",
                    self.argument()
                ),
            ));
        }
    }
}
