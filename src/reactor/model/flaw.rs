//! What the tests that must fail leave out.

/// A part of the protocol that is left out, for the tests that must fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flaw {
    None,
    NothingPassedOnAtCancel,
    NothingPassedOnAtSuccess,
    NoCheckAfterRegistering,
    ReactorChecksBeforeRegistering,
    NoBarrier,
    SequenceAfterRegistering,
    ReactorPassesNothingOn,
    LatePassesNothingOn,
    StaysRegistered,
    WatchReadBeforeRegistering,
    LastLeavesInSilence,
    NotifiedBeforeMessages,
    PassesOnBeforeLeaving,
    EpochBeforeSequence,
    EpochNotCompared,
    ControlReadAfterRoom,
    ChecksOneWord,
    LateTasksAnswer,
    PanicsAnswer,
    LingersWhenWoken,
    UnknownPassesNothingOn,
    RenewsUnnoticed,
    WakesOneOfAll,
    RestKept,
}
