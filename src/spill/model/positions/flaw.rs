//! What the tests that must fail leave out.

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flaw {
    None,
    /// Put.
    CommitsBeforeCreate,
    CommitsBeforeFill,
    CreatesBeforeClaim,
    StaleFileKept,
    /// Abort.
    OwnerUnlinksAfterAbort,
    OwnerDoesNotUnlink,
    ClaimNotReadAgain,
    OthersUnlinkAfterAbort,
    OthersDoNotUnlink,
    PutSideDoesNotUnlink,
    /// The end of a message.
    UnlinksBeforeDone,
    UnlinksWhatIsGivenBack,
    GetterDoesNotUnlink,
    GivenUpIsNotUnlinked,
    /// The sweep.
    SweepsAhead,
    HeaderBeforeHead,
    SweepsLeases,
    ReclaimNotRead,
}
