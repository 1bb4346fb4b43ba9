//! Which users' queues a verb may act on.

use clap::Args;
use shmq::inspect::Owners;
use shmq::{Queue, QueueBuilder};

/// The owners, beside this user and root, whose queues a verb acts on.
#[derive(Args, Clone, Debug, Default)]
pub struct AllowedOwners {
    /// Act also on a queue of the user with this number; without it, only on your own and root's
    #[arg(long = "owner", value_name = "UID", conflicts_with = "any_owner")]
    pub owner: Vec<u32>,
    /// Act on the queue of any user: its owner can read and change its messages
    #[arg(long)]
    pub any_owner: bool,
}

impl AllowedOwners {
    pub fn owners(&self) -> Owners {
        let owners = self.owner.iter().fold(Owners::default(), |owners, &uid| owners.allow_owner(uid));
        if self.any_owner { owners.allow_any_owner() } else { owners }
    }

    /// The same, for opening or creating a queue of bytes.
    pub fn apply_to(&self, builder: QueueBuilder<Queue<[u8]>>) -> QueueBuilder<Queue<[u8]>> {
        let builder = self.owner.iter().fold(builder, |builder, &uid| builder.allow_owner(uid));
        if self.any_owner { builder.allow_any_owner() } else { builder }
    }
}
