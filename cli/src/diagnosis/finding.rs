//! A finding: what is wrong, and what to do.

/// The code of a segment that replaced a dead one, without a lost message.
pub const REPLACED: &str = "replaced";

/// The code of a topic that a subscriber shuts.
pub const GATED: &str = "gated";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Trouble,
    /// Something is worth knowing.
    Notice,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub severity: Severity,
    /// A fixed word, for programs.
    pub code: &'static str,
    /// A few words, for a column.
    pub headline: String,
    pub explanation: String,
    pub advice: String,
}

impl Finding {
    /// Does `ls` show it?
    pub fn is_listed(&self) -> bool {
        self.code != REPLACED
    }
}

pub fn trouble(code: &'static str, headline: impl Into<String>, explanation: impl Into<String>, advice: String) -> Finding {
    Finding { severity: Severity::Trouble, code, headline: headline.into(), explanation: explanation.into(), advice }
}

pub fn notice(code: &'static str, headline: impl Into<String>, explanation: String, advice: String) -> Finding {
    Finding { severity: Severity::Notice, code, headline: headline.into(), explanation, advice }
}
