//! What the tests that must fail leave out.

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flaw {
    None,
    /// Which process cleans up.
    UnlinkerDoesNotClean,
    ReplacerDoesNotClean,
    OnlyRemoverCleans,
    BackedOutDoesNotClean,
    DeferredDoesNotClean,
    DeferredCleansOnce,
    CleansBeforeName,
    CleansBeforeLiveness,
    GivesUpBesideClaims,
    /// What it checks, and in which order it removes.
    CleansUnlocked,
    LinksNotCounted,
    LinksCountedFirst,
    AnchorFirst,
    /// When the anchor is made.
    UnlinkedWithoutAnchor,
    AnchoredOnlyInUse,
    SpillsWithoutAnchor,
}
