//! What the tests that must fail leave out.

/// A rule of the protocol that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Flaw {
    None,
    /// Publisher: the gate.
    JoinsNotCompared,
    JoinsReadAfterScan,
    GateStoredAfterCompare,
    MemoryWithoutJoins,
    MemoryWithoutOthers,
    /// Both of the next two.
    MemoryHalfWritten,
    MemoryNotDropped,
    MemoryOfTheDead,
    FullForgotten,
    GateBeyondTail,
    GateBelowReclaim,
    LagBeyondNeed,
    SlackPublished,
    /// Publisher: what it overwrites.
    ReclaimPastLoan,
    ReclaimNotFenced,
    ReclaimAfterWrite,
    /// Publisher: eviction and death.
    PinNotRead,
    NoBarrierBeforePin,
    EvictorRunsBarrier,
    BarrierAfterPin,
    EvictedByStore,
    FreedByStore,
    FreeForgetsGeneration,
    DeadStayInGate,
    /// Subscriber: joining.
    NoBarrierAtJoin,
    GateReadBeforeBarrier,
    JoinCountedBeforeGating,
    JoinNotCounted,
    CursorNotRaised,
    CursorAfterGating,
    PinNotReset,
    /// Subscriber: reading.
    LossyNotChecked,
    LossyCheckedBeforeCopy,
    GatingNotChecked,
    PinNotChecked,
    EvictedWaitsOn,
    UnpinnedBeforeCursor,
}
